//! infino-table.
#![forbid(unsafe_code)]

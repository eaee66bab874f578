//! infino-fts.
#![forbid(unsafe_code)]

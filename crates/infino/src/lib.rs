//! infino.
#![forbid(unsafe_code)]

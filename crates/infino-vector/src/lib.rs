//! infino-vector.
#![forbid(unsafe_code)]

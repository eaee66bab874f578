//! infino-wal.
#![forbid(unsafe_code)]

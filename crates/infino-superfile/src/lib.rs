//! infino-superfile.
#![forbid(unsafe_code)]

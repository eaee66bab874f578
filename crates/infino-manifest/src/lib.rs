//! infino-manifest.
#![forbid(unsafe_code)]

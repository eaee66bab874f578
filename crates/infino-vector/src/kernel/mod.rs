//! The loops that a search and a build spend their time in. [`scalar`] defines each of them.

pub(crate) mod scalar;

pub(crate) use scalar::*;

/// Rows of a full block of codes.
pub(crate) const BLOCK_ROWS: usize = 64;

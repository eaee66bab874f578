//! Rows on their way in: checked, numbered, sharded, built.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod mint;
pub(crate) mod shard;

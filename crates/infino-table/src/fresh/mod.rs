//! Fresh rows: durable with the commit that brings them, searchable at once, put into superfiles later.
//!
//! They ride in the log as an Arrow stream. Every reader builds each lot of them into a superfile in memory, under the
//! name the lot was given, so that queries, deletes and updates know no difference; sealing is a compaction that puts
//! the rows into a superfile in storage. Bytes: `docs/format/record.md#fresh-rows`.

mod insert;
mod rows;
mod seal;
mod show;
mod upkeep;

pub(crate) use insert::Queue;
pub(crate) use rows::{decode, encode};
pub use seal::SealReport;
pub(crate) use show::{FreshFile, show};
pub(crate) use upkeep::Upkeep;

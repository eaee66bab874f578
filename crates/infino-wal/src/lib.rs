//! The commits of a table: records, conflicts, and the one swap that publishes them.
//!
//! A table's state hangs from one small object, the head, which changes only by compare-and-swap. [`Log`] reads it, and
//! commits a [`Change`] by swapping in a head that holds one more [`Record`](infino_format::Record). A lost race reads
//! the winners, asks [`conflict`] whether the change may follow them, lets [`rebase`] adapt it, and swaps again. What
//! the store answers to a swap is believed only when it is yes: every other answer is settled by reading the head.
//!
//! What the log promises:
//! - a commit that returned `Ok` is in every later head, once;
//! - a commit that returned [`WalError::Unknown`] is in or out for ever once [`Log::resolve`] has said which;
//! - every other error means that nothing of the change is or will be visible.
//!
//! A tail is folded by whoever sees that it is due ([`tail::wants_fold`]) and can load snapshots; the log publishes what
//! was folded ([`Log::publish`]). Until then it keeps the head bounded by moving records to segments. Garbage collection
//! rests on [`Log::fence`].
//!
//! Bytes: `docs/format/head.md`, `docs/format/record.md`.
#![forbid(unsafe_code)]

pub mod change;
pub mod conflict;
pub mod error;
pub mod log;
pub mod rebase;
pub mod tail;
pub mod vectors;

mod commit;
mod fence;
mod group;
mod publish;
mod read;
mod resolve;
mod swap;
mod token;

pub use change::{Change, DeadRows, KeyGuard, Relocation};
pub use conflict::Conflict;
pub use error::{CommitError, WalError};
pub use fence::FenceOptions;
pub use log::{Committed, Current, Log, LogOptions, Resolved};
pub use publish::Published;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

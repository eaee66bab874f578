//! The snapshots of a table: what a head says, applied.
//!
//! A [`Snapshot`] is one version of a table, immutable: its schema, its properties and an [`Entry`] for each superfile.
//! It is a checkpoint plus the records since, and [`apply`](apply::apply) is the only way from one version to the next, for
//! whoever reads and whoever writes; so there is no recovery. [`checkpoint::fold`] writes a snapshot down so that later
//! readers have less to apply, [`history`] opens the versions before, [`tags`]
//! keeps some of them by name, [`gc`] removes what no kept version names.
//!
//! Bytes: `docs/format/manifest.md`.
#![forbid(unsafe_code)]

pub mod apply;
pub mod checkpoint;
pub mod deletes;
pub mod entry;
pub mod error;
pub mod fresh;
pub mod gc;
pub mod history;
pub mod prune;
pub mod repair;
pub mod snapshot;
pub mod tags;

mod read;

pub use apply::apply;
pub use entry::{Built, Entries, Entry};
pub use error::ManifestError;
pub use fresh::Fresh;
pub use history::VersionInfo;
pub use snapshot::Snapshot;
pub use tags::Tag;

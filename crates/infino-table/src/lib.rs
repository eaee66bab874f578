//! One infino table: rows go in, mutations and searches run, files are kept in shape.
//!
//! [`Table`] is a handle on a folder of a store. Everything a query reads hangs from one pinned snapshot; everything a
//! writer does becomes visible in one commit. Nothing here knows SQL: a predicate arrives as a [`RowFilter`].
//!
//! | to follow | start at |
//! |---|---|
//! | rows in | [`writer`], then `ingest` |
//! | a search | `query::text`, `query::vector`, `query::hybrid` |
//! | a delete, an update, an upsert | `mutate` |
//! | rows that are searchable at once | `fresh` |
//! | compaction and garbage | `maintain` |
//! | the table as it was | [`versions`] |
//! | damage | [`verify`], then [`repair`] |
#![forbid(unsafe_code)]

pub mod error;
pub mod evolve;
pub mod filter;
mod fresh;
mod ingest;
pub mod maintain;
pub mod mutate;
pub mod options;
mod publish;
pub mod query;
pub mod repair;
mod runtime;
pub mod table;
pub mod verify;
pub mod versions;
pub mod writer;

pub use error::TableError;
pub use evolve::{AlterReport, SchemaChange};
pub use filter::RowFilter;
pub use fresh::SealReport;
pub use maintain::background::{BackgroundOptions, BackgroundStatus, Maintenance};
pub use maintain::cluster::{ClusterOptions, ClusterReport};
pub use maintain::{CompactOptions, CompactReport, MaintainOptions, OptimizeReport};
pub use mutate::{Matched, MergeSpec, MutationStats, NotMatched};
pub use options::{ReadConsistency, TableOptions};
pub use query::{Fusion, Hit};
pub use repair::RepairReport;
pub use runtime::Runtime;
pub use table::Table;
pub use writer::{Receipt, Writer};

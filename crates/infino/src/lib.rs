//! A retrieval engine in your process: SQL, full-text, vector and hybrid search over one copy of your data, kept as Parquet
//! on object storage, on disk or in memory.
//!
//! ```
//! use std::sync::Arc;
//! use infino::arrow::array::{RecordBatch, StringArray};
//! use infino::arrow::datatypes::{DataType, Field, Schema};
//! use infino::IndexSpec;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), infino::Error> {
//! let db = infino::connect("memory://").await?;
//! let schema = Arc::new(Schema::new(vec![Field::new("body", DataType::Utf8, false)]));
//! let docs = db.create_table("docs", schema.clone(), IndexSpec::new().fts("body")).await?;
//!
//! let body = StringArray::from(vec!["the quick brown fox", "a lazy dog", "the fox sleeps"]);
//! docs.append(RecordBatch::try_new(schema, vec![Arc::new(body)])?).await?;
//!
//! let hits = docs.bm25_search("body", "fox", 10, &["body"]).await?;
//! assert_eq!(hits[0].num_rows(), 2);
//!
//! let sql = "SELECT body, score FROM bm25_search('docs', 'body', 'fox', k => 10) ORDER BY score DESC";
//! assert_eq!(db.query_sql(sql).await?[0].num_rows(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! Everything is async; [`blocking`] has the same names for callers that are not. Every method that reads runs on one
//! snapshot; every method that writes is one atomic commit. Errors have a [`kind`](Error::kind) to act on.
#![forbid(unsafe_code)]

pub mod blocking;
mod catalog;
mod connection;
mod draft;
mod error;
#[cfg(doctest)]
mod guides;
mod index_spec;
mod metrics;
mod predicate;
mod rerank;
mod row_stream;
mod search;
mod sql;
mod supertable;
mod text_mode;
mod trace;

pub use arrow;
pub use datafusion;

pub use connection::{ConnectOptions, Connection, connect, connect_with};
pub use draft::Draft;
pub use error::{Error, ErrorKind};
pub use index_spec::IndexSpec;
pub use infino_format::record::Operation;
pub use infino_format::schema::{IndexSet, Metric, RerankCodec, TextIndex, VectorIndex};
pub use infino_manifest::VersionInfo;
pub use infino_storage::fault::{
    Count as IoCount, Counters as IoCounters, Operation as IoOperation,
};
pub use infino_storage::{CacheStats, WarmUp};
pub use infino_table::query::{Fusion, FusionMethod};
pub use infino_table::repair::{Fix, RepairReport};
pub use infino_table::verify::{Problem, VerifyReport};
pub use infino_table::{
    AlterReport, BackgroundOptions, BackgroundStatus, ClusterOptions, ClusterReport,
    CompactOptions, CompactReport, MaintainOptions, Maintenance, Matched, MergeSpec, MutationStats,
    NotMatched, OptimizeReport, ReadConsistency, Receipt, SchemaChange, SealReport,
};
pub use metrics::Metrics;
pub use predicate::Predicate;
pub use rerank::{RerankFailure, Reranker};
pub use row_stream::RowStream;
pub use search::Search;
pub use sql::{Scan, SqlQuery};
pub use supertable::{FileInfo, Supertable, Writer};
pub use text_mode::TextMode;

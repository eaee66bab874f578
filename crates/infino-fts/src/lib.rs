//! Exact BM25 full-text search over an immutable index that is read by range.
//!
//! [`FtsBuilder`] turns the text columns of one file into a *section*; [`FtsReader`] answers a [`Query`] over it. Reading is
//! sans-I/O: every answer is an [`infino_format::Fetch`] that says which bytes it needs. A query takes two rounds: the
//! dictionary blocks of its words ([`FtsReader::prepare`]), then their lists ([`FtsReader::search`],
//! [`FtsReader::matches`], [`FtsReader::count`]). Between the two the caller may gather the statistics of other files
//! ([`CorpusStats`]), so that scores do not depend on how rows are spread over files.
//!
//! ```
//! use infino_format::{fetch::run_resident, schema::TextIndex};
//! use infino_fts::{BuildOptions, CorpusStats, FtsBuilder, FtsReader, Operator, Query};
//!
//! let title = TextIndex { column: "title".into(), analyzer: "english-v1".into(), positions: true, stored: true };
//! let mut builder = FtsBuilder::new(&[title], BuildOptions::default())?;
//! for text in ["The old man and the sea", "A man for all seasons", "Moby Dick"] {
//!     builder.push(&[Some(text)])?;
//! }
//! let section = bytes::Bytes::from(builder.finish()?.0);
//! let reader = FtsReader::resident(section.clone())?;
//! let query = Query::matching("title", "man of the seas", Operator::Or);
//! let prepared = run_resident(&section, reader.prepare(&query)?)?;
//! let stats = CorpusStats::of(&reader, &prepared);
//! let hits = run_resident(&section, reader.search(&prepared, &stats, 10, None, None)?)?;
//! assert_eq!(hits.iter().map(|hit| hit.doc).collect::<Vec<_>>(), [0, 1]);
//! # Ok::<(), infino_fts::FtsError>(())
//! ```
#![deny(unsafe_code)]

pub mod analysis;
pub mod bm25;
mod build;
mod dict;
mod error;
pub mod highlight;
mod kernel;
mod layout;
mod postings;
pub mod query;
mod reader;
mod search;
mod stats;

pub use analysis::Analyzer;
pub use build::{BuildOptions, Built, FieldSummary, FtsBuilder, RowMap, merge_sections};
pub use error::FtsError;
pub use highlight::{Fragment, FragmentOptions, Highlighter, Markup};
pub use query::{Boolean, Operator, ParseOptions, Query, QueryError, parse_query};
pub use reader::{FtsReader, Prepare, Prepared};
pub use search::{Count, Hit, Matches, Search};
pub use stats::{CorpusStats, FieldStats, TermStats};

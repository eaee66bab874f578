//! The shared nouns of infino and their bytes.
//!
//! Everything here is a value or a pure function over bytes: no I/O, no async, no panics on any input. A decoder returns
//! [`FormatError`] with the place and what was expected there. The specification of every byte is under `docs/format/`.
#![forbid(unsafe_code)]

pub mod avro;
pub mod catalog;
pub mod checksum;
pub mod cursor;
pub mod docset;
pub mod entropy;
pub mod error;
pub mod fetch;
pub mod fresh;
pub mod head;
pub mod ids;
pub mod key;
pub mod list;
pub mod object;
pub mod part;
pub mod record;
pub mod schema;
pub mod segment;
mod sequence;
pub mod summary;
pub mod tombstone;
pub mod varint;

pub use docset::DocSet;
pub use error::FormatError;
pub use fetch::{Fetch, Step};
pub use fresh::FreshRows;
pub use head::Head;
pub use ids::{CommitId, DocId, RowId, SuperfileId, TableId, WriterId};
pub use key::{KeyDigest, KeyFilter, KeyIndex};
pub use object::ObjectRef;
pub use record::{Action, Operation, Record};
pub use schema::TableSchema;
pub use summary::SuperfileSummary;
pub use tombstone::Deletes;

//! One file of infino: Parquet that any reader reads, with index sections between the rows and the footer.
//!
//! [`SuperfileBuilder`] turns record batches into a file, [`Superfile`] reads one: rows by position, scans, and the
//! sections, whose own readers say which ranges they need. Every byte that is read is verified. Bytes:
//! `docs/format/superfile.md`.
#![forbid(unsafe_code)]

pub mod error;
pub mod options;
pub mod schema;

pub mod body;
pub mod builder;
mod checksums;
mod columns;
mod dictionary;
mod hint;
mod indexes;
pub mod key;
mod layout;
pub mod reader;
mod reindex;
mod repair;
mod rows;
pub mod scan;
mod sections;
mod spool;
mod statistics;
pub mod verify;

pub use body::BodyReader;
pub use builder::SuperfileBuilder;
pub use error::SuperfileError;
pub use key::KeyEncoder;
pub use options::{Compression, SuperfileOptions};
pub use reader::Superfile;
pub use repair::Mended;
pub use scan::selection;
pub use schema::{ID_COLUMN, arrow_schema, body_schema, file_schema, table_schema};
pub use statistics::column_stats;
pub use verify::Verification;

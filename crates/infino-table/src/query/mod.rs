//! Searches: pin a snapshot, fan out over its files, merge, fetch the winners' rows.

pub mod fan_out;
pub(crate) mod files;
pub mod hybrid;
pub mod matching;
pub mod merge;
pub mod rows;
pub mod text;
pub mod vector;

use infino_format::{DocId, RowId, SuperfileId};

pub use hybrid::Fusion;

/// A row that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The superfile.
    pub file: SuperfileId,
    /// The row of the superfile.
    pub doc: DocId,
    /// The row of the table.
    pub row: RowId,
    /// How well it answers: a score climbs, a distance falls.
    pub value: f32,
}

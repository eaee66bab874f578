//! Searches: pin a snapshot, fan out over its files, merge, fetch the winners' rows.

mod exact;
pub mod fan_out;
pub(crate) mod files;
pub mod hybrid;
pub mod matching;
pub mod merge;
pub mod rest;
pub mod rows;
pub mod text;
pub mod vector;

use infino_format::{DocId, DocSet, RowId, SuperfileId};
use infino_manifest::{Entry, Snapshot};

pub use exact::distance as exact_distance;
pub use hybrid::{Fusion, FusionMethod};

use crate::{Table, TableError};

/// The dead rows of a file of a snapshot.
///
/// # Errors
/// `Manifest` if the deletion vector cannot be read.
pub async fn dead_rows(table: &Table, entry: &Entry) -> Result<DocSet, TableError> {
    files::dead(table, entry).await
}

/// `k`, or as many as there are rows.
fn within(snapshot: &Snapshot, k: usize) -> usize {
    usize::try_from(snapshot.entries.rows()).map_or(k, |rows| k.min(rows))
}

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

//! Rows that a search did not find.

use std::collections::HashSet;
use std::sync::Arc;

use infino_manifest::Snapshot;

use super::merge::{self, FileHit};
use super::{Hit, files};
use crate::{RowFilter, Table, TableError};

/// Up to `limit` live rows that pass `filter` and are not among `found`, by row id, each with `value`.
///
/// # Errors
/// What resolving the filter fails with; storage and corruption errors.
pub async fn search(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    found: &[Hit],
    value: f32,
    limit: usize,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, TableError> {
    let found: HashSet<_> = found.iter().map(|hit| (hit.file, hit.doc)).collect();
    let mut hits = Vec::new();
    for candidate in files::candidates(table, snapshot, filter).await? {
        let file = candidate.entry.id();
        let rows: Box<dyn Iterator<Item = u32> + Send> = match &candidate.allowed {
            Some(allowed) => Box::new(allowed.iter()),
            None => Box::new(0..candidate.entry.summary.row_count),
        };
        // Within a file rows ascend with their ids, so no later row of it can be among the first `limit`.
        let rest = rows.filter(|&doc| !found.contains(&(file, doc))).take(limit);
        hits.extend(rest.map(|doc| FileHit { file, doc, value }));
    }
    let ids = merge::row_ids(table, snapshot, &hits).await?;
    let mut rows: Vec<Hit> = hits
        .iter()
        .zip(ids)
        .map(|(hit, row)| Hit { file: hit.file, doc: hit.doc, row, value })
        .collect();
    rows.sort_unstable_by_key(|hit| hit.row);
    rows.truncate(limit);
    Ok(rows)
}

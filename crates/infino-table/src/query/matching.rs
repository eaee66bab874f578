//! Rows that match a text query, unranked.

use std::sync::Arc;

use infino_format::DocSet;
use infino_fts::Query;
use infino_manifest::{Entry, Snapshot};

use super::merge::{self, FileHit};
use super::{Hit, fan_out, files};
use crate::{RowFilter, Table, TableError};

/// The rows that match `query`, by row id, at most `limit`.
///
/// # Errors
/// As [`super::text::search`].
pub async fn search(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    query: &Query,
    limit: usize,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, TableError> {
    let candidates = files::candidates(table, snapshot, filter).await?;
    let found = fan_out::each(candidates, |candidate| {
        let (table, query) = (table.clone(), query.clone());
        async move {
            let mut rows = file_rows(&table, &candidate.entry, &query).await?;
            if let Some(allowed) = &candidate.allowed {
                rows.intersect(allowed);
            }
            // Within a file rows ascend with their ids, so no later row of it can be among the first `limit`.
            let hits = rows.iter().take(limit).map(|doc| FileHit {
                file: candidate.entry.id(),
                doc,
                value: 0.0,
            });
            Ok(hits.collect::<Vec<_>>())
        }
    })
    .await?;
    let hits = found.concat();
    let ids = merge::row_ids(table, snapshot, &hits).await?;
    let mut rows: Vec<Hit> = hits
        .iter()
        .zip(ids)
        .map(|(hit, row)| Hit { file: hit.file, doc: hit.doc, row, value: 0.0 })
        .collect();
    rows.sort_unstable_by_key(|hit| hit.row);
    rows.truncate(limit);
    Ok(rows)
}

/// The rows of one file that match `query`, dead ones included.
///
/// # Errors
/// As [`search`].
pub async fn file_rows(table: &Table, entry: &Entry, query: &Query) -> Result<DocSet, TableError> {
    let file = table.file(entry).await?;
    let reader = file.text().await?;
    let prepared = file.run_text(reader.prepare(query)?).await?;
    Ok(file.run_text(reader.matches(&prepared)?).await?)
}

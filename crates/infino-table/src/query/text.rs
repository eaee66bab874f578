//! BM25 over the whole table.

use std::collections::HashMap;
use std::sync::Arc;

use infino_format::schema::TextIndex;
use infino_fts::{CorpusStats, FieldStats, Prepared, Query};
use infino_manifest::Snapshot;

use super::files::{self, Candidate};
use super::merge::{self, FileHit, Order};
use super::{Hit, fan_out, within};
use crate::{RowFilter, Table, TableError};

/// The text index on `column`.
///
/// # Errors
/// `Invalid` if there is no such column, `NotIndexed` if it has no text index; both name what there is.
pub fn index<'a>(snapshot: &'a Snapshot, column: &str) -> Result<&'a TextIndex, TableError> {
    let indexes = &snapshot.schema.indexes.text;
    if let Some(index) = indexes.iter().find(|index| index.column == column) {
        return Ok(index);
    }
    super::rows::result_schema(snapshot, None, &[column])?;
    let known = indexes.iter().map(|index| format!("{:?}", index.column)).collect::<Vec<_>>();
    Err(TableError::NotIndexed {
        column: column.to_owned(),
        index: "full-text",
        instead: match known.is_empty() {
            true => "the table has none, create it with `IndexSpec::fts`".to_owned(),
            false => format!("columns with one: {}", known.join(", ")),
        },
    })
}

/// The `k` rows that best answer `query`, best first, equal scores by row id.
///
/// Scores are BM25 over the whole table: document counts, lengths and term frequencies are summed over all files before
/// any is scored, so they do not depend on how the rows are spread.
///
/// # Errors
/// `Text` if the query does not fit its column (a phrase without positions); storage and corruption errors.
pub async fn search(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    query: &Query,
    k: usize,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, TableError> {
    let k = within(snapshot, k);
    if k == 0 {
        return Ok(Vec::new());
    }
    // Statistics come from every file, candidates or not, so that a filter changes no score.
    let (candidates, prepared) = futures::try_join!(
        files::candidates(table, snapshot, filter),
        prepare(table, snapshot, query)
    )?;
    let stats = Arc::new(corpus(snapshot, &prepared));
    let by_file: HashMap<_, _> =
        snapshot.entries.iter().map(|entry| entry.id()).zip(&prepared).collect();
    let work = candidates.into_iter().map(|candidate| {
        let prepared = by_file[&candidate.entry.id()].clone();
        (candidate, prepared)
    });
    let hits = fan_out::each(work.collect(), |(candidate, prepared)| {
        let (table, stats) = (table.clone(), stats.clone());
        async move { search_file(&table, &candidate, &prepared, &stats, k).await }
    })
    .await?;
    merge::best_first(table, snapshot, hits.concat(), k, Order::Descending).await
}

/// The query looked up in the dictionary of every file, in the order of the entries.
pub(crate) async fn prepare(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    query: &Query,
) -> Result<Vec<Arc<Prepared>>, TableError> {
    fan_out::each(snapshot.entries.iter().cloned().collect(), |entry| {
        let (table, query) = (table.clone(), query.clone());
        async move {
            let file = table.file(&entry).await?;
            let reader = file.text().await?;
            Ok(Arc::new(file.run_text(reader.prepare(&query)?).await?))
        }
    })
    .await
}

/// The statistics of the whole table for the terms looked up.
fn corpus(snapshot: &Snapshot, prepared: &[Arc<Prepared>]) -> CorpusStats {
    let mut stats = CorpusStats::default();
    for (entry, prepared) in snapshot.entries.iter().zip(prepared) {
        for text in &entry.summary.text {
            if let Some(column) =
                snapshot.schema.columns.iter().find(|c| c.field_id == text.field_id)
            {
                stats.add_field(&column.name, FieldStats { docs: text.docs, tokens: text.tokens });
            }
        }
        stats.add_terms(&prepared.term_stats());
    }
    stats
}

async fn search_file(
    table: &Table,
    candidate: &Candidate,
    prepared: &Prepared,
    stats: &CorpusStats,
    k: usize,
) -> Result<Vec<FileHit>, TableError> {
    let file = table.file(&candidate.entry).await?;
    let reader = file.text().await?;
    let search = reader.search(prepared, stats, k, candidate.allowed.as_deref(), None)?;
    let hits = file.run_text(search).await?;
    Ok(hits
        .into_iter()
        .map(|hit| FileHit { file: candidate.entry.id(), doc: hit.doc, value: hit.score })
        .collect())
}

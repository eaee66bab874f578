//! The files of a snapshot, and which of their rows a search may rank.

use std::sync::Arc;

use infino_format::DocSet;
use infino_manifest::{Entry, Snapshot, deletes};

use super::fan_out;
use crate::{RowFilter, Table, TableError};

/// Files worked on at once.
pub(crate) const CONCURRENT: usize = 64;

/// A superfile that takes part in a search.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) entry: Arc<Entry>,
    /// The rows that may be ranked; `None` for all.
    pub(crate) allowed: Option<Arc<DocSet>>,
}

/// The dead rows of a file.
pub(crate) async fn dead(table: &Table, entry: &Entry) -> Result<DocSet, TableError> {
    let rows = entry.summary.row_count;
    match &entry.deletes {
        None => Ok(DocSet::empty(rows)),
        Some(stored) => {
            let dead = deletes::load(&*table.inner.store, &table.inner.root, stored).await?;
            Ok(DocSet::from_bitmap(rows, &dead)?)
        }
    }
}

/// The files of `snapshot` that hold live rows which pass `filter`, each with those rows.
pub(crate) async fn candidates(
    table: &Table,
    snapshot: &Snapshot,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Candidate>, TableError> {
    let entries = snapshot.entries.iter().cloned();
    let entries =
        entries.filter(|entry| filter.is_none_or(|filter| filter.may_match(&entry.summary)));
    let found = fan_out::each(entries.collect(), |entry| {
        let (table, filter) = (table.clone(), filter.cloned());
        async move {
            let allowed = allowed(&table, &entry, filter.as_ref()).await?;
            Ok(Candidate { entry, allowed: allowed.map(Arc::new) })
        }
    })
    .await?;
    Ok(found
        .into_iter()
        .filter(|c| c.allowed.as_ref().is_none_or(|rows| !rows.is_empty()))
        .collect())
}

async fn allowed(
    table: &Table,
    entry: &Entry,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Option<DocSet>, TableError> {
    let mut rows = match filter {
        Some(filter) => filter.rows(&*table.file(entry).await?).await?,
        None if entry.deletes.is_none() => return Ok(None),
        None => DocSet::full(entry.summary.row_count),
    };
    if entry.deletes.is_some() {
        rows.subtract(&dead(table, entry).await?);
    }
    Ok(Some(rows))
}

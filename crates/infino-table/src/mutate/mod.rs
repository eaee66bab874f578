//! Deletes, updates and upserts: predicates and keys become rows, rows become deletion vectors and new superfiles, all in
//! one record.

pub(crate) mod commit;
mod delete;
pub(crate) mod keys;
pub(crate) mod stage;
mod update;

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use infino_format::{DocSet, RowId};
use infino_manifest::{Entry, Snapshot};
use infino_wal::WalError;

use crate::query::files;
use crate::{RowFilter, Table, TableError};

/// What a mutation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MutationStats {
    /// Live rows that the predicate matched.
    pub matched: u64,
    /// Rows that are gone or replaced.
    pub tombstoned: u64,
    /// The version that shows it; the version before if nothing matched.
    pub version: u64,
}

/// What becomes of a row that is merged by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeSpec {
    /// If a row with its key is there.
    pub matched: Matched,
    /// If none is.
    pub not_matched: NotMatched,
}

/// What a merge does where a row with the key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matched {
    /// The row given takes its place, all columns, and its `_id`.
    #[default]
    Update,
    /// It goes, and the row given does not come in.
    Delete,
    /// It stays as it is.
    Nothing,
}

/// What a merge does where no row with the key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotMatched {
    /// The row given comes in.
    #[default]
    Insert,
    /// It does not.
    Nothing,
}

/// The live rows of one superfile that a predicate matched.
pub(crate) struct Target {
    pub(crate) entry: Arc<Entry>,
    pub(crate) rows: DocSet,
}

/// The live rows that `filter` matches, by superfile; files without any are left out.
pub(crate) async fn resolve(
    table: &Table,
    snapshot: &Snapshot,
    filter: &Arc<dyn RowFilter>,
) -> Result<Vec<Target>, TableError> {
    let entries = snapshot
        .entries
        .iter()
        .filter(|entry| filter.may_match(&entry.summary))
        .cloned()
        .collect::<Vec<_>>();
    let targets: Vec<Target> = stream::iter(entries)
        .map(|entry| async move {
            let dead = files::dead(table, &entry).await?;
            let mut rows = filter.rows(&*table.file(&entry).await?).await?;
            rows.subtract(&dead);
            Ok::<_, TableError>(Target { entry, rows })
        })
        .buffered(files::CONCURRENT)
        .try_filter(|target| std::future::ready(!target.rows.is_empty()))
        .try_collect()
        .await?;
    check_limit(table, targets.iter().map(|target| u64::from(target.rows.len())).sum())?;
    Ok(targets)
}

/// Refuses a mutation of more rows than one may touch.
pub(crate) fn check_limit(table: &Table, matched: u64) -> Result<(), TableError> {
    let max = table.inner.options.mutation_rows_max;
    if matched <= max {
        return Ok(());
    }
    Err(TableError::invalid(format!(
        "the mutation matches {matched} rows, the limit for one is {max}; narrow it or raise `mutation_rows_max`"
    )))
}

/// The ids of the targets, ascending.
pub(crate) async fn row_ids(table: &Table, targets: &[Target]) -> Result<Vec<RowId>, TableError> {
    let mut ids = Vec::new();
    for target in targets {
        let docs = target.rows.iter().collect::<Vec<_>>();
        ids.extend(table.file(&target.entry).await?.row_ids(&docs).await?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Runs `attempt` until it does not conflict, refreshing in between.
pub(crate) async fn with_retries<T, F>(
    table: &Table,
    mut attempt: impl FnMut(Arc<Snapshot>) -> F,
) -> Result<T, TableError>
where
    F: Future<Output = Result<T, TableError>>,
{
    let attempts = table.inner.options.mutation_attempts.max(1);
    let mut snapshot = table.refresh().await?;
    for _ in 1..attempts {
        match attempt(snapshot).await {
            Err(error) if error.is_conflict() => snapshot = table.refresh().await?,
            other => return other,
        }
    }
    match attempt(snapshot).await {
        Err(TableError::Wal(source)) if matches!(source, WalError::Conflict(_)) => {
            Err(TableError::Contention { attempts, source: Box::new(source) })
        }
        other => other,
    }
}

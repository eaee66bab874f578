//! Deletes and updates: a predicate becomes rows, rows become deletion vectors and new superfiles, all in one record.

mod delete;
mod update;

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use infino_format::DocSet;
use infino_manifest::{Entry, Snapshot};
use infino_wal::{Change, WalError};
use roaring::RoaringBitmap;

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
    let matched: u64 = targets.iter().map(|target| u64::from(target.rows.len())).sum();
    let max = table.inner.options.mutation_rows_max;
    if matched > max {
        return Err(TableError::invalid(format!(
            "the predicate matches {matched} rows, the limit for one mutation is {max}; narrow it or raise `mutation_rows_max`"
        )));
    }
    Ok(targets)
}

/// `change`, killing the targets too; the log stores their deletion vectors and merges them with those of others.
pub(crate) fn killing(change: Change, targets: &[Target]) -> Change {
    targets.iter().fold(change, |change, target| {
        let rows = RoaringBitmap::from_sorted_iter(target.rows.iter())
            .expect("a row set iterates in order");
        change.delete(target.entry.summary.id, target.entry.deletes.clone(), rows)
    })
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

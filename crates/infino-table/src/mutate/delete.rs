//! Rows out.

use std::sync::Arc;

use infino_format::record::Operation;
use infino_manifest::Snapshot;
use infino_wal::Change;

use super::{MutationStats, killing, resolve, with_retries};
use crate::{RowFilter, Table, TableError, writer};

impl Table {
    /// Takes out every row that `filter` matches, in one commit.
    ///
    /// The predicate is resolved on the newest snapshot; if another writer changes the same files meanwhile in a way that
    /// does not merge, it is resolved again.
    ///
    /// # Errors
    /// `Invalid` if it matches more rows than `mutation_rows_max`; `Contention` if it kept losing; storage errors.
    pub async fn delete(&self, filter: Arc<dyn RowFilter>) -> Result<MutationStats, TableError> {
        with_retries(self, |snapshot| delete_on(self, snapshot, &filter)).await
    }

    /// [`Table::delete`] of the rows that `filter` matches in `snapshot`, tried once.
    ///
    /// # Errors
    /// As [`Table::delete`], but for a [conflict](TableError::is_conflict): another writer changed one of the rows since.
    pub async fn delete_at(
        &self,
        snapshot: Arc<Snapshot>,
        filter: Arc<dyn RowFilter>,
    ) -> Result<MutationStats, TableError> {
        delete_on(self, snapshot, &filter).await
    }
}

async fn delete_on(
    table: &Table,
    snapshot: Arc<Snapshot>,
    filter: &Arc<dyn RowFilter>,
) -> Result<MutationStats, TableError> {
    let targets = resolve(table, &snapshot, filter).await?;
    let matched = targets.iter().map(|target| u64::from(target.rows.len())).sum();
    if matched == 0 {
        return Ok(MutationStats { version: snapshot.version, ..MutationStats::default() });
    }
    let epoch = table.inner.log.current().head.epoch;
    let change = killing(Change::new(Operation::Delete, snapshot.version, epoch), &targets);
    let version = writer::publish(table, change).await?.version;
    Ok(MutationStats { matched, tombstoned: matched, version })
}

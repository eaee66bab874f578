//! Rows out.

use std::sync::Arc;

use infino_manifest::Snapshot;

use super::MutationStats;
use crate::{RowFilter, Table, TableError};

impl Table {
    /// Takes out every row that `filter` matches, in one commit.
    ///
    /// The predicate is resolved on the newest snapshot; if another writer changes the same files meanwhile in a way that
    /// does not merge, it is resolved again.
    ///
    /// # Errors
    /// `Invalid` if it matches more rows than `mutation_rows_max`; `Contention` if it kept losing; storage errors.
    pub async fn delete(&self, filter: Arc<dyn RowFilter>) -> Result<MutationStats, TableError> {
        let mut writer = self.writer();
        writer.delete(filter);
        let receipt = writer.commit().await?;
        let matched = receipt.deleted;
        Ok(MutationStats { matched, tombstoned: matched, version: receipt.version })
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
        let mut writer = self.writer().decided_on(snapshot);
        writer.delete(filter);
        let receipt = writer.commit().await?;
        let matched = receipt.deleted;
        Ok(MutationStats { matched, tombstoned: matched, version: receipt.version })
    }
}

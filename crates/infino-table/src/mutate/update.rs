//! Rows replaced.

use std::sync::Arc;

use arrow::array::RecordBatch;
use infino_manifest::Snapshot;

use super::MutationStats;
use crate::{RowFilter, Table, TableError};

impl Table {
    /// Replaces every row that `filter` matches by a row of `rows`, one to one, in one commit.
    ///
    /// The matched rows in the order of their ids take the rows given, first to first; a replaced row keeps its `_id`.
    ///
    /// # Errors
    /// `RowCount` unless as many rows are given as match; `DuplicateKey` if a row given has the key of one that stays;
    /// `Invalid` if a row does not fit the table; otherwise as [`Table::delete`].
    pub async fn update(
        &self,
        filter: Arc<dyn RowFilter>,
        rows: &RecordBatch,
    ) -> Result<MutationStats, TableError> {
        let mut writer = self.writer();
        writer.update(filter, rows).await?;
        let receipt = writer.commit().await?;
        let matched = receipt.updated;
        Ok(MutationStats { matched, tombstoned: matched, version: receipt.version })
    }

    /// [`Table::update`] of the rows that `filter` matches in `snapshot`, tried once: for rows that were made of those.
    ///
    /// # Errors
    /// As [`Table::update`], but for a [conflict](TableError::is_conflict): another writer changed one of the rows since.
    pub async fn update_at(
        &self,
        snapshot: Arc<Snapshot>,
        filter: Arc<dyn RowFilter>,
        rows: &RecordBatch,
    ) -> Result<MutationStats, TableError> {
        let mut writer = self.writer().decided_on(snapshot);
        writer.update(filter, rows).await?;
        let receipt = writer.commit().await?;
        let matched = receipt.updated;
        Ok(MutationStats { matched, tombstoned: matched, version: receipt.version })
    }
}

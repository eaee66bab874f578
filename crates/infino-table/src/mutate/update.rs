//! Rows replaced.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute;
use infino_format::RowId;
use infino_format::record::Operation;
use infino_format::summary::SuperfileSummary;
use infino_manifest::Snapshot;
use infino_wal::Change;

use super::{MutationStats, Target, killing, resolve, with_retries};
use crate::ingest::{build, check};
use crate::{RowFilter, Table, TableError, writer};

impl Table {
    /// Replaces every row that `filter` matches by a row of `rows`, one to one, in one commit.
    ///
    /// The matched rows in the order of their ids take the rows given, first to first; a replaced row keeps its `_id`.
    ///
    /// # Errors
    /// `RowCount` unless as many rows are given as match; `Invalid` if a row does not fit the table; otherwise as
    /// [`Table::delete`].
    pub async fn update(
        &self,
        filter: Arc<dyn RowFilter>,
        rows: &RecordBatch,
    ) -> Result<MutationStats, TableError> {
        with_retries(self, |snapshot| update_on(self, snapshot, &filter, rows)).await
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
        update_on(self, snapshot, &filter, rows).await
    }
}

async fn update_on(
    table: &Table,
    snapshot: Arc<Snapshot>,
    filter: &Arc<dyn RowFilter>,
    rows: &RecordBatch,
) -> Result<MutationStats, TableError> {
    let targets = resolve(table, &snapshot, filter).await?;
    let ids = row_ids(table, &targets).await?;
    let matched = ids.len() as u64;
    if matched != rows.num_rows() as u64 {
        return Err(TableError::RowCount { matched, given: rows.num_rows() as u64 });
    }
    if matched == 0 {
        return Ok(MutationStats { version: snapshot.version, ..MutationStats::default() });
    }
    let epoch = table.inner.log.current().head.epoch;
    let replacement = replacement(table, &snapshot, ids, rows).await?;
    let change = Change::new(Operation::Update, snapshot.version, epoch).add(replacement);
    let version = writer::publish(table, killing(change, &targets)).await?.version;
    Ok(MutationStats { matched, tombstoned: matched, version })
}

/// The ids of the targets, ascending.
async fn row_ids(table: &Table, targets: &[Target]) -> Result<Vec<RowId>, TableError> {
    let mut ids = Vec::new();
    for target in targets {
        let docs = target.rows.iter().collect::<Vec<_>>();
        ids.extend(table.file(&target.entry).await?.row_ids(&docs).await?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// A superfile in storage that holds `rows` under `ids`.
async fn replacement(
    table: &Table,
    snapshot: &Snapshot,
    ids: Vec<RowId>,
    rows: &RecordBatch,
) -> Result<SuperfileSummary, TableError> {
    let schema = &snapshot.schema;
    let user = infino_superfile::arrow_schema(schema)?;
    let file = infino_superfile::file_schema(schema)?;
    let rows = check::conform(&user, &schema.indexes, rows)?;
    // Only the rows themselves: the caller's batch may be a slice of something much larger.
    let rows = compute::concat_batches(&user, [&rows])?;
    let rows = writer::with_ids(&file, &rows, writer::id_column(ids))?;
    build::one(&table.inner, schema, vec![rows]).await
}

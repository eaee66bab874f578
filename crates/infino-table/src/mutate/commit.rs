//! Staged work becomes one record.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_format::{FreshRows, RowId};
use infino_manifest::Snapshot;
use infino_wal::{Change, Conflict, WalError};

use super::keys::Guard;
use super::stage::{Added, Outcome, Step, work_out};
use crate::ingest::{build, check};
use crate::writer::{self, Receipt, Writer};
use crate::{RowFilter, Table, TableError, fresh};

/// Rows of a batch that is built at once.
const BATCH_ROWS: usize = 1 << 16;

/// The superfiles of the rows that updates and merges bring in, kept for when the same rows come out again.
#[derive(Debug)]
struct Merged {
    added: Vec<Added>,
    schema: Arc<TableSchema>,
    epoch: u64,
    built: Vec<SuperfileSummary>,
}

/// Commits what `writer` has staged and clears it. A commit that lost to one that it cannot follow is worked out anew.
pub(crate) async fn run(writer: &mut Writer) -> Result<Receipt, TableError> {
    let attempts = writer.table.inner.options.mutation_attempts.max(1);
    let mut merged = None;
    for attempt in 1.. {
        match once(writer, &mut merged).await {
            Ok(receipt) => {
                writer.clear();
                writer.table.checkpoint_if_due().await;
                writer.table.keep_in_shape();
                return Ok(receipt);
            }
            Err(TableError::Wal(WalError::Conflict(conflict))) if may_retry(writer, &conflict) => {
                if attempt == attempts {
                    let source = Box::new(WalError::Conflict(conflict));
                    return Err(TableError::Contention { attempts, source });
                }
                tracing::debug!(%conflict, attempt, "working a commit out anew");
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the last attempt returns")
}

/// Whether what `writer` staged can be worked out anew on the snapshot of the winner. What was built under an old schema
/// or in an old epoch cannot.
fn may_retry(writer: &Writer, conflict: &Conflict) -> bool {
    if writer.decided_on.is_some() {
        return false;
    }
    match conflict {
        Conflict::SuperfileRemoved { .. }
        | Conflict::RowsChanged { .. }
        | Conflict::KeysTaken { .. } => !writer.steps.is_empty(),
        Conflict::SchemaChanged { .. } | Conflict::Fenced { .. } | Conflict::Expired { .. } => {
            writer.appended.rows() == 0
        }
        _ => false,
    }
}

async fn once(writer: &mut Writer, merged: &mut Option<Merged>) -> Result<Receipt, TableError> {
    writer.build().await?;
    let table = writer.table.clone();
    if writer.rows() == 0 && writer.steps.is_empty() {
        return Ok(Receipt { version: table.snapshot().version, ..Receipt::default() });
    }
    let log = &table.inner.log;
    let (snapshot, mut epoch) = match &writer.base {
        // Nothing is looked up: the commit itself finds out what changed since.
        Some(base) if writer.steps.is_empty() => (base.snapshot.clone(), base.epoch),
        base => {
            let newest = table.refresh().await?;
            let snapshot = writer.decided_on.clone().unwrap_or(newest);
            if base.as_ref().is_some_and(|base| base.snapshot.schema != snapshot.schema) {
                let version = snapshot.version;
                return Err(WalError::Conflict(Conflict::SchemaChanged { version }).into());
            }
            let epoch = log.current().head.epoch;
            (snapshot, base.as_ref().map_or(epoch, |base| base.epoch.min(epoch)))
        }
    };
    if let Some(token) = &writer.token
        && let Some(version) = log.committed_by(token)
    {
        return Ok(Receipt { version, replayed: true, ..Receipt::default() });
    }
    let stale = |filter: &Arc<dyn RowFilter>| {
        filter.schema().is_some_and(|schema| *schema != *snapshot.schema)
    };
    let meant_otherwise = writer.steps.iter().any(|step| match step {
        Step::Delete(filter) | Step::Update { filter, .. } => stale(filter),
        _ => false,
    });
    if meant_otherwise {
        return Err(TableError::invalid(
            "the table's columns changed since the predicate was made; make it again and see whether it still says what it meant",
        ));
    }
    let outcome = work_out(writer, &snapshot).await?;
    let lot = lot(writer, &snapshot, &outcome)?;
    let known = merged.take().filter(|known| {
        // An epoch may pass once under a change; what was put before the last one is put again.
        known.added == outcome.added && known.schema == snapshot.schema && known.epoch == epoch
    });
    let files = match known {
        Some(known) => known,
        None => Merged {
            built: build_added(writer, &snapshot, &outcome.added).await?,
            added: outcome.added.clone(),
            schema: snapshot.schema.clone(),
            epoch,
        },
    };
    epoch = epoch.min(files.epoch);
    let built = files.built.clone();
    *merged = Some(files);

    let appended = writer.appended.built.iter().map(|(_, summary)| summary);
    let live = (writer.appended.rows() - outcome.dead_appended.len())
        + (writer.inserted.rows - outcome.dead_inserted.len())
        + outcome.added.len() as u64;
    let plain = if writer.steps.is_empty() { writer.appended.rows() } else { 0 };
    let receipt = Receipt {
        version: snapshot.version,
        rows: live,
        superfiles: appended.len() + built.len(),
        inserted: outcome.inserted + plain,
        updated: outcome.updated,
        deleted: outcome.deleted,
        unchanged: outcome.unchanged,
        replayed: false,
    };
    let mut change = Change::new(operation(writer, &outcome, live), snapshot.version, epoch);
    change.token = writer.token.clone();
    for summary in appended.cloned().chain(built) {
        change = change.add(summary);
    }
    if let Some(lot) = lot {
        change = change.add_fresh(lot);
    }
    for (file, rows) in writer.appended.dead_in(&outcome.dead_appended) {
        change = change.delete(file, None, rows);
    }
    for (file, (base, rows)) in outcome.kills {
        if !rows.is_empty() {
            change = change.delete(file, base, rows);
        }
    }
    if change.actions.is_empty() && change.deletes.is_empty() {
        return Ok(receipt);
    }
    // Also of those that do not come in: that a key was not there is as much a ground as that it was.
    if !outcome.wanted.is_empty() {
        change = change.guarding(Arc::new(Guard::new(&table, outcome.wanted)));
    }
    let committed = writer::publish(&table, change).await?;
    Ok(match committed.replayed {
        false => Receipt { version: committed.version, ..receipt },
        true => Receipt { version: committed.version, replayed: true, ..Receipt::default() },
    })
}

fn operation(writer: &Writer, outcome: &Outcome, live: u64) -> Operation {
    let updates = |step: &Step| matches!(step, Step::Update { .. });
    let merges = |step: &Step| matches!(step, Step::Merge { .. });
    if outcome.kills.values().all(|(_, rows)| rows.is_empty()) {
        Operation::Append
    } else if live == 0 && !writer.steps.iter().any(merges) {
        // Two deletes of one row agree; of two merges that each count it as theirs one must look again.
        Operation::Delete
    } else if writer.rows() == 0 && writer.steps.iter().all(updates) {
        Operation::Update
    } else {
        Operation::Merge
    }
}

/// The inserted rows as the log carries them.
fn lot(
    writer: &Writer,
    snapshot: &Snapshot,
    outcome: &Outcome,
) -> Result<Option<FreshRows>, TableError> {
    let lane = &writer.inserted;
    if lane.rows == outcome.dead_inserted.len() {
        return Ok(None);
    }
    let user = infino_superfile::arrow_schema(&snapshot.schema)?;
    let file = infino_superfile::file_schema(&snapshot.schema)?;
    let rows = lane
        .batches
        .iter()
        .map(|staged| check::conform(&user, &snapshot.schema.indexes, &staged.rows))
        .collect::<Result<Vec<_>, _>>()?;
    let rows = compute::concat_batches(&user, &rows)?;
    let ids = writer::id_column(lane.batches.iter().flat_map(|staged| staged.ids.iter().copied()));
    let mut rows = writer::with_ids(&file, &rows, ids)?;
    if !outcome.dead_inserted.is_empty() {
        let live = (0..lane.rows as u32).map(|row| Some(!outcome.dead_inserted.contains(row)));
        rows = compute::filter_record_batch(&rows, &live.collect::<BooleanArray>())?;
    }
    fresh::encode(&rows).map(Some)
}

/// Superfiles in storage that hold the rows `added`.
async fn build_added(
    writer: &Writer,
    snapshot: &Snapshot,
    added: &[Added],
) -> Result<Vec<SuperfileSummary>, TableError> {
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let schema = &snapshot.schema;
    let user = infino_superfile::arrow_schema(schema)?;
    let file = infino_superfile::file_schema(schema)?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut at = vec![0; writer.steps.len()];
    for (step, at) in writer.steps.iter().zip(&mut at) {
        if let Step::Update { rows, .. } | Step::Merge { rows, .. } = step {
            *at = batches.len();
            batches.push(check::conform(&user, &schema.indexes, &rows.rows)?);
        }
    }
    let batches: Vec<_> = batches.iter().collect();
    let mut parts = Vec::new();
    for chunk in added.chunks(BATCH_ROWS) {
        let places: Vec<_> = chunk.iter().map(|added| (at[added.step], added.row)).collect();
        let rows = compute::interleave_record_batch(&batches, &places)?;
        let ids = writer::id_column(chunk.iter().map(|added: &Added| -> RowId { added.id }));
        parts.push(writer::with_ids(&file, &rows, ids)?);
    }
    build::shards(&writer.table.inner, schema, &parts).await
}

impl Table {
    /// Puts rows in the place of those with the same keys, or beside the others where there is none, in one commit. Of
    /// several rows of the batch with one key the last wins; a row that is replaced keeps its `_id`.
    ///
    /// # Errors
    /// `Invalid` if the table has no key or a row does not fit it; `Contention` if other writers kept changing the same
    /// rows; otherwise as [`Writer::commit`].
    pub async fn upsert(&self, rows: &RecordBatch) -> Result<Receipt, TableError> {
        let mut writer = self.writer();
        writer.upsert(rows).await?;
        writer.commit().await
    }

    /// Merges rows by key, one after another, in one commit: `spec` says what becomes of a row whose key is there, and of
    /// one whose key is not.
    ///
    /// # Errors
    /// As [`Table::upsert`].
    pub async fn merge_insert(
        &self,
        rows: &RecordBatch,
        spec: super::MergeSpec,
    ) -> Result<Receipt, TableError> {
        let mut writer = self.writer();
        writer.merge_insert(rows, spec).await?;
        writer.commit().await
    }
}

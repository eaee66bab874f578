//! Work staged for one commit.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_format::{Action, RowId};
use infino_manifest::Snapshot;
use infino_wal::{Change, Committed, Conflict, WalError};

use crate::ingest::{build, check};
use crate::{Table, TableError, evolve};

/// Stages rows and publishes all of them in one commit.
///
/// Rows are held in memory until [`TableOptions::buffer_bytes`](crate::TableOptions::buffer_bytes), then built into
/// superfiles in storage; nothing is visible to anybody before [`Writer::commit`]. Dropping a writer drops what it staged;
/// the files it may have put are garbage that `optimize` removes.
#[derive(Debug)]
pub struct Writer {
    table: Table,
    /// The schema the staged rows were checked against; fixed by the first append.
    base: Option<Base>,
    buffer: Vec<RecordBatch>,
    buffer_bytes: usize,
    rows: u64,
    built: Vec<SuperfileSummary>,
    token: Option<String>,
}

#[derive(Debug, Clone)]
struct Base {
    snapshot: Arc<Snapshot>,
    /// The head's epoch before the first object is put, which gc respects.
    epoch: u64,
    user: SchemaRef,
    file: SchemaRef,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the table that shows it; the version before if there was nothing to commit.
    pub version: u64,
    /// Rows added.
    pub rows: u64,
    /// Superfiles added.
    pub superfiles: usize,
}

impl Writer {
    pub(crate) fn new(table: Table) -> Self {
        Self {
            table,
            base: None,
            buffer: Vec::new(),
            buffer_bytes: 0,
            rows: 0,
            built: Vec::new(),
            token: None,
        }
    }

    /// Makes the commit exactly-once: a commit whose token was committed before changes nothing and reports the earlier
    /// version.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Stages the rows of `batch`.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; the writer keeps what was staged before. Storage and build errors if
    /// the buffer was full and had to be built.
    pub async fn append(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let base = self.base().await?;
        let batch = check::conform(&base.user, &base.snapshot.schema.indexes, batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        // Before the batch is taken: if this fails, or is cancelled, what was staged is staged still and the batch is not.
        if self.buffer_bytes >= self.table.inner.options.buffer_bytes {
            self.build().await?;
        }
        for (first, offset, len) in self.number(batch.num_rows()) {
            let part = with_ids(&base.file, &batch.slice(offset, len), consecutive(first, len))?;
            self.buffer_bytes += part.get_array_memory_size().min(slice_bytes(&part));
            self.buffer.push(part);
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Rows staged.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Makes everything staged durable and visible, at once.
    ///
    /// # Errors
    /// `Commit` with the outcome told apart: a conflict (nothing happened), unknown (resolve it by its id), or storage;
    /// build errors before anything was published.
    pub async fn commit(mut self) -> Result<Receipt, TableError> {
        self.build().await?;
        let version = self.table.snapshot().version;
        if self.built.is_empty() {
            return Ok(Receipt { version, rows: 0, superfiles: 0 });
        }
        let base = self.base().await?;
        let superfiles = self.built.len();
        let mut change = Change::new(Operation::Append, base.snapshot.version, base.epoch);
        change.token = self.token.take();
        for summary in self.built.drain(..) {
            change = change.add(summary);
        }
        let committed = publish(&self.table, change).await?;
        match committed.replayed {
            false => Ok(Receipt { version: committed.version, rows: self.rows, superfiles }),
            true => Ok(Receipt { version: committed.version, rows: 0, superfiles: 0 }),
        }
    }

    /// Read from storage: a handle that has been idle for long may hold a head too old to commit against.
    async fn base(&mut self) -> Result<Base, TableError> {
        if let Some(base) = &self.base {
            return Ok(base.clone());
        }
        let snapshot = self.table.refresh().await?;
        let epoch = self.table.inner.log.current().head.epoch;
        let base = Base {
            epoch,
            user: infino_superfile::arrow_schema(&snapshot.schema)?,
            file: infino_superfile::file_schema(&snapshot.schema)?,
            snapshot,
        };
        Ok(self.base.insert(base).clone())
    }

    /// Runs of ids for `rows` rows: first id, first row, rows.
    fn number(&self, rows: usize) -> Vec<(RowId, usize, usize)> {
        let mut at = 0;
        let runs = self.table.inner.mint.run(rows as u64);
        runs.into_iter()
            .map(|(first, len)| {
                let run = (first, at, len as usize);
                at += len as usize;
                run
            })
            .collect()
    }

    async fn build(&mut self) -> Result<(), TableError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let base = self.base().await?;
        let schema: &Arc<TableSchema> = &base.snapshot.schema;
        let built = build::shards(&self.table.inner, schema, &self.buffer).await?;
        self.buffer.clear();
        self.buffer_bytes = 0;
        self.built.extend(built);
        Ok(())
    }
}

/// Commits `change` and makes its snapshot current.
pub(crate) async fn publish(table: &Table, change: Change) -> Result<Committed, TableError> {
    let started = Instant::now();
    if table.inner.options.probe {
        table.inner.runtime.probe(&*table.inner.store).await?;
    }
    let committed = commit(table, change).await?;
    let known = table.snapshot();
    if committed.head.version > known.version {
        match known.advance(&*table.inner.store, &table.inner.root, &committed.head).await {
            Ok(next) => drop(table.inner.publish(Arc::new(next), started)),
            // The commit is durable, so this is no error of it; the next pin reads the head again.
            Err(error) => tracing::warn!(%error, "reading the version just committed failed"),
        }
    }
    table.checkpoint_if_due().await;
    Ok(committed)
}

/// Commits `change`; appended files of an older schema are taken where they are right under the newest one too.
async fn commit(table: &Table, mut change: Change) -> Result<Committed, TableError> {
    let added = |action: &Action| matches!(action, Action::AddSuperfile(_));
    let only_adds = change.deletes.is_empty() && change.actions.iter().all(added);
    loop {
        let refused = match table.inner.log.commit(change.clone()).await {
            Err(WalError::Conflict(Conflict::SchemaChanged { version })) if only_adds => {
                Conflict::SchemaChanged { version }
            }
            other => return Ok(other?),
        };
        let Ok(old) = table.at_version(change.read_version).await else {
            return Err(WalError::Conflict(refused).into());
        };
        let new = table.refresh().await?;
        if new.version <= change.read_version || !evolve::accepts(&new.schema, &old.schema)? {
            return Err(WalError::Conflict(refused).into());
        }
        change.read_version = new.version;
    }
}

/// `batch` with `ids` as its first column.
pub(crate) fn with_ids(
    schema: &SchemaRef,
    batch: &RecordBatch,
    ids: ArrayRef,
) -> Result<RecordBatch, TableError> {
    let columns = std::iter::once(ids).chain(batch.columns().iter().cloned()).collect();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The ids as an `_id` column.
pub(crate) fn id_column(ids: impl IntoIterator<Item = RowId>) -> ArrayRef {
    let ids = Decimal128Array::from_iter_values(ids.into_iter().map(|id| id.0 as i128));
    Arc::new(ids.with_precision_and_scale(38, 0).expect("38 digits are a valid precision"))
}

fn consecutive(first: RowId, len: usize) -> ArrayRef {
    id_column((0..len as u128).map(|i| RowId(first.0 + i)))
}

/// Bytes of the rows themselves; a slice keeps the buffers of the whole alive but will be built without them.
fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

//! Work staged for one commit.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
use arrow::compute;
use arrow::datatypes::SchemaRef;
use infino_format::schema::TableSchema;
use infino_format::{KeyDigest, RowId};
use infino_manifest::Snapshot;
use infino_superfile::KeyEncoder;
use infino_wal::WalError;

use crate::ingest::{build, check};
use crate::mutate::MergeSpec;
use crate::mutate::stage::{Appended, Lane, Staged, Step};
pub(crate) use crate::publish::publish;
use crate::{Held, RowFilter, Table, TableError, mutate};

/// Rows that a writer holds are not built for want of memory before they take this much: tiny files help nobody.
const BUFFER_BYTES_MIN: usize = 8 << 20;

/// Stages appends, inserts, deletes, updates and upserts, and publishes all of them in one commit.
///
/// They take effect in the order in which they were staged. A predicate sees the table as it is when the commit is made,
/// less what was staged before it takes out; it does not see rows that are only staged. Keys are looked up among both.
///
/// Appended rows are held in memory until [`TableOptions::buffer_bytes`](crate::TableOptions::buffer_bytes), then built
/// into superfiles in storage, other rows until the commit; nothing is visible to anybody before [`Writer::commit`].
/// Dropping a writer drops what it staged; the files it may have put are garbage that `optimize` removes.
#[derive(Debug)]
pub struct Writer {
    pub(crate) table: Table,
    /// What appended rows were checked against; fixed by the first append.
    pub(crate) base: Option<Base>,
    pub(crate) appended: Appended,
    /// The memory of the appended rows that are not built yet.
    held: Held,
    pub(crate) inserted: Lane,
    pub(crate) steps: Vec<Step>,
    pub(crate) token: Option<String>,
    /// What the staged changes were decided on, if they hold of no other version.
    pub(crate) decided_on: Option<Arc<Snapshot>>,
    auto_commit_bytes: usize,
    /// Whether an automatic commit may or may not have happened.
    in_doubt: bool,
    /// What was committed early.
    early: Receipt,
}

#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) snapshot: Arc<Snapshot>,
    /// The head's epoch before the first object is put, which gc respects.
    pub(crate) epoch: u64,
    user: SchemaRef,
    file: SchemaRef,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the table that shows it; the version before if there was nothing to commit.
    pub version: u64,
    /// Rows that came in, those in the place of others included.
    pub rows: u64,
    /// Superfiles added.
    pub superfiles: usize,
    /// Rows given that came in beside those that were there.
    pub inserted: u64,
    /// Rows given that took the place of others.
    pub updated: u64,
    /// Rows taken out.
    pub deleted: u64,
    /// Rows given that changed nothing.
    pub unchanged: u64,
    /// Whether the writer's token was committed before, and nothing now.
    pub replayed: bool,
}

impl Receipt {
    /// Both, the later one's version.
    fn and(self, later: Self) -> Self {
        Self {
            version: later.version.max(self.version),
            rows: self.rows + later.rows,
            superfiles: self.superfiles + later.superfiles,
            inserted: self.inserted + later.inserted,
            updated: self.updated + later.updated,
            deleted: self.deleted + later.deleted,
            unchanged: self.unchanged + later.unchanged,
            replayed: self.replayed || later.replayed,
        }
    }
}

impl Writer {
    pub(crate) fn new(table: Table) -> Self {
        Self {
            held: table.inner.runtime.budget().hold(0),
            table,
            base: None,
            appended: Appended::default(),
            inserted: Lane::default(),
            steps: Vec::new(),
            token: None,
            decided_on: None,
            auto_commit_bytes: 0,
            in_doubt: false,
            early: Receipt::default(),
        }
    }

    /// Makes the commit exactly-once: a commit whose token was committed before changes nothing and reports the earlier
    /// version. A commit that finds nothing to change leaves no record, so its token is not remembered.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Binds the commit to `snapshot`: predicates are resolved on it, and if another writer changed the rows since, the
    /// commit is a conflict.
    #[must_use]
    pub fn decided_on(mut self, snapshot: Arc<Snapshot>) -> Self {
        self.decided_on = Some(snapshot);
        self
    }

    /// Commits what is staged whenever the rows appended since the last commit take this many bytes in memory; 0 for
    /// never. A writer with a token commits once, whatever this says.
    #[must_use]
    pub fn auto_commit_bytes(mut self, bytes: usize) -> Self {
        self.auto_commit_bytes = bytes;
        self
    }

    /// Stages the rows of `batch` as new rows.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; the writer keeps what was staged before. Storage and build errors if
    /// the buffer was full and had to be built, or was committed.
    pub async fn append(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.refuse_doubt()?;
        let base = self.base().await?;
        let batch = check::conform(&base.user, &base.snapshot.schema.indexes, batch)?;
        let keys = keys_of(&base.snapshot.schema, &batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        // Before the batch is taken: if this fails, or is cancelled, what was staged is staged still and the batch is not.
        let full = self.appended.buffer_bytes >= self.table.inner.options.buffer_bytes;
        let worth = self.appended.buffer_bytes >= BUFFER_BYTES_MIN;
        if full || (worth && self.table.inner.runtime.budget().is_over()) {
            self.build().await?;
        }
        if let Some(keys) = keys {
            let bounds = bounds_of(&base.snapshot.schema, &batch)?;
            self.steps.push(Step::Append { first: self.appended.rows(), keys, bounds });
        }
        for (first, offset, len) in self.number(batch.num_rows()) {
            let part = with_ids(&base.file, &batch.slice(offset, len), consecutive(first, len))?;
            self.appended.push(part, first);
        }
        self.held.resize(self.appended.buffer_bytes);
        if self.auto_commit_bytes > 0
            && self.token.is_none()
            && self.appended.bytes >= self.auto_commit_bytes
        {
            // Should this be given up halfway, or storage not say what became of it, the rows may be in.
            self.in_doubt = true;
            let outcome = mutate::commit::run(self).await;
            self.in_doubt = matches!(outcome, Err(TableError::Wal(WalError::Unknown(_))));
            self.early = self.early.and(outcome?);
        }
        Ok(())
    }

    /// Stages the rows of `batch` as new rows that ride in the log, so that the commit puts no superfile for them; for a
    /// few rows at a time. They are searchable as soon as others, and sealed into superfiles later.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; the writer keeps what was staged before.
    pub async fn insert(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let staged = self.stage(batch).await?;
        self.steps.push(Step::Insert { first: self.inserted.rows, rows: staged.rows.num_rows() });
        self.inserted.push(staged);
        Ok(())
    }

    /// Stages taking out every row that `filter` matches.
    pub fn delete(&mut self, filter: Arc<dyn RowFilter>) {
        self.steps.push(Step::Delete(filter));
    }

    /// Stages replacing every row that `filter` matches by a row of `rows`, one to one: the matched rows in the order of
    /// their ids take the rows given, first to first. That they are as many is checked at the commit.
    ///
    /// # Errors
    /// `Invalid` naming the column that does not fit; the writer keeps what was staged before.
    pub async fn update(
        &mut self,
        filter: Arc<dyn RowFilter>,
        rows: &RecordBatch,
    ) -> Result<(), TableError> {
        let rows = self.stage(rows).await?;
        self.steps.push(Step::Update { filter, rows });
        Ok(())
    }

    /// Stages the rows of `batch` to take the place of the rows with their keys, or to come in where there is none. Of
    /// several with one key the last wins.
    ///
    /// # Errors
    /// `Invalid` if the table has no key, or naming the column that does not fit.
    pub async fn upsert(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.merge_insert(batch, MergeSpec::default()).await
    }

    /// Stages a merge of the rows of `batch` by key, one after another: what becomes of a row depends on whether a row
    /// with its key is there then.
    ///
    /// # Errors
    /// As [`Writer::upsert`].
    pub async fn merge_insert(
        &mut self,
        batch: &RecordBatch,
        spec: MergeSpec,
    ) -> Result<(), TableError> {
        let rows = self.stage(batch).await?;
        if rows.keys.is_none() {
            return Err(TableError::invalid(
                "the table has no key to match rows by; name its columns when the table is created",
            ));
        }
        self.steps.push(Step::Merge { rows, spec });
        Ok(())
    }

    /// Rows staged by appends and inserts.
    pub fn rows(&self) -> u64 {
        self.appended.rows() + self.inserted.rows
    }

    /// Makes everything staged durable and visible, at once.
    ///
    /// If other writers changed the rows or took the keys that this rests on, they are looked up again and the commit is
    /// made on top of theirs. Where storage gives no clear answer, what became of the commit is asked for before this
    /// returns.
    ///
    /// # Errors
    /// `DuplicateKey`, `RowCount` and `Invalid` if what was staged does not fit the rows found; `Contention` if it kept
    /// losing; `Wal` with the outcome told apart: a conflict (nothing happened), unknown (resolve it by its id), or
    /// storage; build errors before anything was published.
    pub async fn commit(mut self) -> Result<Receipt, TableError> {
        self.refuse_doubt()?;
        let receipt = mutate::commit::run(&mut self).await?;
        Ok(self.early.and(receipt))
    }

    /// Refuses to send again what may be committed already.
    fn refuse_doubt(&self) -> Result<(), TableError> {
        match self.in_doubt {
            false => Ok(()),
            true => Err(TableError::invalid(
                "an automatic commit of this writer was given up before its outcome was known; read the table to see whether \
                 its rows are in, and go on with a new writer",
            )),
        }
    }

    /// Read from storage: a handle that has been idle for long may hold a head too old to commit against.
    pub(crate) async fn base(&mut self) -> Result<Base, TableError> {
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
        self.base = Some(base.clone());
        Ok(base)
    }

    /// The rows of `batch`, checked, and what they are called if they turn out to be new.
    async fn stage(&self, batch: &RecordBatch) -> Result<Staged, TableError> {
        let rows = self.table.conform(batch).await?;
        let schema = &self.table.snapshot().schema;
        // Only the rows themselves: the caller's batch may be a slice of something much larger.
        let rows = compute::concat_batches(&rows.schema(), [&rows])?;
        let runs = self.table.inner.mint.run(rows.num_rows() as u64);
        let ids = runs
            .into_iter()
            .flat_map(|(first, len)| (0..u128::from(len)).map(move |i| RowId(first.0 + i)));
        let ids = ids.collect();
        Ok(Staged { keys: keys_of(schema, &rows)?, bounds: bounds_of(schema, &rows)?, rows, ids })
    }

    /// Ids for `rows` rows: of each run its first id, where it begins in the batch, how long it is.
    fn number(&self, rows: usize) -> Vec<(RowId, usize, usize)> {
        let runs = self.table.inner.mint.run(rows as u64);
        let mut at = 0;
        runs.into_iter()
            .map(|(first, len)| {
                let run = (first, at, len as usize);
                at += len as usize;
                run
            })
            .collect()
    }

    /// Builds what is appended and not built yet.
    pub(crate) async fn build(&mut self) -> Result<(), TableError> {
        if self.appended.buffer.is_empty() {
            return Ok(());
        }
        let base = self.base().await?;
        let schema: &Arc<TableSchema> = &base.snapshot.schema;
        let built = build::shards(&self.table.inner, schema, &self.appended.buffer).await?;
        self.appended.built(built);
        self.held.resize(0);
        Ok(())
    }

    /// Forgets what was committed.
    pub(crate) fn clear(&mut self) {
        self.base = None;
        self.appended = Appended::default();
        self.held.resize(0);
        self.inserted = Lane::default();
        self.steps.clear();
    }
}

/// The keys of the rows of `batch`; `None` if the table has no key.
pub(crate) fn keys_of(
    schema: &TableSchema,
    batch: &RecordBatch,
) -> Result<Option<Vec<KeyDigest>>, TableError> {
    let encoder = KeyEncoder::of(schema, &batch.schema())?;
    Ok(encoder.map(|encoder| encoder.digests(batch)).transpose()?)
}

fn bounds_of(
    schema: &TableSchema,
    batch: &RecordBatch,
) -> Result<Vec<infino_format::summary::ColumnStats>, TableError> {
    match KeyEncoder::of(schema, &batch.schema())? {
        Some(encoder) => mutate::keys::bounds(schema, &encoder, batch),
        None => Ok(Vec::new()),
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
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

//! Many tasks' rows, one record: a lot.
//!
//! An insert joins the queue, and the task that commits takes all that wait: while one swap is on its way the next lot
//! forms. So a lot costs one compare-and-swap however many tasks it serves, and no object of its own while it is small.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::{KeyDigest, RowId};
use infino_manifest::Snapshot;
use infino_superfile::KeyEncoder;
use infino_wal::{Change, Conflict, WalError};
use tokio::sync::oneshot;

use super::rows::encode;
use crate::ingest::check;
use crate::mutate::keys::{self, Guard, Wanted};
use crate::writer::{self, Receipt};
use crate::{Table, TableError};

/// Rows of more bytes than this, as Arrow has them, are appended instead: they are worth a superfile.
const INSERT_BYTES_MAX: usize = 4 << 20;
/// A lot takes no further batch when it has this many bytes.
const LOT_BYTES_MAX: usize = 8 << 20;

/// Rows that wait for their commit.
#[derive(Debug)]
struct Job {
    rows: RecordBatch,
    bytes: usize,
    reply: oneshot::Sender<Result<Receipt, TableError>>,
}

/// The batches that wait.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: Mutex<Vec<Job>>,
    /// Held by the task that commits.
    driving: tokio::sync::Mutex<()>,
}

impl Queue {
    fn push(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }

    fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = |job: &&Job| {
            bytes += job.bytes;
            bytes <= LOT_BYTES_MAX
        };
        let len = jobs.iter().take_while(fits).count().max(1).min(jobs.len());
        jobs.drain(..len).collect()
    }
}

impl Table {
    /// Adds rows, durable and visible to every reader when this returns, in one compare-and-swap of the head that
    /// inserts of other tasks share. For many rows at once [`Table::writer`] makes better files.
    ///
    /// # Errors
    /// `Invalid` if the rows do not fit the table; `DuplicateKey` if the table has a key and a row's is taken, then
    /// nothing of the batch is added; `Wal` with the outcome told apart: a conflict (nothing happened), unknown, or
    /// storage.
    pub async fn insert(&self, rows: &RecordBatch) -> Result<Receipt, TableError> {
        let rows = self.conform(rows).await?;
        if rows.num_rows() == 0 {
            return Ok(Receipt { version: self.snapshot().version, ..Receipt::default() });
        }
        let bytes = writer::slice_bytes(&rows);
        if bytes > INSERT_BYTES_MAX {
            let mut writer = self.writer();
            writer.append(&rows).await?;
            return writer.commit().await;
        }
        let (reply, outcome) = oneshot::channel();
        self.inner.inserts.push(Job { rows, bytes, reply });
        let table = self.clone();
        let driver = tokio::spawn(async move {
            let _driving = table.inner.inserts.driving.lock().await;
            let jobs = table.inner.inserts.take();
            if !jobs.is_empty() {
                table.insert_all(jobs).await;
                table.keep_in_shape();
            }
        });
        match outcome.await {
            Ok(outcome) => outcome,
            // The task that held the rows panicked, or its runtime went down under it.
            Err(_) => match driver.await {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => Err(TableError::invalid("the runtime went down under an insert")),
            },
        }
    }

    /// The rows of `batch` as the table has them, by the newest schema if not by the one this handle knows.
    pub(crate) async fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
        match conform_to(&self.snapshot().schema, batch) {
            Ok(rows) => Ok(rows),
            Err(_) => conform_to(&self.refresh().await?.schema, batch),
        }
    }

    /// Commits all of `jobs` in one record; if that fails for a reason that may be one job's own, each alone.
    async fn insert_all(&self, jobs: Vec<Job>) {
        if let Err(error) = self.catch_up().await {
            // If it has to be, the commit says so.
            tracing::warn!(%error, "fresh rows are not put away");
        }
        let batches: Vec<_> = jobs.iter().map(|job| job.rows.clone()).collect();
        let outcomes = match self.insert_batches(&batches).await {
            Ok(outcomes) => outcomes,
            Err(TableError::Wal(error)) => {
                batches.iter().map(|_| Err(error.clone().into())).collect()
            }
            Err(error) if jobs.len() == 1 => vec![Err(error)],
            Err(_) => {
                let mut outcomes = Vec::new();
                for batch in batches.chunks(1) {
                    outcomes.push(match self.insert_batches(batch).await {
                        Ok(mut one) => one.pop().expect("one outcome a batch"),
                        Err(error) => Err(error),
                    });
                }
                outcomes
            }
        };
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let _ = job.reply.send(outcome);
        }
    }

    /// Commits the rows of `batches` in one record; a batch that takes a key twice is told so, and left out.
    async fn insert_batches(
        &self,
        batches: &[RecordBatch],
    ) -> Result<Vec<Result<Receipt, TableError>>, TableError> {
        let mut outcomes = self.insert_on(self.snapshot(), batches).await?;
        // A key that this handle thought to be taken may be free by now.
        let taken =
            |outcome: &Result<_, _>| matches!(outcome, Err(TableError::DuplicateKey { .. }));
        let refused: Vec<_> = (0..batches.len()).filter(|&at| taken(&outcomes[at])).collect();
        if !refused.is_empty() {
            let again: Vec<_> = refused.iter().map(|&at| batches[at].clone()).collect();
            let second = async { self.insert_on(self.refresh().await?, &again).await };
            match second.await {
                Ok(second) => {
                    for (at, outcome) in refused.into_iter().zip(second) {
                        outcomes[at] = outcome;
                    }
                }
                // The others are in, so this is no error of theirs.
                Err(TableError::Wal(error)) => {
                    refused.into_iter().for_each(|at| outcomes[at] = Err(error.clone().into()));
                }
                Err(error) => tracing::debug!(%error, "keys that were taken stay refused"),
            }
        }
        Ok(outcomes)
    }

    async fn insert_on(
        &self,
        mut snapshot: Arc<Snapshot>,
        batches: &[RecordBatch],
    ) -> Result<Vec<Result<Receipt, TableError>>, TableError> {
        let attempts = self.inner.options.mutation_attempts.max(1);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_insert(&snapshot, batches).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(error) if is_stale(&error) && attempt < attempts => {
                    snapshot = self.refresh().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_insert(
        &self,
        snapshot: &Arc<Snapshot>,
        batches: &[RecordBatch],
    ) -> Result<Vec<Result<Receipt, TableError>>, TableError> {
        let schema = &snapshot.schema;
        let epoch = self.inner.log.current().head.epoch;
        let conformed =
            batches.iter().map(|batch| conform_to(schema, batch)).collect::<Result<Vec<_>, _>>()?;
        let Keyed { taken, guard } = self.look_up(snapshot, &conformed).await?;
        let user = infino_superfile::arrow_schema(schema)?;
        let kept = conformed.iter().zip(&taken).filter(|(_, taken)| taken.is_none());
        let rows = compute::concat_batches(&user, kept.map(|(batch, _)| batch))?;
        let mut version = snapshot.version;
        if rows.num_rows() > 0 {
            let file = infino_superfile::file_schema(schema)?;
            let runs = self.inner.mint.run(rows.num_rows() as u64);
            let ids = runs
                .into_iter()
                .flat_map(|(first, len)| (0..u128::from(len)).map(move |i| RowId(first.0 + i)));
            let lot = encode(&writer::with_ids(&file, &rows, writer::id_column(ids))?)?;
            let mut change = Change::new(Operation::Append, snapshot.version, epoch).add_fresh(lot);
            if let Some(guard) = guard {
                change = change.guarding(Arc::new(guard));
            }
            version = writer::publish(self, change).await?.version;
        }
        let outcomes = conformed.iter().zip(taken).map(|(batch, taken)| match taken {
            Some(key) => Err(TableError::DuplicateKey { key }),
            None => {
                let rows = batch.num_rows() as u64;
                Ok(Receipt { version, rows, inserted: rows, ..Receipt::default() })
            }
        });
        Ok(outcomes.collect())
    }

    /// Which of `batches` take a key that is taken, by a row of `snapshot` or one before them.
    async fn look_up(
        &self,
        snapshot: &Arc<Snapshot>,
        batches: &[RecordBatch],
    ) -> Result<Keyed, TableError> {
        let schema: &TableSchema = &snapshot.schema;
        let input = infino_superfile::file_schema(schema)?;
        let Some(encoder) = KeyEncoder::of(schema, &input)? else {
            return Ok(Keyed { taken: vec![None; batches.len()], guard: None });
        };
        let mut bounds = Vec::new();
        let mut digests: Vec<Vec<KeyDigest>> = Vec::new();
        for batch in batches {
            bounds.push(keys::bounds(schema, &encoder, batch)?);
            digests.push(encoder.digests(batch)?);
        }
        let wanted = Wanted::new(digests.iter().flatten().copied(), bounds);
        let held = keys::find(self, snapshot, &Arc::new(wanted.clone())).await?;
        let mut held: HashSet<KeyDigest> = held.into_iter().map(|holder| holder.key).collect();
        let mut taken = Vec::new();
        for (batch, digests) in batches.iter().zip(&digests) {
            let twice = keys::repeated(digests);
            let at = twice.or_else(|| digests.iter().position(|key| held.contains(key)));
            taken.push(at.map(|row| keys::describe(&encoder, batch, row)));
            if at.is_none() {
                held.extend(digests);
            }
        }
        Ok(Keyed { taken, guard: Some(Guard::new(self, wanted)) })
    }
}

/// What the keys of a lot say.
struct Keyed {
    /// Per batch the key that it may not take, if there is one.
    taken: Vec<Option<String>>,
    guard: Option<Guard>,
}

fn conform_to(schema: &TableSchema, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
    let user = infino_superfile::arrow_schema(schema)?;
    let rows = check::conform(&user, &schema.indexes, batch)?;
    let input = infino_superfile::file_schema(schema)?;
    if let Some(encoder) = KeyEncoder::of(schema, &input)? {
        encoder.check(&rows)?;
    }
    Ok(rows)
}

/// Whether the commit failed because what this handle knows of the table is old.
fn is_stale(error: &TableError) -> bool {
    let TableError::Wal(WalError::Conflict(conflict)) = error else { return false };
    matches!(
        conflict,
        Conflict::KeysTaken { .. }
            | Conflict::SchemaChanged { .. }
            | Conflict::Fenced { .. }
            | Conflict::Expired { .. }
    )
}

//! What a writer has staged, and what it comes to on a snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use infino_format::summary::{ColumnStats, SuperfileSummary};
use infino_format::{Deletes, KeyDigest, RowId, SuperfileId};
use infino_manifest::Snapshot;
use infino_superfile::KeyEncoder;
use roaring::RoaringBitmap;

use super::keys::{self, Holder, Wanted};
use super::{Matched, MergeSpec, NotMatched, Target, resolve, row_ids};
use crate::writer::{Writer, slice_bytes};
use crate::{RowFilter, Table, TableError};

/// Something staged, in the order in which it was.
#[derive(Debug)]
pub(crate) enum Step {
    /// Appended rows of a table with a key.
    Append { first: u64, keys: Vec<KeyDigest>, bounds: Vec<ColumnStats> },
    /// The next batch of the inserted lane.
    Insert { first: u64, rows: usize },
    /// Rows out.
    Delete(Arc<dyn RowFilter>),
    /// Rows replaced.
    Update { filter: Arc<dyn RowFilter>, rows: Staged },
    /// Rows merged by key.
    Merge { rows: Staged, spec: MergeSpec },
}

/// Rows held until the commit.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) rows: RecordBatch,
    /// What a row is called if it turns out to be new.
    pub(crate) ids: Vec<RowId>,
    pub(crate) keys: Option<Vec<KeyDigest>>,
    pub(crate) bounds: Vec<ColumnStats>,
}

/// Rows that are to ride in the log.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) batches: Vec<Staged>,
    pub(crate) rows: u64,
}

impl Lane {
    pub(crate) fn push(&mut self, staged: Staged) {
        self.rows += staged.rows.num_rows() as u64;
        self.batches.push(staged);
    }

    fn row_id(&self, mut row: usize) -> RowId {
        for batch in &self.batches {
            match batch.ids.get(row) {
                Some(&id) => return id,
                None => row -= batch.ids.len(),
            }
        }
        unreachable!("the row was staged in this lane")
    }
}

/// Appended rows, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    /// Those that are not built yet.
    pub(crate) buffer: Vec<RecordBatch>,
    pub(crate) buffer_bytes: usize,
    /// Bytes of all of them.
    pub(crate) bytes: usize,
    /// The superfiles built, and the first row of each.
    pub(crate) built: Vec<(u64, SuperfileSummary)>,
    /// Where runs of consecutive ids begin: a row and its id.
    runs: Vec<(u64, RowId)>,
    built_rows: u64,
    rows: u64,
}

impl Appended {
    /// All of them.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn push(&mut self, batch: RecordBatch, first: RowId) {
        let bytes = batch.get_array_memory_size().min(slice_bytes(&batch));
        self.buffer_bytes += bytes;
        self.bytes += bytes;
        self.runs.push((self.rows, first));
        self.rows += batch.num_rows() as u64;
        self.buffer.push(batch);
    }

    /// Notes that the buffer is in these superfiles, in order.
    pub(crate) fn built(&mut self, summaries: Vec<SuperfileSummary>) {
        for summary in summaries {
            let first = self.built_rows;
            self.built_rows += u64::from(summary.row_count);
            self.built.push((first, summary));
        }
        self.buffer.clear();
        self.buffer_bytes = 0;
    }

    fn row_id(&self, row: u64) -> RowId {
        let (first, id) = self.runs[self.runs.partition_point(|run| run.0 <= row) - 1];
        RowId(id.0 + u128::from(row - first))
    }

    /// The superfiles and which of the rows `dead` each holds.
    pub(crate) fn dead_in(&self, dead: &RoaringBitmap) -> Vec<(SuperfileId, RoaringBitmap)> {
        let of = |(first, summary): &(u64, SuperfileSummary)| {
            let rows = *first as u32..*first as u32 + summary.row_count;
            let rows = dead.range(rows).map(|row| row - *first as u32);
            (summary.id, rows.collect::<RoaringBitmap>())
        };
        self.built.iter().map(of).filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

/// A row that comes in by an update or a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) id: RowId,
    pub(crate) step: usize,
    pub(crate) row: usize,
}

/// What staged work comes to on a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows of the snapshot that die, and the deletes that their superfiles have.
    pub(crate) kills: BTreeMap<SuperfileId, (Option<Deletes>, RoaringBitmap)>,
    /// Rows that come in by updates and merges, by id.
    pub(crate) added: Vec<Added>,
    /// Appended rows that something staged later took the place of.
    pub(crate) dead_appended: RoaringBitmap,
    /// The same of inserted rows.
    pub(crate) dead_inserted: RoaringBitmap,
    /// The keys of all rows that come in, if the table has a key.
    pub(crate) wanted: Wanted,
    pub(crate) inserted: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    pub(crate) unchanged: u64,
}

/// The row that has a key.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    Stored(Holder),
    Appended(u32),
    Inserted(u32),
    Added(usize),
}

/// Works out what the steps of `writer` come to on `snapshot`.
pub(crate) async fn work_out(
    writer: &Writer,
    snapshot: &Arc<Snapshot>,
) -> Result<Outcome, TableError> {
    let wanted = wanted(writer);
    let held = keys::find(&writer.table, snapshot, &Arc::new(wanted.clone())).await?;
    let carriers = held.into_iter().map(|holder| (holder.key, Carrier::Stored(holder))).collect();
    let outcome = Outcome { wanted, ..Outcome::default() };
    let mut work = Work { writer, snapshot, carriers, added: Vec::new(), outcome };
    for (at, step) in writer.steps.iter().enumerate() {
        work.step(at, step).await?;
    }
    let Work { added, mut outcome, .. } = work;
    outcome.added = added.into_iter().flatten().collect();
    outcome.added.sort_unstable_by_key(|added| added.id);
    let dead: u64 = outcome.kills.values().map(|(_, rows)| rows.len()).sum();
    super::check_limit(&writer.table, dead)?;
    Ok(outcome)
}

/// All keys of what is staged.
fn wanted(writer: &Writer) -> Wanted {
    let mut all = Vec::new();
    let mut bounds = Vec::new();
    let mut take = |staged: &Staged| {
        all.extend(staged.keys.iter().flatten());
        bounds.push(staged.bounds.clone());
    };
    writer.inserted.batches.iter().for_each(&mut take);
    for step in &writer.steps {
        if let Step::Update { rows, .. } | Step::Merge { rows, .. } = step {
            take(rows);
        }
    }
    for step in &writer.steps {
        if let Step::Append { keys, bounds: of, .. } = step {
            all.extend(keys);
            bounds.push(of.clone());
        }
    }
    Wanted::new(all, bounds)
}

struct Work<'a> {
    writer: &'a Writer,
    snapshot: &'a Arc<Snapshot>,
    carriers: HashMap<KeyDigest, Carrier>,
    /// `None` where a later row took the place.
    added: Vec<Option<Added>>,
    outcome: Outcome,
}

impl Work<'_> {
    async fn step(&mut self, at: usize, step: &Step) -> Result<(), TableError> {
        match step {
            Step::Append { first, keys, .. } => {
                for (row, &key) in (*first as u32..).zip(keys) {
                    self.take_new(key, Carrier::Appended(row))?;
                }
                self.outcome.inserted += keys.len() as u64;
            }
            Step::Insert { first, rows } => {
                let mut batch = self.writer.inserted.batches.iter();
                let mut start = 0;
                let staged = batch.find(|staged| {
                    let found = start == *first && staged.rows.num_rows() == *rows;
                    start += staged.rows.num_rows() as u64;
                    found
                });
                let keys = staged.and_then(|staged| staged.keys.as_ref());
                for (row, &key) in (*first as u32..).zip(keys.into_iter().flatten()) {
                    self.take_new(key, Carrier::Inserted(row))?;
                }
                self.outcome.inserted += *rows as u64;
            }
            Step::Delete(filter) => {
                let targets = self.kill_matching(filter).await?;
                let rows = targets.iter().map(|target| u64::from(target.rows.len()));
                self.outcome.deleted += rows.sum::<u64>();
            }
            Step::Update { filter, rows } => {
                let targets = self.kill_matching(filter).await?;
                let ids = row_ids(&self.writer.table, &targets).await?;
                let (matched, given) = (ids.len() as u64, rows.rows.num_rows() as u64);
                if matched != given {
                    return Err(TableError::RowCount { matched, given });
                }
                for (row, id) in ids.into_iter().enumerate() {
                    let carrier = Carrier::Added(self.added.len());
                    if let Some(keys) = &rows.keys {
                        self.take_new(keys[row], carrier)
                            .map_err(|error| named(self.snapshot, &rows.rows, row, error))?;
                    }
                    self.added.push(Some(Added { id, step: at, row }));
                }
                self.outcome.updated += given;
            }
            Step::Merge { rows, spec } => {
                for (row, &key) in rows.keys.iter().flatten().enumerate() {
                    self.merge(Added { id: rows.ids[row], step: at, row }, key, *spec);
                }
            }
        }
        Ok(())
    }

    /// The row that has `key` now.
    fn carrier(&self, key: KeyDigest) -> Option<Carrier> {
        let carrier = *self.carriers.get(&key)?;
        match carrier {
            Carrier::Stored(holder) => {
                let dead = self.outcome.kills.get(&holder.file);
                (!dead.is_some_and(|(_, rows)| rows.contains(holder.doc))).then_some(carrier)
            }
            _ => Some(carrier),
        }
    }

    /// Gives `key` to a row that must not find it taken.
    fn take_new(&mut self, key: KeyDigest, carrier: Carrier) -> Result<(), TableError> {
        if self.carrier(key).is_some() {
            return Err(TableError::DuplicateKey { key: describe(self.writer, key) });
        }
        self.carriers.insert(key, carrier);
        Ok(())
    }

    fn merge(&mut self, row: Added, key: KeyDigest, spec: MergeSpec) {
        match self.carrier(key) {
            Some(carrier) => match spec.matched {
                Matched::Update => {
                    let id = self.row_id(carrier);
                    self.kill(carrier);
                    self.carriers.insert(key, Carrier::Added(self.added.len()));
                    self.added.push(Some(Added { id, ..row }));
                    self.outcome.updated += 1;
                }
                Matched::Delete => {
                    self.kill(carrier);
                    self.carriers.remove(&key);
                    self.outcome.deleted += 1;
                }
                Matched::Nothing => self.outcome.unchanged += 1,
            },
            None => match spec.not_matched {
                NotMatched::Insert => {
                    self.carriers.insert(key, Carrier::Added(self.added.len()));
                    self.added.push(Some(row));
                    self.outcome.inserted += 1;
                }
                NotMatched::Nothing => self.outcome.unchanged += 1,
            },
        }
    }

    fn row_id(&self, carrier: Carrier) -> RowId {
        match carrier {
            Carrier::Stored(holder) => holder.row,
            Carrier::Appended(row) => self.writer.appended.row_id(row.into()),
            Carrier::Inserted(row) => self.writer.inserted.row_id(row as usize),
            Carrier::Added(at) => self.added[at].expect("a carrier is alive").id,
        }
    }

    fn kill(&mut self, carrier: Carrier) {
        match carrier {
            Carrier::Stored(holder) => {
                self.kills_of(holder.file).insert(holder.doc);
            }
            Carrier::Appended(row) => drop(self.outcome.dead_appended.insert(row)),
            Carrier::Inserted(row) => drop(self.outcome.dead_inserted.insert(row)),
            Carrier::Added(at) => self.added[at] = None,
        }
    }

    fn kills_of(&mut self, file: SuperfileId) -> &mut RoaringBitmap {
        let deletes = self.snapshot.entries.get(file).and_then(|entry| entry.deletes.clone());
        &mut self.outcome.kills.entry(file).or_insert_with(|| (deletes, RoaringBitmap::new())).1
    }

    /// Kills the rows of the snapshot that `filter` matches and nothing killed before.
    async fn kill_matching(
        &mut self,
        filter: &Arc<dyn RowFilter>,
    ) -> Result<Vec<Target>, TableError> {
        let table: &Table = &self.writer.table;
        let mut targets = resolve(table, self.snapshot, filter).await?;
        for target in &mut targets {
            if let Some((_, dead)) = self.outcome.kills.get(&target.entry.id()) {
                for doc in dead {
                    target.rows.remove(doc);
                }
            }
        }
        for target in &targets {
            self.kills_of(target.entry.id()).extend(target.rows.iter());
        }
        Ok(targets)
    }
}

fn named(snapshot: &Snapshot, rows: &RecordBatch, row: usize, error: TableError) -> TableError {
    let encoder = KeyEncoder::of(&snapshot.schema, &rows.schema());
    match (error, encoder) {
        (TableError::DuplicateKey { .. }, Ok(Some(encoder))) => {
            TableError::DuplicateKey { key: keys::describe(&encoder, rows, row) }
        }
        (error, _) => error,
    }
}

/// A staged key in words.
fn describe(writer: &Writer, key: KeyDigest) -> String {
    let of = |rows: &RecordBatch, keys: &[KeyDigest]| {
        let row = keys.iter().position(|found| *found == key)?;
        let encoder =
            KeyEncoder::of(&writer.table.snapshot().schema, &rows.schema()).ok().flatten()?;
        Some(keys::describe(&encoder, rows, row))
    };
    let lane = writer.inserted.batches.iter();
    let inserted = lane.filter_map(|staged| of(&staged.rows, staged.keys.as_deref()?));
    let appended = writer.appended.buffer.iter().filter_map(|rows| {
        let encoder =
            KeyEncoder::of(&writer.table.snapshot().schema, &rows.schema()).ok().flatten()?;
        of(rows, &encoder.digests(rows).ok()?)
    });
    inserted.chain(appended).next().unwrap_or_else(|| "the same key".to_owned())
}

//! Which rows have a key: lookups through the key sections of superfiles, and the guard of a commit that rests on them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Decimal128Type;
use async_trait::async_trait;
use infino_format::summary::{ColumnStats, SuperfileSummary};
use infino_format::{Action, DocId, KeyDigest, Record, RowId, SuperfileId};
use infino_manifest::prune::Predicate;
use infino_manifest::{Entry, Snapshot};
use infino_superfile::{ID_COLUMN, KeyEncoder, column_stats};
use infino_wal::KeyGuard;

use crate::query::{fan_out, files};
use crate::{Table, TableError, fresh};

/// Keys to look up, each once, and what statistics may rule them out by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// By hash, ascending.
    keys: Vec<KeyDigest>,
    hashes: Vec<u64>,
    /// What the values of the key's columns lie between, of each batch that the keys are of.
    bounds: Vec<Vec<ColumnStats>>,
}

/// A live row that has one of the keys looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) key: KeyDigest,
    pub(crate) file: SuperfileId,
    pub(crate) doc: DocId,
    pub(crate) row: RowId,
}

impl Wanted {
    /// The keys of some batches and what [`bounds`] says of each.
    pub(crate) fn new(
        keys: impl IntoIterator<Item = KeyDigest>,
        bounds: Vec<Vec<ColumnStats>>,
    ) -> Self {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable_by_key(|key| (key.hash(), key.0));
        keys.dedup();
        let hashes = keys.iter().map(|key| key.hash()).collect();
        Self { keys, hashes, bounds }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The hashes that `summary` does not rule out.
    fn possible(&self, entry: &Entry) -> Vec<u64> {
        let within = |bounds: &Vec<ColumnStats>| {
            bounds.iter().all(|column| {
                let (min, max) = (column.min.clone(), column.max.clone());
                Predicate::Between { field_id: column.field_id, min, max }.may_match(entry)
            })
        };
        if !self.bounds.is_empty() && !self.bounds.iter().any(within) {
            return Vec::new();
        }
        match &entry.summary.key {
            Some(filter) => {
                self.hashes.iter().copied().filter(|&hash| filter.may_hold(hash)).collect()
            }
            None => self.hashes.clone(),
        }
    }

    fn holds(&self, key: KeyDigest) -> bool {
        let at = self.hashes.partition_point(|&hash| hash < key.hash());
        self.keys[at..].iter().take_while(|found| found.hash() == key.hash()).any(|&k| k == key)
    }
}

/// What the key's columns of `batch` lie between.
pub(crate) fn bounds(
    table: &infino_format::TableSchema,
    encoder: &KeyEncoder,
    batch: &RecordBatch,
) -> Result<Vec<ColumnStats>, TableError> {
    let mut bounds = Vec::new();
    for name in encoder.columns() {
        let id = table.columns.iter().find(|column| column.name == *name).map(|c| c.field_id);
        if let (Some(id), Some(values)) = (id, batch.column_by_name(name)) {
            bounds.push(column_stats(id, values)?);
        }
    }
    Ok(bounds)
}

/// The live rows of `snapshot` that have one of the keys `wanted`.
///
/// A superfile is opened only if neither its key range nor its filter rules all of them out; of its key section the
/// blocks are read that may hold one, and of its rows the keys of those that a block names.
pub(crate) async fn find(
    table: &Table,
    snapshot: &Snapshot,
    wanted: &Arc<Wanted>,
) -> Result<Vec<Holder>, TableError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let schema = infino_superfile::file_schema(&snapshot.schema)?;
    let Some(encoder) = KeyEncoder::of(&snapshot.schema, &schema)? else { return Ok(Vec::new()) };
    let work = snapshot.entries.iter().filter_map(|entry| {
        let hashes = wanted.possible(entry);
        (!hashes.is_empty()).then(|| (entry.clone(), hashes))
    });
    let found = fan_out::each(work.collect(), |(entry, hashes)| {
        let (table, wanted, encoder) = (table.clone(), wanted.clone(), encoder.clone());
        async move { find_in(&table, &entry, &hashes, &wanted, &encoder).await }
    })
    .await?;
    Ok(found.concat())
}

async fn find_in(
    table: &Table,
    entry: &Entry,
    hashes: &[u64],
    wanted: &Wanted,
    encoder: &KeyEncoder,
) -> Result<Vec<Holder>, TableError> {
    let file = table.file(entry).await?;
    let mut docs: Vec<_> = file.key_docs(hashes).await?.into_iter().map(|(_, doc)| doc).collect();
    docs.sort_unstable();
    docs.dedup();
    if entry.deletes.is_some() && !docs.is_empty() {
        let dead = files::dead(table, entry).await?;
        docs.retain(|&doc| !dead.contains(doc));
    }
    if docs.is_empty() {
        return Ok(Vec::new());
    }
    let mut columns: Vec<&str> = encoder.columns().iter().map(String::as_str).collect();
    columns.push(ID_COLUMN);
    let rows = file.rows(&docs, &columns).await?;
    let keys = encoder.digests(&rows)?;
    let ids = rows.column(columns.len() - 1).as_primitive::<Decimal128Type>().values();
    let holders = keys.into_iter().zip(docs).zip(ids);
    Ok(holders
        .filter(|((key, _), _)| wanted.holds(*key))
        .map(|((key, doc), &id)| Holder { key, file: entry.id(), doc, row: RowId(id as u128) })
        .collect())
}

/// Stands guard over the keys of the rows that a change adds: another commit must not have added them meanwhile.
#[derive(Debug)]
pub(crate) struct Guard {
    table: Table,
    wanted: Arc<Wanted>,
}

impl Guard {
    pub(crate) fn new(table: &Table, wanted: Wanted) -> Self {
        Self { table: table.clone(), wanted: Arc::new(wanted) }
    }

    async fn look(&self, winner: &Record) -> Result<bool, TableError> {
        let schema = self.table.snapshot().schema.clone();
        let input = infino_superfile::file_schema(&schema)?;
        let Some(encoder) = KeyEncoder::of(&schema, &input)? else { return Ok(false) };
        for action in &winner.actions {
            let clashes = match action {
                Action::AddSuperfile(summary) => self.look_in(summary, &encoder).await?,
                Action::AddFresh(rows) => {
                    let batches = fresh::decode(rows, &schema)?;
                    let keys = batches.iter().map(|batch| encoder.digests(batch));
                    let keys = keys.collect::<Result<Vec<_>, _>>()?.concat();
                    keys.into_iter().any(|key| self.wanted.holds(key))
                }
                _ => false,
            };
            if clashes {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn look_in(
        &self,
        summary: &SuperfileSummary,
        encoder: &KeyEncoder,
    ) -> Result<bool, TableError> {
        let entry = Entry { summary: Arc::new(summary.clone()), deletes: None, built: None };
        let hashes = self.wanted.possible(&entry);
        if hashes.is_empty() {
            return Ok(false);
        }
        Ok(!find_in(&self.table, &entry, &hashes, &self.wanted, encoder).await?.is_empty())
    }
}

#[async_trait]
impl KeyGuard for Guard {
    async fn clashes(&self, winner: &Record) -> bool {
        // What cannot be looked at may clash: the keys are then looked up anew, and that says what is wrong.
        self.look(winner).await.unwrap_or(true)
    }
}

/// The key of a row in words.
pub(crate) fn describe(encoder: &KeyEncoder, batch: &RecordBatch, row: usize) -> String {
    let value = |name: &String| {
        let text = batch
            .column_by_name(name)
            .and_then(|column| arrow::util::display::array_value_to_string(column, row).ok());
        format!("{name} = {}", text.unwrap_or_default())
    };
    encoder.columns().iter().map(value).collect::<Vec<_>>().join(", ")
}

/// The first of `keys` that stands there before.
pub(crate) fn repeated(keys: &[KeyDigest]) -> Option<usize> {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().position(|key| !seen.insert(*key))
}

//! Rows that belong together, by the values of columns, in files of their own.
//!
//! Within a file rows stand in the order of their ids, so what is sorted is which file a row stands in: each file of a
//! clustered table holds a range of values, and the statistics of the manifest rule out the others before they are opened.
//! A run of files whose ranges overlap becomes as many files with ranges apart, in one commit that gives way to others as
//! a compaction does.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef};
use arrow::row::{OwnedRow, RowConverter, Rows as KeyRows, SortField};
use futures::TryStreamExt;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::summary::{Scalar, SuperfileSummary};
use infino_format::{DocId, DocSet, SuperfileId};
use infino_manifest::{Entry, Snapshot};
use infino_wal::{Change, Relocation};

use super::compact;
use super::merge::{Merge, Open};
use super::relocate::Places;
use crate::query::files;
use crate::{Table, TableError, evolve, writer};

/// Rows that are looked at to find where ranges end.
const SAMPLES_MAX: usize = 1 << 16;

/// What [`Table::cluster`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterOptions {
    /// By the values of these, the first one first; it must be of a type that has statistics.
    pub columns: Vec<String>,
    /// Rows of a file.
    pub rows_target: u64,
    /// Most rows of a commit. Every one of them is read once for each file that is written, as far as pages go.
    pub rows_max: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self { columns: Vec::new(), rows_target: 1_000_000, rows_max: 16_000_000 }
    }
}

/// What [`Table::cluster`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterReport {
    /// Runs of files that were divided anew.
    pub groups: usize,
    /// Runs left as they were because a writer changed them meanwhile; the next call takes them.
    pub groups_skipped: usize,
    /// Superfiles that went out.
    pub superfiles_removed: usize,
    /// Superfiles they became.
    pub superfiles_added: usize,
}

impl Table {
    /// Divides the rows of files whose ranges of the first column overlap anew, so that each file holds a range of its own.
    /// Files that hold one already are left alone, and so are rows that are not sealed.
    ///
    /// # Errors
    /// `Invalid` if a column is not there, or no statistics are kept of the first; storage and build errors.
    pub async fn cluster(&self, options: &ClusterOptions) -> Result<ClusterReport, TableError> {
        let snapshot = self.refresh().await?;
        let first = sort_field(&snapshot.schema, options)?;
        let mut report = ClusterReport::default();
        for group in groups(&snapshot, first, options) {
            match divide(self, &snapshot, &group, options).await {
                Ok(files) => {
                    report.groups += 1;
                    report.superfiles_removed += group.len();
                    report.superfiles_added += files;
                }
                Err(error) if error.is_conflict() => report.groups_skipped += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }
}

/// The field id of the first column.
fn sort_field(schema: &TableSchema, options: &ClusterOptions) -> Result<u32, TableError> {
    let body = infino_superfile::body_schema(schema)?;
    for name in &options.columns {
        body.field_with_name(name)
            .map_err(|_| TableError::invalid(format!("the table stores no column {name:?}")))?;
    }
    let Some(name) = options.columns.first() else {
        return Err(TableError::invalid("name the columns to cluster by"));
    };
    let data_type = body.field_with_name(name)?.data_type();
    if data_type.is_nested() || data_type.is_floating() {
        return Err(TableError::invalid(format!(
            "no statistics are kept of column {name:?}, which is {data_type}, so files would not be ruled out by it"
        )));
    }
    let column = schema.columns.iter().find(|column| column.name == *name);
    Ok(column.map_or(0, |column| column.field_id))
}

/// Runs of files, by the least value of a column, each of which overlaps the one before; no run has more rows than a commit may
/// have, and one file alone is none.
fn groups(snapshot: &Snapshot, field_id: u32, options: &ClusterOptions) -> Vec<Vec<Arc<Entry>>> {
    let range = |entry: &Entry| {
        let stats = entry.summary.columns.iter().find(|stats| stats.field_id == field_id)?;
        Some((stats.min.clone()?, stats.max.clone()?))
    };
    let mut ranged: Vec<((Scalar, Scalar), Arc<Entry>)> = snapshot
        .entries
        .iter()
        .filter(|entry| entry.built.is_none())
        .filter_map(|entry| Some((range(entry)?, entry.clone())))
        .collect();
    ranged.sort_by(|a, b| order(&a.0.0, &b.0.0));
    let mut groups: Vec<Vec<Arc<Entry>>> = Vec::new();
    let mut reach: Option<Scalar> = None;
    let mut rows = 0;
    for ((min, max), entry) in ranged {
        let overlaps = reach.as_ref().is_some_and(|reach| order(&min, reach).is_lt());
        rows += entry.live_rows();
        if !overlaps || rows > options.rows_max {
            groups.push(Vec::new());
            rows = entry.live_rows();
            reach = None;
        }
        reach = Some(match reach {
            Some(reach) if order(&reach, &max).is_gt() => reach,
            _ => max,
        });
        groups.last_mut().expect("pushed for the first").push(entry);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The order of bounds of one column, all of one kind.
fn order(a: &Scalar, b: &Scalar) -> std::cmp::Ordering {
    use Scalar::{Binary, Bool, Decimal, Int, Text, UInt};
    match (a, b) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (Int(a), Int(b)) => a.cmp(b),
        (UInt(a), UInt(b)) => a.cmp(b),
        (Decimal(a), Decimal(b)) => a.cmp(b),
        (Text(a), Text(b)) => a.cmp(b),
        (Binary(a), Binary(b)) => a.cmp(b),
        // A column that was widened between files; they are not told apart.
        _ => std::cmp::Ordering::Equal,
    }
}

/// The columns' values as bytes that sort as they do.
struct Keys {
    converter: RowConverter,
    columns: Vec<String>,
}

impl Keys {
    fn new(schema: &TableSchema, columns: &[String]) -> Result<Self, TableError> {
        let body = infino_superfile::body_schema(schema)?;
        let fields: Vec<FieldRef> = columns
            .iter()
            .map(|name| body.field_with_name(name).map(|field| Arc::new(Field::clone(field))))
            .collect::<Result<_, _>>()?;
        let fields = fields.iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        Ok(Self { converter, columns: columns.to_vec() })
    }

    /// The keys of the rows `live` of a file, in its order.
    async fn of(
        &self,
        table: &Table,
        schema: &TableSchema,
        entry: &Entry,
        live: &DocSet,
    ) -> Result<Vec<KeyRows>, TableError> {
        let file = table.file(entry).await?;
        let names: Vec<_> = self.columns.iter().map(String::as_str).collect();
        let batches = evolve::scan(&file, schema, &names, Some(live)).await?;
        let keys = |batch: RecordBatch| Ok(self.converter.convert_columns(batch.columns())?);
        batches.and_then(|batch| std::future::ready(keys(batch))).try_collect().await
    }
}

/// Puts files with ranges apart in the place of `group`; how many.
async fn divide(
    table: &Table,
    snapshot: &Snapshot,
    group: &[Arc<Entry>],
    options: &ClusterOptions,
) -> Result<usize, TableError> {
    let mut group = group.to_vec();
    group.sort_by_key(|entry| entry.summary.min_row_id);
    let epoch = table.inner.log.current().head.epoch;
    let schema = &snapshot.schema;
    let rows: u64 = group.iter().map(|entry| entry.live_rows()).sum();
    let keys = Keys::new(schema, &options.columns)?;
    let files = usize::try_from(rows.div_ceil(options.rows_target.max(1))).unwrap_or(usize::MAX);
    let files = files.clamp(1, SAMPLES_MAX);
    let step = usize::try_from(rows).unwrap_or(usize::MAX).div_ceil(SAMPLES_MAX).max(1);
    let mut sample: Vec<OwnedRow> = Vec::new();
    let mut lives = Vec::with_capacity(group.len());
    for entry in &group {
        let mut live = DocSet::full(entry.summary.row_count);
        live.subtract(&files::dead(table, entry).await?);
        let found = keys.of(table, schema, entry, &live).await?;
        sample
            .extend(found.iter().flat_map(|rows| rows.iter()).step_by(step).map(|key| key.owned()));
        lives.push(live);
    }
    sample.sort_unstable();
    let mut ends: Vec<OwnedRow> =
        (1..files).filter_map(|file| sample.get(file * sample.len() / files).cloned()).collect();
    ends.dedup();

    let mut keeps: Vec<Vec<DocSet>> = Vec::with_capacity(group.len());
    for (entry, live) in group.iter().zip(&lives) {
        let mut sets = vec![DocSet::empty(entry.summary.row_count); ends.len() + 1];
        let found = keys.of(table, schema, entry, live).await?;
        for (doc, key) in live.iter().zip(found.iter().flat_map(|rows| rows.iter())) {
            sets[ends.partition_point(|end| end.row() <= key)].insert(doc);
        }
        keeps.push(sets);
    }
    let mut change = Change::new(Operation::Compact, snapshot.version, epoch);
    for entry in &group {
        change = change.remove(entry.id());
    }
    let mut outputs: Vec<(SuperfileId, Vec<Places>)> = Vec::new();
    for part in 0..=ends.len() {
        let (summary, places) = one(table, schema, &group, &keeps, part).await?;
        if let Some(summary) = summary {
            outputs.push((summary.id, places));
            change = change.add(summary);
        }
    }
    let files = outputs.len();
    let inputs = group.iter().map(|entry| (entry.id(), entry.deletes.clone())).collect();
    let ids: Vec<_> = group.iter().map(|entry| entry.id()).collect();
    let place = move |superfile: SuperfileId, doc: DocId| {
        let input = ids.iter().position(|&id| id == superfile)?;
        outputs.iter().find_map(|(id, places)| Some((*id, places[input].of(doc)?)))
    };
    writer::publish(table, change.relocating(Relocation { inputs, place: Arc::new(place) }))
        .await?;
    table.checkpoint_if_due().await;
    Ok(files)
}

/// The rows of one range in a superfile in storage, `None` if there are none; and where each row of each input went.
async fn one(
    table: &Table,
    schema: &Arc<TableSchema>,
    group: &[Arc<Entry>],
    keeps: &[Vec<DocSet>],
    part: usize,
) -> Result<(Option<SuperfileSummary>, Vec<Places>), TableError> {
    let opens = group.iter().zip(keeps).map(|(entry, sets)| {
        let (table, schema, entry) = (table.clone(), schema.clone(), entry.clone());
        let keep = sets[part].clone();
        let least = entry.summary.min_row_id.0 as i128;
        let open: Open = Box::pin(async move {
            let file = table.file(&entry).await?;
            let rows = evolve::scan_all(&file, &schema, Some(&keep)).await?;
            Ok((rows, Places::new(keep)))
        });
        (least, open)
    });
    compact::build(table, schema, Merge::new(opens.collect())).await
}

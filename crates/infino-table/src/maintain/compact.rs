//! Several superfiles become one, without their dead rows.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute;
use futures::{StreamExt, stream};
use infino_format::DocSet;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_manifest::{Entry, Snapshot};
use infino_superfile::SuperfileBuilder;
use infino_wal::{Change, Relocation};

use super::merge::{Merge, Open, Rows};
use super::relocate::Places;
use super::{CompactOptions, CompactReport, plan};
use crate::evolve;
use crate::fresh::FreshFile;
use crate::ingest;
use crate::query::files;
use crate::{Table, TableError, writer};

impl Table {
    /// Merges small superfiles and rewrites those with many dead rows, one commit a group.
    ///
    /// A delete that lands on an input meanwhile follows its rows into the merged file; an input that is gone by then leaves
    /// the group to the next run. What was merged stays if a later group fails: the next run goes on from there.
    ///
    /// # Errors
    /// Storage and build errors; `Invalid` if the options allow no memory.
    pub async fn compact(&self, options: &CompactOptions) -> Result<CompactReport, TableError> {
        let mut report = CompactReport::default();
        let mut snapshot = self.refresh().await?;
        loop {
            let mut merged = 0;
            for group in plan::groups(&snapshot, options) {
                if report.groups == options.groups_max {
                    return Ok(report);
                }
                merged += usize::from(merge_group(self, &snapshot, &group, &mut report).await?);
            }
            // What was merged may be small enough to be merged again.
            if merged < 2 {
                return Ok(report);
            }
            snapshot = self.refresh().await?;
        }
    }
}

/// Merges one group; returns whether that was committed.
async fn merge_group(
    table: &Table,
    snapshot: &Snapshot,
    group: &[Arc<Entry>],
    report: &mut CompactReport,
) -> Result<bool, TableError> {
    match replace(table, snapshot, group).await {
        Ok(merged) => {
            report.groups += 1;
            report.superfiles_removed += group.len();
            report.superfiles_added += usize::from(merged.is_some());
            report.rows_reclaimed += group.iter().map(|entry| entry.deleted_rows()).sum::<u64>();
            report.bytes_read += group.iter().map(|entry| entry.summary.file_len).sum::<u64>();
            report.bytes_written += merged.map_or(0, |summary| summary.file_len);
            Ok(true)
        }
        Err(error) if error.is_conflict() => {
            report.groups_skipped += 1;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Puts one superfile in the place of `group`, or none if all of its rows are dead; which it put.
pub(crate) async fn replace(
    table: &Table,
    snapshot: &Snapshot,
    group: &[Arc<Entry>],
) -> Result<Option<SuperfileSummary>, TableError> {
    let mut group = group.to_vec();
    group.sort_by_key(|entry| entry.summary.min_row_id);
    let epoch = table.inner.log.current().head.epoch;
    let (merged, places) = merge(table, &snapshot.schema, &group).await?;
    let mut change = Change::new(Operation::Compact, snapshot.version, epoch);
    for entry in &group {
        change = change.remove(entry.summary.id);
    }
    change = change.relocating(relocation(&group, places, merged.as_ref()));
    if let Some(summary) = merged.clone() {
        change = change.add(summary);
    }
    writer::publish(table, change).await?;
    table.checkpoint_if_due().await;
    Ok(merged)
}

fn relocation(
    group: &[Arc<Entry>],
    places: Vec<Places>,
    merged: Option<&SuperfileSummary>,
) -> Relocation {
    let inputs = group.iter().map(|entry| (entry.summary.id, entry.deletes.clone())).collect();
    let ids = group.iter().map(|entry| entry.summary.id).collect::<Vec<_>>();
    let target = merged.map(|summary| summary.id);
    let place = move |superfile, doc| {
        let input = ids.iter().position(|&id| id == superfile)?;
        Some((target?, places[input].of(doc)?))
    };
    Relocation { inputs, place: Arc::new(place) }
}

/// The live rows of `group` in one new superfile in storage, `None` if all are dead; and where each row went.
async fn merge(
    table: &Table,
    schema: &Arc<TableSchema>,
    group: &[Arc<Entry>],
) -> Result<(Option<SuperfileSummary>, Vec<Places>), TableError> {
    let opens = group.iter().map(|entry| {
        let (table, schema, entry) = (table.clone(), schema.clone(), entry.clone());
        let least = entry.summary.min_row_id.0 as i128;
        let open: Open = Box::pin(async move { live_rows(&table, &schema, &entry).await });
        (least, open)
    });
    build(table, schema, Merge::new(opens.collect())).await
}

/// The merged rows in one new superfile in storage, `None` if there are none; and where each row of each input went.
pub(super) async fn build(
    table: &Table,
    schema: &Arc<TableSchema>,
    mut rows: Merge,
) -> Result<(Option<SuperfileSummary>, Vec<Places>), TableError> {
    let Some(mut batch) = rows.next().await? else { return Ok((None, rows.into_places())) };
    let inner = &table.inner;
    let mut builder = SuperfileBuilder::new(schema, ingest::build::superfile_options(inner))?;
    // The builder travels to the CPU pool and back; meanwhile the next rows are read.
    loop {
        let push = inner.runtime.run(move || builder.push(&batch).map(|()| builder));
        let (pushed, next) = tokio::join!(push, rows.next());
        builder = pushed?;
        match next? {
            Some(next) => batch = next,
            None => break,
        }
    }
    let summary = ingest::build::store(inner, builder).await?;
    Ok((Some(summary), rows.into_places()))
}

async fn live_rows(
    table: &Table,
    schema: &Arc<TableSchema>,
    entry: &Arc<Entry>,
) -> Result<(Rows, Places), TableError> {
    let mut keep = DocSet::full(entry.summary.row_count);
    keep.subtract(&files::dead(table, entry).await?);
    if let Some(built) = &entry.built {
        let mut at = 0;
        let mut live = Vec::new();
        for batch in FreshFile::of(built)?.batches()? {
            let end = at + batch.num_rows() as u32;
            let passes: BooleanArray = (at..end).map(|doc| Some(keep.contains(doc))).collect();
            live.push(Ok(compute::filter_record_batch(&batch, &passes)?));
            at = end;
        }
        return Ok((stream::iter(live).boxed(), Places::new(keep)));
    }
    let file = table.file(entry).await?;
    let rows = evolve::scan_all(&file, schema, Some(&keep)).await?;
    Ok((rows, Places::new(keep)))
}

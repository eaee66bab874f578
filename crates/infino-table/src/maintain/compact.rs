//! Several superfiles become one, without their dead rows.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute;
use futures::{StreamExt, TryStreamExt, stream};
use infino_format::DocSet;
use infino_format::record::Operation;
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_manifest::{Entry, Snapshot};
use infino_superfile::SuperfileBuilder;
use infino_wal::{Change, Relocation};

use super::merge::{Merge, Rows};
use super::relocate::Places;
use super::{OptimizeReport, plan};
use crate::fresh::FreshFile;
use crate::ingest::build;
use crate::query::files;
use crate::{Table, TableError, writer};

/// Merges every group that [`plan::groups`] finds, one commit a group.
///
/// A delete that lands on an input meanwhile follows its rows into the merged file; an input that is gone by then leaves
/// the group to the next run.
pub(super) async fn run(table: &Table) -> Result<OptimizeReport, TableError> {
    let snapshot = table.refresh().await?;
    let mut report = OptimizeReport::default();
    for group in plan::groups(&snapshot) {
        match replace(table, &snapshot, &group).await {
            Ok(added) => {
                report.superfiles_removed += group.len();
                report.superfiles_added += added;
                report.rows_reclaimed +=
                    group.iter().map(|entry| entry.deleted_rows()).sum::<u64>();
            }
            Err(error) if error.is_conflict() => report.groups_skipped += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// Puts one superfile in the place of `group`, or none if all of its rows are dead; how many it put.
pub(crate) async fn replace(
    table: &Table,
    snapshot: &Snapshot,
    group: &[Arc<Entry>],
) -> Result<usize, TableError> {
    let epoch = table.inner.log.current().head.epoch;
    let (merged, places) = merge(table, &snapshot.schema, group).await?;
    let added = usize::from(merged.is_some());
    let mut change = Change::new(Operation::Compact, snapshot.version, epoch);
    for entry in group {
        change = change.remove(entry.summary.id);
    }
    change = change.relocating(relocation(group, places, merged.as_ref()));
    if let Some(summary) = merged {
        change = change.add(summary);
    }
    writer::publish(table, change).await?;
    table.checkpoint_if_due().await;
    Ok(added)
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
    let mut inputs = Vec::with_capacity(group.len());
    for entry in group {
        inputs.push(live_rows(table, entry).await?);
    }
    let mut rows = Merge::new(inputs).await?;
    let Some(mut batch) = rows.next().await? else { return Ok((None, rows.into_places())) };
    let inner = &table.inner;
    let mut builder = SuperfileBuilder::new(schema, build::superfile_options(inner))?;
    // The builder travels to the CPU pool and back, so that reading never waits on a thread of the pool.
    loop {
        let push = move || builder.push(&batch).map(|()| builder);
        builder = inner.runtime.run(push).await?;
        match rows.next().await? {
            Some(next) => batch = next,
            None => break,
        }
    }
    let scratch = inner.scratch_dir();
    let (file, summary) = inner
        .runtime
        .run(move || {
            let create = tempfile::NamedTempFile::new_in(&scratch);
            let file = create.map_err(build::local("creating a scratch file"))?;
            let summary = build::finish(builder, file.as_file())?;
            Ok::<_, TableError>((file, summary))
        })
        .await?;
    build::put(inner, file.path(), &summary).await?;
    Ok((Some(summary), rows.into_places()))
}

async fn live_rows(table: &Table, entry: &Arc<Entry>) -> Result<(Rows, Places), TableError> {
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
    let rows = file.scan(None, Some(&keep)).await?;
    Ok((rows.map_err(TableError::from).boxed(), Places::new(keep)))
}

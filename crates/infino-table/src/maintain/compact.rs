//! Several superfiles become one, without their dead rows.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use infino_format::record::{Action, Operation};
use infino_format::schema::TableSchema;
use infino_format::summary::SuperfileSummary;
use infino_format::DocSet;
use infino_manifest::Entry;
use infino_superfile::SuperfileBuilder;
use infino_wal::Change;

use super::merge::{Merge, Rows};
use super::{OptimizeReport, plan};
use crate::ingest::build;
use crate::query::files;
use crate::{Table, TableError, mutate, writer};

/// Merges every group that [`plan::groups`] finds, one commit a group.
pub(super) async fn run(table: &Table) -> Result<OptimizeReport, TableError> {
    let snapshot = table.refresh().await?;
    let mut report = OptimizeReport::default();
    for group in plan::groups(&snapshot) {
        let merged = merge(table, &snapshot.schema, &group).await?;
        let dead: u64 = group.iter().map(|entry| entry.dead_rows()).sum();
        let (removed, added) = (group.len(), usize::from(merged.is_some()));
        let actions = group
            .iter()
            .map(|entry| Action::RemoveSuperfile(entry.summary.id))
            .chain(merged.map(Action::AddSuperfile))
            .collect();
        // The version the group was read at: whatever landed on its files since is a conflict.
        match writer::publish(table, Change::new(Operation::Compact, snapshot.version, actions)).await {
            Ok(_) => {
                report.superfiles_removed += removed;
                report.superfiles_added += added;
                report.rows_reclaimed += dead;
            }
            Err(error) if mutate::is_conflict(&error) => report.groups_skipped += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// The live rows of `group` in one new superfile in storage; `None` if all are dead.
async fn merge(
    table: &Table,
    schema: &Arc<TableSchema>,
    group: &[Arc<Entry>],
) -> Result<Option<SuperfileSummary>, TableError> {
    let mut inputs = Vec::with_capacity(group.len());
    for entry in group {
        inputs.push(live_rows(table, entry).await?);
    }
    let mut rows = Merge::new(inputs).await?;
    let Some(mut batch) = rows.next().await? else { return Ok(None) };
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
    Ok(Some(summary))
}

async fn live_rows(table: &Table, entry: &Arc<Entry>) -> Result<Rows, TableError> {
    let mut keep = DocSet::full(entry.summary.row_count);
    keep.subtract(&files::dead(table, entry).await?);
    let file = table.file(entry).await?;
    let rows = file.scan(None, Some(&keep)).await?;
    Ok(rows.map_err(TableError::from).boxed())
}

//! A new generation of files: the same rows in the same places under another schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use infino_format::schema::TableSchema;
use infino_format::{SuperfileId, SuperfileSummary};
use infino_manifest::{Entry, Snapshot, deletes};
use infino_superfile::SuperfileBuilder;
use infino_wal::{Change, Relocation};

use super::plan::Plan;
use super::read::{Columns, Source};
use crate::fresh::FreshFile;
use crate::ingest::build;
use crate::{Table, TableError};

/// The files that were written so far, by the file that each is made from; kept while a change is tried again.
#[derive(Default)]
pub(super) struct Done {
    /// The head's epoch before the first of them was put.
    pub(super) epoch: Option<u64>,
    /// The schema that they are of, and the one that those they are made from are of.
    pub(super) schemas: Option<(Arc<TableSchema>, TableSchema)>,
    pub(super) files: BTreeMap<SuperfileId, SuperfileSummary>,
}

/// `change`, which also puts a file of the new schema in the place of each file of `now`.
pub(super) async fn all(
    table: &Table,
    now: &Snapshot,
    plan: &Plan,
    done: &mut Done,
    mut change: Change,
) -> Result<Change, TableError> {
    let schema = Arc::new(plan.schema.clone());
    let entries: Vec<Arc<Entry>> = now.entries.iter().cloned().collect();
    done.files.retain(|old, _| now.entries.get(*old).is_some());
    let mut inputs = Vec::with_capacity(entries.len());
    for entry in &entries {
        let new = match done.files.get(&entry.id()) {
            Some(new) => new.clone(),
            None => {
                let new = one(table, entry, &now.schema, &schema, plan).await?;
                done.files.insert(entry.id(), new.clone());
                new
            }
        };
        let id = new.id;
        change = change.remove(entry.id()).add(new);
        inputs.push((entry.id(), entry.deletes.clone()));
        if let Some(stored) = &entry.deletes {
            let dead = deletes::load(&*table.inner.store, &table.inner.root, stored).await?;
            change = change.delete(id, None, dead);
        }
    }
    let places: BTreeMap<SuperfileId, SuperfileId> =
        done.files.iter().map(|(old, new)| (*old, new.id)).collect();
    let place = move |old, doc| Some((*places.get(&old)?, doc));
    Ok(change.relocating(Relocation { inputs, place: Arc::new(place) }))
}

/// A file in storage with the rows of `entry`, dead ones included.
async fn one(
    table: &Table,
    entry: &Entry,
    now: &TableSchema,
    schema: &Arc<TableSchema>,
    plan: &Plan,
) -> Result<SuperfileSummary, TableError> {
    let inner = &table.inner;
    let file = table.file(entry).await?;
    // Files of a table have its columns under the names that they have in the table now.
    let source = |name: &str| {
        let Some(column) = schema.columns.iter().find(|column| column.name == name) else {
            return Source::File(name.to_owned());
        };
        let known = now.columns.iter().find(|known| known.field_id == column.field_id);
        let fill = plan.fills.iter().find(|(field_id, _)| *field_id == column.field_id);
        let held = known.filter(|known| file.schema().field_with_name(&known.name).is_ok());
        match (held, fill) {
            (Some(held), _) => Source::File(held.name.clone()),
            (None, Some((_, value))) => Source::Value(value.clone()),
            (None, None) => Source::Null,
        }
    };
    let target = infino_superfile::file_schema(schema)?;
    let columns = Columns::new(target, source);
    let mut rows = match &entry.built {
        None => columns.scan(&file, None).await?,
        Some(built) => columns.over(FreshFile::of(built)?.batches()?),
    };
    let mut builder = SuperfileBuilder::new(schema, build::superfile_options(inner))?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        builder = inner.runtime.run(move || builder.push(&batch).map(|()| builder)).await?;
    }
    build::store(inner, builder).await
}

//! Garbage: what no kept version names.
//!
//! An object goes if nothing that can be opened names it and nobody can come to name it. The first is known from the
//! head: every checkpoint and record back to the oldest kept version is read. The second is known from the fences that the
//! head remembers: a change is committed in the epoch in which its first object was put or in the next, so an object that
//! was put before the epoch before this one began is out of reach of every writer, however slow. Only the store's clock is
//! read, and only for objects against each other. Nothing is deleted unless everything that is kept was found.

use std::collections::HashSet;

use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::{Action, Head, ObjectRef, Record};
use infino_storage::{Store, Tag};

use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::tail;
use crate::tags;

/// The folders of a table that are collected; what lies elsewhere is not the table's.
const FOLDERS: [&str; 5] = ["data", "deletes", "log", "manifest", "gc"];
/// The head is read again before each so many deletions.
const BATCH: usize = 64;

/// What a collection may do.
#[derive(Debug, Clone, Copy)]
pub struct GcOptions {
    /// Objects are left alone for this long after the fence that frees them, by the store's clock, in milliseconds.
    pub grace_ms: u64,
    /// Whether to only count.
    pub dry_run: bool,
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Objects that stay because a kept version names them.
    pub kept: usize,
    /// Objects that nothing names and that are too young to say so for good.
    pub young: usize,
    /// Objects that went, or with `dry_run` would go.
    pub deleted: usize,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Deletions that failed; the objects are garbage still and go the next time.
    pub failed: usize,
}

/// Deletes what no kept version of the table under `root` names and no writer can come to name.
///
/// Which versions are kept and which writers are shut out is decided by fencing the log beforehand; a table that was not
/// fenced twice has no garbage yet.
///
/// # Errors
/// [`ManifestError`] if anything that is kept cannot be read: then nothing more is deleted.
pub async fn collect(
    store: &dyn Store,
    root: &str,
    options: GcOptions,
) -> Result<GcReport, ManifestError> {
    let place = Place { store, root };
    let mut report = GcReport::default();
    let (mut head, mut tag) = read_head(place).await?;
    let Some(before_ms) = free_before(&head, options.grace_ms) else { return Ok(report) };
    let mut named = reachable(place, &head).await?;
    let mut garbage = Vec::new();
    for folder in FOLDERS {
        for info in store.list(&format!("{}/", place.path(folder))).await? {
            if named.contains(&info.path) {
                report.kept += 1;
            } else if info.modified_ms >= before_ms {
                report.young += 1;
            } else {
                garbage.push(info);
            }
        }
    }
    for batch in garbage.chunks(BATCH) {
        let path = place.path("head");
        if let Some((bytes, newer)) = store.get_if_changed(&path, &tag).await? {
            head = Head::decode(&bytes).map_err(ManifestError::corrupt(&path))?;
            tag = newer;
            named.extend(reachable(place, &head).await?);
        }
        for info in batch.iter().filter(|info| !named.contains(&info.path)) {
            let gone = options.dry_run || store.delete(&info.path).await.is_ok();
            if gone {
                report.deleted += 1;
                report.deleted_bytes += info.len;
            } else {
                report.failed += 1;
            }
        }
    }
    tracing::debug!(?report, version = head.version, "collected garbage");
    Ok(report)
}

async fn read_head(place: Place<'_>) -> Result<(Head, Tag), ManifestError> {
    let path = place.path("head");
    let (bytes, tag) = place.store.get(&path).await?;
    Ok((Head::decode(&bytes).map_err(ManifestError::corrupt(&path))?, tag))
}

/// Objects put before this, by the store's clock, are out of every writer's reach.
fn free_before(head: &Head, grace_ms: u64) -> Option<u64> {
    let [.., before, _] = &head.fences[..] else { return None };
    before.store_ms.checked_sub(grace_ms)
}

/// The names of all objects that some version may need which can be opened now, or could be an epoch ago.
async fn reachable(place: Place<'_>, head: &Head) -> Result<HashSet<String>, ManifestError> {
    // A change made an epoch ago may bring back files of the versions that could be opened then.
    let floor = match &head.fences[..] {
        [.., before, _] => before.floor.min(head.floor),
        _ => 0,
    };
    let mut named = HashSet::from([place.path("head")]);
    let records = tail(place, head, head.checkpoint_version()).await?;
    records.iter().for_each(|record| name_record(place, &mut named, record));
    let mut properties = None;
    for item in &head.tail {
        if let infino_format::head::TailItem::Segment(segment) = item {
            name(place, &mut named, &segment.object);
        }
    }
    let mut at: Option<CheckpointRef> = head.checkpoint.clone();
    while let Some(checkpoint) = at {
        let list = place.list(&checkpoint).await?;
        name(place, &mut named, &checkpoint.list);
        list.parts.iter().for_each(|part| name(place, &mut named, &part.object));
        let newest = || list.properties.iter().cloned().collect();
        properties.get_or_insert_with(newest);
        let oldest = checkpoint.version <= floor || list.ancestors.is_empty();
        if oldest {
            // The snapshot that the oldest kept versions are replayed from.
            name_entries(place, &mut named, &list).await?;
        }
        if checkpoint.version < floor {
            break;
        }
        for segment in &list.segments {
            name(place, &mut named, &segment.object);
        }
        // A checkpoint of the oldest version is all that it needs; the record that made it is still told of.
        let all = checkpoint.version > floor;
        let records = place.records(&list.segments).await?;
        let needed = records.iter().filter(|record| all || record.version == floor);
        needed.for_each(|record| name_record(place, &mut named, record));
        if !all {
            break;
        }
        at = list.ancestors.into_iter().next();
    }
    let mut properties = properties.unwrap_or_default();
    records.iter().for_each(|record| tags::follow(&mut properties, record));
    for tag in tags::all(&properties)? {
        let list = place.list(&tag.checkpoint).await?;
        name(place, &mut named, &tag.checkpoint.list);
        list.parts.iter().for_each(|part| name(place, &mut named, &part.object));
        name_entries(place, &mut named, &list).await?;
    }
    Ok(named)
}

fn name(place: Place<'_>, named: &mut HashSet<String>, object: &ObjectRef) {
    named.insert(place.path(&object.path));
}

/// Names the superfiles of `list` and all deletion vectors.
async fn name_entries(
    place: Place<'_>,
    named: &mut HashSet<String>,
    list: &CheckpointList,
) -> Result<(), ManifestError> {
    let fresh = list.fresh.iter().filter_map(|(_, deletes)| deletes.as_ref()?.object());
    fresh.for_each(|object| name(place, named, object));
    let objects = list.parts.iter().map(|part| part.object.clone()).collect();
    for (part, bytes) in list.parts.iter().zip(place.get_all(objects).await?) {
        let entries = part.entries(&bytes);
        for entry in entries.map_err(ManifestError::corrupt(&part.object.path))? {
            named.insert(place.path(&entry.summary.path()));
            let vector = entry.deletes.iter().filter_map(|deletes| deletes.object());
            vector.for_each(|object| name(place, named, object));
        }
    }
    Ok(())
}

fn name_record(place: Place<'_>, named: &mut HashSet<String>, record: &Record) {
    for action in &record.actions {
        match action {
            Action::AddSuperfile(summary) => drop(named.insert(place.path(&summary.path()))),
            Action::SetDeletes { deletes, .. } => {
                named.extend(deletes.object().map(|object| place.path(&object.path)));
            }
            _ => {}
        }
    }
}

//! Folding: writing a snapshot down, so that readers have less to apply and heads stay short.

use std::collections::HashSet;
use std::sync::Arc;

use infino_format::head::TailItem;
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::{self, PartEntry, PartRef};
use infino_format::segment::{self, SegmentRef};
use infino_format::{FormatError, Head, ObjectRef, Record};
use infino_storage::Store;

use crate::entry::Chunk;
use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::Snapshot;

/// A checkpoint that is durable and not published yet.
#[derive(Debug, Clone)]
pub struct Folded {
    /// The checkpoint, for the log to publish.
    pub checkpoint: CheckpointRef,
    /// The epoch it was staged in, for the log to publish it with.
    pub epoch: u64,
    /// The same snapshot, knowing the parts that hold it: the next fold from it rewrites only what changed.
    pub snapshot: Snapshot,
    /// Objects written.
    pub objects: usize,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes down `snapshot`, the version of `head`: the parts that changed since the last checkpoint, the records since as
/// log segments, and the list that names them all. Nothing sees it until the log publishes it; any writer may, and if
/// another fold came first it is garbage.
///
/// # Errors
/// [`ManifestError::Stale`] if the snapshot is not of the head's version, or the head has nothing to fold.
pub async fn fold(
    store: &dyn Store,
    root: &str,
    head: &Head,
    snapshot: &Snapshot,
) -> Result<Folded, ManifestError> {
    if snapshot.version != head.version || head.checkpoint_version() == head.version {
        return Err(ManifestError::Stale { expected: head.version, found: snapshot.version });
    }
    let place = Place { store, root };
    let (number, ancestors, standing) = match &head.checkpoint {
        None => (1, Vec::new(), Vec::new()),
        Some(before) => {
            let list = place.list(before).await?;
            (before.number + 1, before.ancestors_of_next(&list.ancestors), list.parts)
        }
    };
    let mut objects = Vec::new();
    let (segments, written) = segments(head);
    objects.extend(written);
    let mut snapshot = snapshot.base().clone();
    let corrupt = ManifestError::corrupt(root);
    let parts = write_parts(&mut snapshot, &standing, &mut objects).map_err(corrupt)?;
    let list = CheckpointList { number, segments, ancestors, ..list_of(&snapshot, parts) };
    let (checkpoint, bytes) = list.build().map_err(ManifestError::corrupt(root))?;
    objects.push((checkpoint.list.clone(), bytes));
    let (count, bytes) = (objects.len(), objects.iter().map(|(object, _)| object.len).sum());
    place.put_all(objects).await?;
    Ok(Folded { checkpoint, epoch: head.epoch, snapshot, objects: count, bytes })
}

/// The list of `snapshot`, held by `parts`, without a history.
pub(crate) fn list_of(snapshot: &Snapshot, parts: Vec<PartRef>) -> CheckpointList {
    CheckpointList {
        number: 0,
        version: snapshot.version,
        time_ms: snapshot.time_ms,
        schema: (*snapshot.schema).clone(),
        properties: snapshot.properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        segments: Vec::new(),
        ancestors: Vec::new(),
        parts,
        fresh: snapshot.fresh_list(),
    }
}

/// The log segments of `head`'s tail: those it names, and new ones for its inline records.
pub(crate) fn segments(head: &Head) -> (Vec<SegmentRef>, Vec<(ObjectRef, Vec<u8>)>) {
    let (mut segments, mut written) = (Vec::new(), Vec::new());
    for run in head.tail.chunk_by(|a, b| is_inline(a) && is_inline(b)) {
        match &run[0] {
            TailItem::Segment(segment) => segments.push(segment.clone()),
            TailItem::Inline(_) => {
                let records: Vec<Record> = run.iter().filter_map(inline).cloned().collect();
                let (reference, bytes) = segment::build(&records);
                written.push((reference.object.clone(), bytes));
                segments.push(reference);
            }
        }
    }
    (segments, written)
}

fn inline(item: &TailItem) -> Option<&Record> {
    match item {
        TailItem::Inline(record) => Some(record),
        TailItem::Segment(_) => None,
    }
}

fn is_inline(item: &TailItem) -> bool {
    inline(item).is_some()
}

/// The parts that hold `snapshot`; those that are not `standing` are added to `objects`.
///
/// A part that the newest checkpoint does not name may be collected at any time, so it is written again.
pub(crate) fn write_parts(
    snapshot: &mut Snapshot,
    standing: &[PartRef],
    objects: &mut Vec<(ObjectRef, Vec<u8>)>,
) -> Result<Vec<PartRef>, FormatError> {
    let standing: HashSet<&PartRef> = standing.iter().collect();
    let mut parts = Vec::new();
    snapshot.entries.merge_last();
    for chunk in &mut snapshot.entries.chunks {
        if let Some(part) = chunk.part.as_ref().filter(|part| standing.contains(part)) {
            parts.push(part.clone());
            continue;
        }
        let entries: Vec<_> = chunk
            .entries
            .iter()
            .map(|entry| PartEntry {
                summary: entry.summary.clone(),
                deletes: entry.deletes.clone(),
            })
            .collect();
        let (part, bytes) = part::build(&entries)?;
        objects.push((part.object.clone(), bytes));
        *chunk = Arc::new(Chunk::new(chunk.entries.clone(), Some(part.clone())));
        parts.push(part);
    }
    Ok(parts)
}

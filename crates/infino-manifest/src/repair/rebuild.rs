//! Objects made again from what is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::{self, PartEntry, PartRef};
use infino_format::segment::SegmentRef;
use infino_format::{FormatError, Head, ObjectRef};

use super::shelf::{Link, Shelf};
use super::{Bypass, Lost, Repaired, read, snapshot_of};
use crate::checkpoint::{self, Folded, list_of, write_parts};
use crate::entry::{Chunk, Entries};
use crate::error::ManifestError;
use crate::read::Place;
use crate::snapshot::{Snapshot, tail};
use crate::tags;

/// How many ways a damaged list may have been put together are tried.
const TRIES_MAX: usize = 64;

/// A repair on its way.
pub(super) struct Rebuild<'a> {
    place: Place<'a>,
    head: &'a Head,
    shelf: Shelf<'a>,
    /// The newest version so far of which all is there, to go on from.
    base: Option<Snapshot>,
    outcome: Repaired,
}

/// A list that is to be made again: what names it, and what is known of it.
struct Wanted<'a> {
    reference: &'a CheckpointRef,
    segments: Vec<SegmentRef>,
    ancestors: Vec<CheckpointRef>,
    standing: &'a [PartRef],
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(place: Place<'a>, head: &'a Head, shelf: Shelf<'a>) -> Self {
        Self { place, head, shelf, base: None, outcome: Repaired::default() }
    }

    /// Looks for what nothing names any more.
    pub(super) async fn search(&mut self) -> Result<(), ManifestError> {
        self.shelf.search().await
    }

    pub(super) fn done(self) -> Repaired {
        self.outcome
    }

    /// Puts an object back under its name.
    async fn restore(&mut self, object: &ObjectRef, bytes: Vec<u8>) -> Result<(), ManifestError> {
        debug_assert!(object.verify(&bytes).is_ok(), "only what is proved is put");
        self.place.put(object, bytes).await?;
        let path = self.place.path(&object.path);
        self.place.store.forget(&path).await;
        self.outcome.restored.push(path);
        Ok(())
    }

    fn lose(&mut self, path: &str, problem: String) {
        let path = self.place.path(path);
        self.outcome.lost.push(Lost { path, problem });
    }

    /// Restores segments whose records stand elsewhere.
    pub(super) async fn segments(&mut self) -> Result<(), ManifestError> {
        for damaged in std::mem::take(&mut self.shelf.damaged_segments) {
            match self.shelf.rebuilt(&damaged) {
                Some(bytes) => self.restore(&damaged.object, bytes).await?,
                None => {
                    let SegmentRef { first, last, .. } = damaged;
                    let problem =
                        format!("the commits that made versions {first} to {last} are gone");
                    self.lose(&damaged.object.path, problem);
                }
            }
        }
        Ok(())
    }

    /// Restores the lists and parts of the checkpoints, the oldest first: each is what the next is rebuilt from.
    pub(super) async fn checkpoints(&mut self) -> Result<(), ManifestError> {
        for link in self.shelf.links.clone().into_iter().rev() {
            let Link { checkpoint, list } = link;
            let list = match list {
                Some(list) => Some(list),
                None => self.list(&checkpoint).await?,
            };
            if let Some(list) = list {
                for part in &list.parts {
                    self.shelf.part(part).await?;
                }
                self.parts(&list, &format!("version {}", list.version)).await?;
                let known = self.base.as_ref().map(|base| base.entries.clone());
                let known = known.unwrap_or_default();
                let sound = snapshot_of(self.place, self.head, &checkpoint, &known).await?;
                self.base = sound.or(self.base.take());
            }
        }
        Ok(())
    }

    /// Restores the parts of `list` that are damaged.
    async fn parts(&mut self, list: &CheckpointList, what: &str) -> Result<(), ManifestError> {
        let is_damaged = |part: &&PartRef| self.shelf.damaged_parts.contains(&part.object.path);
        let damaged: Vec<PartRef> = list.parts.iter().filter(is_damaged).cloned().collect();
        if damaged.is_empty() {
            return Ok(());
        }
        self.search().await?;
        let snapshot = self.snapshot(list.version).await?;
        for part in damaged {
            let bytes = snapshot.as_ref().ok().and_then(|snapshot| part_of(snapshot, &part));
            match bytes {
                Some(bytes) => {
                    self.restore(&part.object, bytes).await?;
                    self.shelf.damaged_parts.remove(&part.object.path);
                }
                None => {
                    let why = match &snapshot {
                        Ok(_) => "the commits before it do not lead to it".to_owned(),
                        Err(version) => format!("no commit is found that made version {version}"),
                    };
                    let problem = format!("{} superfiles of {what}: {why}", part.entries);
                    self.lose(&part.object.path, problem);
                }
            }
        }
        Ok(())
    }

    /// A version, from the nearest one before it of which all is there.
    async fn snapshot(&self, version: u64) -> Result<Result<Snapshot, u64>, ManifestError> {
        let mut missing = 1;
        let mut bases: Vec<Option<Snapshot>> = Vec::new();
        if let Some(base) = self.base.as_ref().filter(|base| base.version <= version) {
            bases.push(Some(base.clone()));
        } else {
            for (checkpoint, _) in self.shelf.lists.range(..version).rev().flat_map(|(_, l)| l) {
                let none = Entries::default();
                let sound = snapshot_of(self.place, self.head, checkpoint, &none).await?;
                if sound.is_some() {
                    bases.push(sound);
                    break;
                }
            }
            bases.push(None);
        }
        for base in bases {
            let base = base.unwrap_or_else(|| Snapshot::empty(self.head.table));
            match self.shelf.records(base.version, version) {
                Ok(records) => {
                    let mut snapshot = base;
                    match records.iter().try_for_each(|record| snapshot.advance_by(record)) {
                        Ok(()) => return Ok(Ok(snapshot)),
                        Err(_) => missing = snapshot.version + 1,
                    }
                }
                Err(version) => missing = version,
            }
        }
        Ok(Err(missing))
    }

    /// Restores a damaged list, if what it was made of is there.
    async fn list(
        &mut self,
        damaged: &CheckpointRef,
    ) -> Result<Option<CheckpointList>, ManifestError> {
        let mut before: Vec<Option<(CheckpointRef, CheckpointList)>> = self
            .shelf
            .lists
            .range(..damaged.version)
            .rev()
            .flat_map(|(_, lists)| lists)
            .filter(|(_, list)| list.number + 1 == damaged.number)
            .cloned()
            .map(Some)
            .collect();
        if damaged.number == 1 {
            before.push(None);
        }
        for before in before {
            let base = match &before {
                None => Some(Snapshot::empty(self.head.table)),
                Some((checkpoint, _)) => {
                    let known = self.base.as_ref().map(|base| base.entries.clone());
                    let known = known.unwrap_or_default();
                    snapshot_of(self.place, self.head, checkpoint, &known).await?
                }
            };
            let Some(base) = base else { continue };
            let (standing, ancestors) = match &before {
                None => (&[][..], Vec::new()),
                Some((at, list)) => (&list.parts[..], at.ancestors_of_next(&list.ancestors)),
            };
            for segments in self.shelf.coverings(base.version, damaged.version, TRIES_MAX) {
                let mut snapshot = base.clone();
                let records = self.place.records(&segments).await?;
                if records.iter().try_for_each(|record| snapshot.advance_by(record)).is_err() {
                    continue;
                }
                let ancestors = ancestors.clone();
                let wanted = Wanted { reference: damaged, segments, ancestors, standing };
                if let Some((list, bytes)) = self.list_of(&wanted, snapshot)? {
                    self.restore(&damaged.list, bytes).await?;
                    self.shelf
                        .lists
                        .entry(list.version)
                        .or_default()
                        .push((damaged.clone(), list.clone()));
                    return Ok(Some(list));
                }
            }
        }
        Ok(None)
    }

    /// The list that is wanted, if it is one of `snapshot` over parts that stand in the folder.
    fn list_of(
        &self,
        wanted: &Wanted<'_>,
        mut snapshot: Snapshot,
    ) -> Result<Option<(CheckpointList, Vec<u8>)>, ManifestError> {
        let corrupt = |error: FormatError| ManifestError::corrupt(self.place.root)(error);
        let mut objects = Vec::new();
        let parts = write_parts(&mut snapshot, wanted.standing, &mut objects).map_err(corrupt)?;
        let new: BTreeSet<String> = objects.into_iter().map(|(object, _)| object.path).collect();
        // A new part has a name of its own, which only the folder knows.
        let mut choices = vec![Vec::new()];
        for part in &parts {
            let names: Vec<String> = match new.contains(&part.object.path) {
                false => vec![part.object.path.clone()],
                // What stands there may be damaged; its name is not.
                true => {
                    let named = |path: &&String| part.object.may_be_named(path);
                    self.shelf.names.iter().filter(named).cloned().collect()
                }
            };
            let longer = choices.iter().flat_map(|choice: &Vec<PartRef>| {
                names.iter().map(move |path| {
                    let object = ObjectRef { path: path.clone(), ..part.object.clone() };
                    let part = PartRef { object, ..part.clone() };
                    choice.iter().cloned().chain([part]).collect::<Vec<_>>()
                })
            });
            choices = longer.take(TRIES_MAX).collect();
        }
        for parts in choices {
            let list = CheckpointList {
                number: wanted.reference.number,
                segments: wanted.segments.clone(),
                ancestors: wanted.ancestors.clone(),
                ..list_of(&snapshot, parts)
            };
            let (_, bytes) = list.build().map_err(corrupt)?;
            if wanted.reference.list.verify(&bytes).is_ok() {
                return Ok(Some((list, bytes)));
            }
        }
        Ok(None)
    }

    /// The newest version. If a list on the way back could not be restored, a checkpoint that leads past it is written.
    pub(super) async fn newest(&mut self) -> Result<Option<Snapshot>, ManifestError> {
        let mut damaged: Vec<CheckpointRef> = Vec::new();
        for link in self.shelf.links.iter().filter(|link| link.list.is_none()) {
            if read(self.place, &link.checkpoint.list).await?.is_none() {
                damaged.push(link.checkpoint.clone());
            }
        }
        let snapshot = match self.newest_checkpoint().await? {
            Ok(snapshot) => self.with_tail(snapshot).await?,
            Err(version) => Err(version),
        };
        let (Some(newest), Some(oldest)) = (&self.head.checkpoint, damaged.last()) else {
            return Ok(snapshot.ok());
        };
        let bypass = match &snapshot {
            Ok(snapshot) => self.bypass(newest, oldest, snapshot).await?,
            Err(version) => Err(*version),
        };
        match bypass {
            Ok(bypass) => self.outcome.bypass = Some(bypass),
            Err(version) => {
                for list in damaged {
                    let problem = format!(
                        "the checkpoint of version {}: no commit is found that made version {version}",
                        list.version
                    );
                    self.lose(&list.list.path, problem);
                }
            }
        }
        Ok(snapshot.ok())
    }

    /// The version of the newest checkpoint, from that or from what leads there.
    async fn newest_checkpoint(&self) -> Result<Result<Snapshot, u64>, ManifestError> {
        let Some(newest) = &self.head.checkpoint else {
            return Ok(Ok(Snapshot::empty(self.head.table)));
        };
        let known = self.base.as_ref().map(|base| base.entries.clone()).unwrap_or_default();
        if let Some(sound) = snapshot_of(self.place, self.head, newest, &known).await? {
            return Ok(Ok(sound));
        }
        let found = self.snapshot(newest.version).await?;
        // Of a commit that was made at another moment, nothing says that it was made at all.
        Ok(found.and_then(|found| match found.time_ms == newest.time_ms {
            true => Ok(found),
            false => Err(newest.version),
        }))
    }

    async fn with_tail(
        &self,
        mut snapshot: Snapshot,
    ) -> Result<Result<Snapshot, u64>, ManifestError> {
        let records = match tail(self.place, self.head, snapshot.version).await {
            Ok(records) => records,
            Err(error) if super::is_loss(&error) => return Ok(Err(snapshot.version + 1)),
            Err(error) => return Err(error),
        };
        for record in &records {
            snapshot.advance_by(record)?;
        }
        Ok(Ok(snapshot))
    }

    /// A checkpoint of `snapshot`, the newest version, whose way back begins before `oldest`, the oldest damaged list.
    async fn bypass(
        &self,
        newest: &CheckpointRef,
        oldest: &CheckpointRef,
        snapshot: &Snapshot,
    ) -> Result<Result<Bypass, u64>, ManifestError> {
        let links =
            self.shelf.links.iter().rev().take_while(|l| l.checkpoint.version < oldest.version);
        let linked = links.filter_map(|link| Some((link.checkpoint.clone(), link.list.clone()?)));
        let found = self.shelf.lists.range(..oldest.version).next_back();
        let before = linked.last().or_else(|| found.and_then(|(_, lists)| lists.first().cloned()));
        let from = before.as_ref().map_or(0, |(checkpoint, _)| checkpoint.version);
        let (mut segments, mut objects) = checkpoint::segments(self.head);
        let to = self.head.checkpoint_version();
        // Whatever records are taken, they are those that led to the snapshot.
        if let Err(version) = self.shelf.records(from, to) {
            return Ok(Err(version));
        }
        let coverings = self.shelf.coverings(from, to, TRIES_MAX);
        let Some(covering) = coverings.into_iter().find(|covering| self.leads_on(covering)) else {
            return Ok(Err(from + 1));
        };
        segments.splice(0..0, covering);
        let mut snapshot = snapshot.base().clone();
        let corrupt = |error: FormatError| ManifestError::corrupt(self.place.root)(error);
        // What the damaged list named may be collected as soon as the head names another.
        let parts = write_parts(&mut snapshot, &[], &mut objects).map_err(corrupt)?;
        let ancestors = match before {
            None => Vec::new(),
            Some((at, list)) => at.ancestors_of_next(&list.ancestors),
        };
        let number = newest.number + 1;
        let list = CheckpointList { number, segments, ancestors, ..list_of(&snapshot, parts) };
        let (checkpoint, bytes) = list.build().map_err(corrupt)?;
        objects.push((checkpoint.list.clone(), bytes));
        let (count, bytes) = (objects.len(), objects.iter().map(|(object, _)| object.len).sum());
        self.place.put_all(objects).await?;
        let epoch = self.head.epoch;
        let folded = Folded { checkpoint, epoch, snapshot, objects: count, bytes };
        Ok(Ok(Bypass { damaged: newest.clone(), folded }))
    }

    /// Whether the segments hold the records that were committed.
    fn leads_on(&self, covering: &[SegmentRef]) -> bool {
        covering.iter().all(|segment| {
            let run = self.shelf.runs.iter().find(|run| run.reference.object == segment.object);
            let known = self.shelf.records(segment.first - 1, segment.last);
            run.zip(known.ok()).is_some_and(|(run, known)| run.records.ends_with(&known))
        })
    }

    /// Restores the lists and parts of tags.
    pub(super) async fn tags(&mut self, newest: &Snapshot) -> Result<(), ManifestError> {
        for tag in tags::all(&newest.properties)? {
            let what = format!("tag {:?}", tag.name);
            let list = match self.shelf.list(&tag.checkpoint).await? {
                Some(list) => Some(list),
                None => {
                    self.search().await?;
                    self.tag_list(&tag.checkpoint).await?
                }
            };
            let Some(list) = list else {
                match self.tagged(&tag.checkpoint).await? {
                    Some(snapshot) => self.outcome.untagged.push((tag, snapshot)),
                    None => {
                        let problem = format!("the superfiles of {what}");
                        self.lose(&tag.checkpoint.list.path, problem);
                    }
                }
                continue;
            };
            for part in &list.parts {
                self.shelf.part(part).await?;
            }
            // The newest checkpoint may be newer than the tag, and then leads nowhere.
            let base = self.base.take();
            self.base = base.clone().filter(|base| base.version <= list.version);
            self.parts(&list, &what).await?;
            self.base = base;
        }
        Ok(())
    }

    /// The version that a tag keeps, if the log still leads to it.
    async fn tagged(&mut self, tag: &CheckpointRef) -> Result<Option<Snapshot>, ManifestError> {
        // A base that is newer than the tag is of no use to it.
        let base = self.base.take();
        let snapshot = self.snapshot(tag.version).await;
        self.base = base;
        Ok(snapshot?.ok().filter(|snapshot| snapshot.time_ms == tag.time_ms))
    }

    async fn tag_list(
        &mut self,
        damaged: &CheckpointRef,
    ) -> Result<Option<CheckpointList>, ManifestError> {
        let Some(snapshot) = self.tagged(damaged).await? else { return Ok(None) };
        let standing: Vec<PartRef> =
            snapshot.entries.chunks.iter().filter_map(|chunk| chunk.part.clone()).collect();
        let (segments, ancestors) = (Vec::new(), Vec::new());
        let wanted = Wanted { reference: damaged, segments, ancestors, standing: &standing };
        let Some((list, bytes)) = self.list_of(&wanted, snapshot)? else { return Ok(None) };
        self.restore(&damaged.list, bytes).await?;
        Ok(Some(list))
    }
}

/// The bytes of `part`, if it is one of `snapshot`.
fn part_of(snapshot: &Snapshot, part: &PartRef) -> Option<Vec<u8>> {
    let chunks: &[Arc<Chunk>] = &snapshot.entries.chunks;
    let entries: Vec<_> = chunks
        .iter()
        .flat_map(|chunk| &chunk.entries)
        .filter(|entry| (part.first..=part.last).contains(&entry.id()))
        .map(|entry| PartEntry { summary: entry.summary.clone(), deletes: entry.deletes.clone() })
        .collect();
    let (_, bytes) = part::build(&entries).ok()?;
    part.object.verify(&bytes).ok()?;
    Some(bytes)
}

//! What storage has of a manifest, read and verified.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use infino_format::head::TailItem;
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::part::PartRef;
use infino_format::segment::{self, SegmentRef};
use infino_format::{Head, ObjectRef, Record};
use infino_storage::ObjectInfo;

use super::read;
use crate::error::ManifestError;
use crate::read::Place;

/// How many records before its run a segment is tried to begin with.
const BEFORE_RUN_MAX: usize = 256;

/// How many steps looking for coverings may take.
const COVERING_STEPS_MAX: usize = 100_000;

/// A checkpoint on the way back from the head.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) checkpoint: CheckpointRef,
    /// Its list, if that is sound.
    pub(super) list: Option<CheckpointList>,
}

/// A segment that is sound.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) reference: SegmentRef,
    pub(super) records: Vec<Record>,
    /// Whether something that was committed names it.
    pub(super) named: bool,
}

/// What is there, and what is not.
pub(super) struct Shelf<'a> {
    place: Place<'a>,
    head: &'a Head,
    /// From the newest checkpoint back to the oldest that is needed.
    pub(super) links: Vec<Link>,
    /// Lists that stand in the folder, those that lost their race included: each is the truth about its version.
    pub(super) lists: BTreeMap<u64, Vec<(CheckpointRef, CheckpointList)>>,
    pub(super) runs: Vec<Run>,
    pub(super) damaged_parts: BTreeSet<String>,
    pub(super) damaged_segments: Vec<SegmentRef>,
    /// The names in the manifest's folder, below the root.
    pub(super) names: Vec<String>,
    seen: BTreeSet<String>,
    searched: bool,
}

impl<'a> Shelf<'a> {
    /// Reads what `head` leads to.
    pub(super) async fn walk(place: Place<'a>, head: &'a Head) -> Result<Self, ManifestError> {
        let mut shelf = Self {
            place,
            head,
            links: Vec::new(),
            lists: BTreeMap::new(),
            runs: Vec::new(),
            damaged_parts: BTreeSet::new(),
            damaged_segments: Vec::new(),
            names: Vec::new(),
            seen: BTreeSet::new(),
            searched: false,
        };
        for item in &head.tail {
            if let TailItem::Segment(segment) = item {
                shelf.segment(segment).await?;
            }
        }
        shelf.follow(head.checkpoint.clone()).await?;
        Ok(shelf)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.damaged_parts.is_empty()
            && self.damaged_segments.is_empty()
            && self.links.iter().all(|link| link.list.is_some())
    }

    /// Goes back from `at` to the oldest kept version, or to the first list that is damaged.
    async fn follow(&mut self, mut at: Option<CheckpointRef>) -> Result<(), ManifestError> {
        while let Some(checkpoint) = at {
            let list = self.list(&checkpoint).await?;
            if let Some(list) = &list {
                for part in &list.parts {
                    self.part(part).await?;
                }
                let kept = |segment: &&SegmentRef| segment.last >= self.head.floor;
                for segment in list.segments.iter().filter(kept) {
                    self.segment(segment).await?;
                }
            }
            let oldest = checkpoint.version <= self.head.floor;
            at = list.as_ref().and_then(|list| list.ancestors.first().cloned());
            at = at.filter(|_| !oldest);
            self.links.push(Link { checkpoint, list });
        }
        Ok(())
    }

    /// The list that the reference names, if it is sound.
    pub(super) async fn list(
        &self,
        checkpoint: &CheckpointRef,
    ) -> Result<Option<CheckpointList>, ManifestError> {
        let bytes = read(self.place, &checkpoint.list).await?;
        Ok(bytes.and_then(|bytes| checkpoint.list(&bytes).ok()))
    }

    /// Notes whether a part is sound.
    pub(super) async fn part(&mut self, part: &PartRef) -> Result<(), ManifestError> {
        if self.seen.insert(part.object.path.clone()) {
            let bytes = read(self.place, &part.object).await?;
            if bytes.is_none_or(|bytes| part.entries(&bytes).is_err()) {
                self.damaged_parts.insert(part.object.path.clone());
            }
        }
        Ok(())
    }

    async fn segment(&mut self, segment: &SegmentRef) -> Result<(), ManifestError> {
        if !self.seen.insert(segment.object.path.clone()) {
            return Ok(());
        }
        let bytes = read(self.place, &segment.object).await?;
        match bytes.and_then(|bytes| segment::decode(&bytes).ok()) {
            Some(records) => {
                let reference = segment.clone();
                self.runs.push(Run { reference, records, named: true });
            }
            None => self.damaged_segments.push(segment.clone()),
        }
        Ok(())
    }

    /// Reads the folders for what nothing that is sound names any more, and goes on behind damaged lists.
    pub(super) async fn search(&mut self) -> Result<(), ManifestError> {
        if std::mem::replace(&mut self.searched, true) {
            return Ok(());
        }
        for info in self.folder("manifest").await? {
            self.names.push(info.path.clone());
            if let Some(list) = self.list_at(&info).await? {
                self.lists.entry(list.1.version).or_default().push(list);
            }
        }
        let named: BTreeSet<String> = self
            .lists
            .values()
            .flatten()
            .flat_map(|(_, list)| &list.segments)
            .map(|segment| segment.object.path.clone())
            .collect();
        for info in self.folder("log").await? {
            if self.seen.insert(info.path.clone()) {
                let run = self.run_at(&info, named.contains(&info.path)).await?;
                self.runs.extend(run);
            }
        }
        while let Some(last) = self.links.last()
            && last.list.is_none()
            && last.checkpoint.version > self.head.floor
        {
            let before = self.lists.range(..last.checkpoint.version).next_back();
            let Some(before) = before.and_then(|(_, lists)| lists.first()) else { break };
            let before = before.0.clone();
            self.follow(Some(before)).await?;
        }
        Ok(())
    }

    /// The objects of a folder, by their names below the root.
    async fn folder(&self, folder: &str) -> Result<Vec<ObjectInfo>, ManifestError> {
        let prefix = self.place.path("");
        let found = self.place.store.list(&format!("{}/", self.place.path(folder))).await?;
        let below = |info: ObjectInfo| {
            let path = info.path.strip_prefix(&prefix)?.to_owned();
            Some(ObjectInfo { path, ..info })
        };
        Ok(found.into_iter().filter_map(below).collect())
    }

    async fn list_at(
        &self,
        info: &ObjectInfo,
    ) -> Result<Option<(CheckpointRef, CheckpointList)>, ManifestError> {
        let Some((object, bytes)) = self.object_at(info).await? else { return Ok(None) };
        let list = CheckpointList::decode(&bytes).ok().filter(|list| list.number > 0);
        Ok(list.map(|list| {
            let CheckpointList { number, version, time_ms, .. } = list;
            (CheckpointRef { number, version, time_ms, list: object }, list)
        }))
    }

    async fn run_at(&self, info: &ObjectInfo, named: bool) -> Result<Option<Run>, ManifestError> {
        let Some((object, bytes)) = self.object_at(info).await? else { return Ok(None) };
        let Ok(records) = segment::decode(&bytes) else { return Ok(None) };
        let ends = records.first().zip(records.last()).map(|(a, b)| (a.version, b.version));
        Ok(ends.map(|(first, last)| {
            let reference = SegmentRef { first, last, object };
            Run { reference, records, named }
        }))
    }

    /// An object that holds what its name says.
    async fn object_at(
        &self,
        info: &ObjectInfo,
    ) -> Result<Option<(ObjectRef, Bytes)>, ManifestError> {
        let bytes = match self.place.store.get(&self.place.path(&info.path)).await {
            Ok((bytes, _)) => bytes,
            Err(error) => {
                let error = error.into();
                return if super::is_loss(&error) { Ok(None) } else { Err(error) };
            }
        };
        let object = ObjectRef::of(&info.path, &bytes);
        Ok(object.may_be_named(&info.path).then_some((object, bytes)))
    }

    /// The records after version `from` up to `to`.
    ///
    /// # Errors
    /// The first version of which there is none, or more than one that may have been committed.
    pub(super) fn records(&self, from: u64, to: u64) -> Result<Vec<Record>, u64> {
        (from + 1..=to).map(|version| self.record(version).ok_or(version)).collect()
    }

    fn record(&self, version: u64) -> Option<Record> {
        let inline = self.head.inline().find(|record| record.version == version);
        if let Some(record) = inline {
            return Some(record.clone());
        }
        let at = |run: &Run| version.checked_sub(run.records[0].version).map(|at| at as usize);
        let found = self.runs.iter().filter_map(|run| Some((run.records.get(at(run)?)?, run)));
        let mut found: Vec<(&Record, &Run)> = found.collect();
        if let Some((record, _)) = found.iter().find(|(_, run)| run.named) {
            return Some((*record).clone());
        }
        found.retain(|(record, _)| self.may_be_committed(record));
        let commits: BTreeSet<_> = found.iter().map(|(record, _)| record.commit).collect();
        (commits.len() == 1).then(|| found[0].0.clone())
    }

    /// Whether what the head remembers of the record's writer allows that it was committed.
    fn may_be_committed(&self, record: &Record) -> bool {
        let mark = self.head.writers.iter().find(|mark| mark.writer == record.writer);
        mark.is_none_or(|mark| match mark.version.cmp(&record.version) {
            Ordering::Less => false,
            Ordering::Equal => mark.commit == record.commit,
            Ordering::Greater => mark.seq > record.writer_seq,
        })
    }

    /// Ways to cover the versions after `from` up to `to` by segments, no more than `most`.
    pub(super) fn coverings(&self, from: u64, to: u64, most: usize) -> Vec<Vec<SegmentRef>> {
        let mut complete = Vec::new();
        let mut open = vec![Vec::<SegmentRef>::new()];
        let mut steps = 0;
        while let Some(covering) = open.pop().filter(|_| steps < COVERING_STEPS_MAX) {
            steps += 1;
            let next = covering.last().map_or(from, |segment| segment.last) + 1;
            if next > to {
                complete.push(covering);
                if complete.len() == most {
                    break;
                }
                continue;
            }
            for run in &self.runs {
                let SegmentRef { last, object, .. } = &run.reference;
                if run.records[0].version <= next && next <= *last && *last <= to {
                    let mut longer = covering.clone();
                    longer.push(SegmentRef { first: next, last: *last, object: object.clone() });
                    open.push(longer);
                }
            }
        }
        complete
    }

    /// The bytes of a damaged segment, if its records stand elsewhere.
    pub(super) fn rebuilt(&self, damaged: &SegmentRef) -> Option<Vec<u8>> {
        // The object may begin before the run that it is named for.
        for first in (1..=damaged.first).rev().take(BEFORE_RUN_MAX) {
            let records = self.records(first - 1, damaged.last).ok()?;
            let (_, bytes) = segment::build(&records);
            if damaged.object.verify(&bytes).is_ok() {
                return Some(bytes);
            }
        }
        None
    }
}

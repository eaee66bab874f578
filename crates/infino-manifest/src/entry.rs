//! The superfiles of a snapshot.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use infino_format::part::PartRef;
use infino_format::{Deletes, KeyFilter, SuperfileId, SuperfileSummary};

/// A part lists at most this many superfiles,
pub const PART_ENTRIES_MAX: usize = 1024;
/// and about this many bytes of them.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
/// So many small parts of like size in a row become one when a checkpoint is written.
const PARTS_MERGED: usize = 8;

/// A superfile of a snapshot and which of its rows are dead.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The superfile.
    pub summary: Arc<SuperfileSummary>,
    /// Its dead rows, if any.
    pub deletes: Option<Deletes>,
    /// The file itself, if it stands in no object: fresh rows, as whoever shows them built them.
    pub built: Option<Built>,
}

/// A superfile in memory, of a type that only who built it knows.
#[derive(Clone)]
pub struct Built(pub Arc<dyn Any + Send + Sync>);

impl PartialEq for Built {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Built")
    }
}

impl Entry {
    /// The superfile's name.
    pub fn id(&self) -> SuperfileId {
        self.summary.id
    }

    /// Its dead rows.
    pub fn deleted_rows(&self) -> u64 {
        self.deletes.as_ref().map_or(0, |deletes| deletes.count.into())
    }

    /// Its living rows.
    pub fn live_rows(&self) -> u64 {
        u64::from(self.summary.row_count) - self.deleted_rows()
    }

    /// About how many bytes it takes in a part.
    fn weight(&self) -> usize {
        let summary = &*self.summary;
        let centroids: usize = summary.vectors.iter().map(|stats| stats.centroid.len() * 4).sum();
        let terms: usize =
            summary.text.iter().map(|stats| stats.min_term.len() + stats.max_term.len()).sum();
        200 + 64 * summary.columns.len()
            + 64 * summary.sections.len()
            + centroids
            + terms
            + summary.key.as_ref().map_or(0, KeyFilter::memory_bytes)
            + self.deletes.as_ref().map_or(0, |deletes| match &deletes.vector {
                infino_format::tombstone::Vector::Inline(bytes) => bytes.len(),
                infino_format::tombstone::Vector::Object(_) => 128,
            })
    }
}

/// Some hundred entries, ascending by id: what a manifest part holds. Shared by all snapshots that have it.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The part that holds exactly these entries, if one was written.
    pub(crate) part: Option<PartRef>,
    weight: usize,
}

impl Chunk {
    pub(crate) fn new(entries: Vec<Arc<Entry>>, part: Option<PartRef>) -> Self {
        let weight = entries.iter().map(|entry| entry.weight()).sum();
        Self { entries, part, weight }
    }

    fn first(&self) -> SuperfileId {
        self.entries[0].id()
    }

    fn is_full(&self) -> bool {
        self.entries.len() > PART_ENTRIES_MAX
            || (self.weight > PART_BYTES_MAX && self.entries.len() > 1)
    }

    /// How much of a part it fills, in bytes of [`PART_BYTES_MAX`].
    fn size(&self) -> usize {
        self.weight.max(self.entries.len() * (PART_BYTES_MAX / PART_ENTRIES_MAX))
    }

    /// Chunks of one tier differ in size by less than the factor [`PARTS_MERGED`]; `None` if it is not worth merging.
    fn tier(&self) -> Option<u32> {
        (self.size() < PART_BYTES_MAX / 2)
            .then(|| self.size().max(1).ilog2() / PARTS_MERGED.ilog2())
    }
}

/// The superfiles of a snapshot, by id. A copy shares all but what is changed in it.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    len: usize,
    rows: u64,
    deleted: u64,
}

impl Entries {
    pub(crate) fn from_chunks(chunks: Vec<Arc<Chunk>>) -> Self {
        let mut all = Self { chunks, ..Self::default() };
        let (mut len, mut rows, mut deleted) = (0, 0, 0);
        for entry in all.iter() {
            len += 1;
            rows += u64::from(entry.summary.row_count);
            deleted += entry.deleted_rows();
        }
        (all.len, all.rows, all.deleted) = (len, rows, deleted);
        all
    }

    /// How many superfiles there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows of all of them, dead ones included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Dead rows of all of them.
    pub fn deleted_rows(&self) -> u64 {
        self.deleted
    }

    /// All of them, ascending by id, which is by the time they were named.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.chunks.iter().flat_map(|chunk| &chunk.entries)
    }

    /// The one named `superfile`.
    pub fn get(&self, superfile: SuperfileId) -> Option<&Arc<Entry>> {
        let (chunk, place) = self.find(superfile);
        Some(&self.chunks[chunk?].entries[place.ok()?])
    }

    /// Puts `entry` in; returns whether its superfile was out.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let entry = Arc::new(entry);
        let (Some(at), place) = self.find(entry.id()) else {
            self.count(&entry, true);
            self.chunks.push(Arc::new(Chunk::new(vec![entry], None)));
            return true;
        };
        let Err(place) = place else { return false };
        self.count(&entry, true);
        let last = at + 1 == self.chunks.len();
        let appended = last && place == self.chunks[at].entries.len();
        if appended && self.chunks[at].part.is_some() {
            // What a part holds already is not written again because something came after it.
            self.chunks.push(Arc::new(Chunk::new(vec![entry], None)));
            return true;
        }
        let chunk = self.edit(at);
        chunk.weight += entry.weight();
        chunk.entries.insert(place, entry);
        if chunk.is_full() {
            // Names ascend with time: a chunk that filled up at its end is left full and done with.
            let len = chunk.entries.len();
            let right = chunk.entries.split_off(if appended { len - 1 } else { len / 2 });
            *chunk = Chunk::new(std::mem::take(&mut chunk.entries), None);
            self.chunks.insert(at + 1, Arc::new(Chunk::new(right, None)));
        }
        true
    }

    /// Takes a superfile out; returns its entry if it was in.
    pub(crate) fn remove(&mut self, superfile: SuperfileId) -> Option<Arc<Entry>> {
        let (Some(at), Ok(place)) = self.find(superfile) else { return None };
        let removed = self.chunks[at].entries[place].clone();
        self.count(&removed, false);
        if self.chunks[at].entries.len() == 1 {
            self.chunks.remove(at);
        } else {
            let chunk = self.edit(at);
            chunk.weight -= removed.weight();
            chunk.entries.remove(place);
            self.merge(at);
        }
        Some(removed)
    }

    /// Puts `entry` in the place of the one of the same superfile; returns whether there was one.
    pub(crate) fn replace(&mut self, entry: Entry) -> bool {
        let (Some(at), Ok(place)) = self.find(entry.id()) else { return false };
        let old = self.chunks[at].entries[place].clone();
        let entry = Arc::new(entry);
        self.count(&old, false);
        self.count(&entry, true);
        let chunk = self.edit(at);
        chunk.weight = chunk.weight - old.weight() + entry.weight();
        chunk.entries[place] = entry;
        true
    }

    /// The chunk where `superfile` is or would be, and its place there; no chunk if there are none.
    fn find(&self, superfile: SuperfileId) -> (Option<usize>, Result<usize, usize>) {
        let after = self.chunks.partition_point(|chunk| chunk.first() <= superfile);
        let at = after.saturating_sub(1);
        match self.chunks.get(at) {
            None => (None, Err(0)),
            Some(chunk) => {
                (Some(at), chunk.entries.binary_search_by_key(&superfile, |entry| entry.id()))
            }
        }
    }

    /// The chunk at `at`, to change; it is in no part any more, and no longer shared.
    fn edit(&mut self, at: usize) -> &mut Chunk {
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.part = None;
        chunk
    }

    /// Joins the chunk at `at` with the next one if both are so empty that they fit in half of one.
    fn merge(&mut self, at: usize) {
        let Some(next) = self.chunks.get(at + 1) else { return };
        let chunk = &self.chunks[at];
        if chunk.entries.len() + next.entries.len() <= PART_ENTRIES_MAX / 2
            && chunk.weight + next.weight <= PART_BYTES_MAX / 2
        {
            let entries = chunk.entries.iter().chain(&next.entries).cloned().collect();
            self.chunks[at] = Arc::new(Chunk::new(entries, None));
            self.chunks.remove(at + 1);
        }
    }

    /// Merges the last chunks while [`PARTS_MERGED`] or more of like size stand in a row: what a checkpoint writes then
    /// stays in proportion to what came since the one before, and so does the number of its parts to what they hold.
    pub(crate) fn merge_last(&mut self) {
        while let Some(tier) = self.chunks.last().and_then(|chunk| chunk.tier()) {
            let like = |chunk: &&Arc<Chunk>| chunk.tier().is_some_and(|other| other <= tier);
            let run = self.chunks.iter().rev().take_while(like).count();
            if run < PARTS_MERGED {
                break;
            }
            let mut merged: Vec<Arc<Chunk>> = Vec::new();
            for chunk in self.chunks.drain(self.chunks.len() - run..) {
                let entries = &chunk.entries;
                match merged.last_mut() {
                    Some(last)
                        if last.size() + chunk.size() <= PART_BYTES_MAX
                            && last.entries.len() + entries.len() <= PART_ENTRIES_MAX =>
                    {
                        let all = last.entries.iter().chain(entries).cloned().collect();
                        *last = Arc::new(Chunk::new(all, None));
                    }
                    _ => merged.push(Arc::new(Chunk::new(entries.clone(), None))),
                }
            }
            self.chunks.append(&mut merged);
        }
    }

    fn count(&mut self, entry: &Entry, added: bool) {
        let (rows, deleted) = (u64::from(entry.summary.row_count), entry.deleted_rows());
        if added {
            self.len += 1;
            self.rows += rows;
            self.deleted += deleted;
        } else {
            self.len -= 1;
            self.rows -= rows;
            self.deleted -= deleted;
        }
    }
}

impl FromIterator<Entry> for Entries {
    /// The entries, by id; of two with one id the first.
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut all = Self::default();
        for entry in entries {
            all.insert(entry);
        }
        all
    }
}

#[cfg(test)]
mod tests;

//! An index open for searching.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use infino_format::schema::Metric;
use infino_format::{DocId, DocSet, FormatError};

use crate::kernel;
use crate::layout::{Layout, ListBytes, verify_tail};
use crate::mmap;
use crate::positions::Positions;
use crate::rotation::Rotation;
use crate::search::{self, Search};
use crate::{Neighbor, SearchCounts, SearchParams, VectorError};

/// Bytes of a list that are on their way from memory while the one before it is scanned; what follows comes by itself.
const LIST_AHEAD: usize = 2048;

/// An immutable index of vectors; clones share everything.
///
/// Opened from the first bytes of its section it answers through [`IvfIndex::search`], which asks for ranges; opened from
/// all of them it also answers at once, through [`IvfIndex::search_resident`]. Every range is verified when it is first
/// read.
#[derive(Clone)]
pub struct IvfIndex {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) rotation: Rotation,
    pub(crate) resident: Option<Resident>,
}

/// A section wholly in memory, and which of its units are known to be sound.
pub(crate) struct Resident {
    section: Bytes,
    lists: Marks,
    groups: Marks,
    positions: Marks,
}

impl IvfIndex {
    /// Opens a section of `section_len` bytes from its first [`crate::Built::open_len`] bytes.
    ///
    /// # Errors
    /// [`VectorError::Corrupt`] if they are not the start of such a section.
    pub fn open(open: Bytes, section_len: u64) -> Result<Self, VectorError> {
        let layout = Layout::decode(&open)?;
        if layout.section_len != section_len {
            return Err(FormatError::Truncated {
                what: "vector index",
                at: 0,
                needed: layout.section_len as usize,
                len: section_len as usize,
            }
            .into());
        }
        Ok(Self::of(layout, None))
    }

    /// Opens a section that is wholly in memory; nothing is copied.
    ///
    /// # Errors
    /// [`VectorError::Corrupt`] if it is none. Lists and payload are verified when a search first reads them.
    pub fn resident(section: Bytes) -> Result<Self, VectorError> {
        let opened = Self::open(section.clone(), section.len() as u64)?;
        let Ok(inner) = Arc::try_unwrap(opened.inner) else { unreachable!("it was just made") };
        let lists = Marks::new(inner.layout.lists.len());
        let groups = Marks::new(inner.layout.groups() as usize);
        let positions = inner.layout.positions.map_or(0, |positions| positions.groups());
        let positions = Marks::new(positions as usize);
        let resident = Resident { section, lists, groups, positions };
        Ok(Self::of(inner.layout, Some(resident)))
    }

    /// Opens a section that is a file of its own, mapped into memory.
    ///
    /// The file must not be changed or shortened while the index or a clone of it lives; write another and open that.
    ///
    /// # Errors
    /// [`VectorError::File`] if it cannot be mapped, [`VectorError::Corrupt`] if it is no section.
    pub fn open_file(path: impl AsRef<Path>) -> Result<Self, VectorError> {
        let path = path.as_ref();
        let section = mmap::map(path)
            .map_err(|source| VectorError::File { path: path.to_path_buf(), source })?;
        Self::resident(section)
    }

    fn of(layout: Layout, resident: Option<Resident>) -> Self {
        let rotation = Rotation::new(layout.header.dim, layout.header.seed);
        Self { inner: Arc::new(Inner { layout, rotation, resident }) }
    }

    /// Rows that have a vector.
    pub fn len(&self) -> u32 {
        self.inner.layout.header.rows
    }

    /// Whether no row has a vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Floats a vector.
    pub fn dim(&self) -> usize {
        self.inner.layout.header.dim
    }

    /// What near means.
    pub fn metric(&self) -> Metric {
        self.inner.layout.header.metric
    }

    /// Lists that the rows are cut into.
    pub fn nlist(&self) -> u32 {
        self.inner.layout.lists.len() as u32
    }

    /// Rows of each list.
    pub fn list_rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.inner.layout.lists.iter().map(|list| list.rows)
    }

    /// How many of the section's first bytes open it.
    pub fn open_len(&self) -> u64 {
        self.inner.layout.open_len
    }

    /// Bytes of the section.
    pub fn section_len(&self) -> u64 {
        self.inner.layout.section_len
    }

    /// Lists that a search with these settings visits before it widens.
    pub fn nprobe(&self, params: &SearchParams) -> u32 {
        search::nprobe(&self.inner.layout, params, 1.0)
    }

    /// Starts a search for the `params.k` rows nearest to `query`, of those in `allowed` if given.
    ///
    /// The answer holds as many rows as asked for, or all that count if they are fewer; nearest first, ties by row number.
    ///
    /// # Errors
    /// [`VectorError::Query`] if the index cannot be asked this.
    pub fn search(
        &self,
        query: &[f32],
        params: &SearchParams,
        allowed: Option<&DocSet>,
    ) -> Result<Search, VectorError> {
        Search::new(self.inner.clone(), query, params, allowed.cloned())
    }

    /// Searches an index that is in memory; the answer is that of [`IvfIndex::search`], without the ranges.
    ///
    /// # Errors
    /// [`VectorError::NotResident`] if it is not in memory, [`VectorError::Query`] if it cannot be asked this,
    /// [`VectorError::Corrupt`] if a list or a group of payload does not verify.
    pub fn search_resident(
        &self,
        query: &[f32],
        params: &SearchParams,
        allowed: Option<&DocSet>,
    ) -> Result<Vec<Neighbor>, VectorError> {
        self.search_counted(query, params, allowed).map(|(hits, _)| hits)
    }

    /// Searches an index in memory for each of `queries`, vectors that follow each other, on the caller's rayon pool;
    /// queries near each other share what is in cache.
    ///
    /// # Errors
    /// As [`IvfIndex::search_resident`], and [`VectorError::Query`] if they are not whole vectors.
    pub fn search_batch(
        &self,
        queries: &[f32],
        params: &SearchParams,
        allowed: Option<&DocSet>,
    ) -> Result<Vec<Vec<Neighbor>>, VectorError> {
        if !queries.len().is_multiple_of(self.dim()) {
            let problem = format!("{} floats are not vectors of {}", queries.len(), self.dim());
            return Err(VectorError::query(problem));
        }
        let resident = self.inner.resident.as_ref().ok_or(VectorError::NotResident)?;
        let queries: Vec<&[f32]> = queries.chunks_exact(self.dim()).collect();
        search::batch(&self.inner, resident, &queries, params, allowed)
    }

    /// [`IvfIndex::search_resident`], and what it went through.
    ///
    /// # Errors
    /// As [`IvfIndex::search_resident`].
    pub fn search_counted(
        &self,
        query: &[f32],
        params: &SearchParams,
        allowed: Option<&DocSet>,
    ) -> Result<(Vec<Neighbor>, SearchCounts), VectorError> {
        let resident = self.inner.resident.as_ref().ok_or(VectorError::NotResident)?;
        search::resident(&self.inner, resident, query, params, allowed)
    }
}

impl std::fmt::Debug for IvfIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = &self.inner.layout.header;
        f.debug_struct("IvfIndex")
            .field("rows", &header.rows)
            .field("dim", &header.dim)
            .field("metric", &header.metric)
            .field("nlist", &self.nlist())
            .finish_non_exhaustive()
    }
}

impl Resident {
    pub(crate) fn list(&self, layout: &Layout, id: usize) -> Result<ListBytes<'_>, FormatError> {
        let known = self.lists.get(id);
        let bytes = self.slice(layout.list_range(id));
        let list = ListBytes::new(bytes, layout.lists[id].rows, layout.header.dim, known)?;
        if !known {
            self.lists.set(id);
        }
        Ok(list)
    }

    pub(crate) fn payload(&self, layout: &Layout, position: u32) -> Result<&[u8], FormatError> {
        let (group, i) = (position / layout.group_rows(), position % layout.group_rows());
        let bytes = self.slice(layout.group_range(group));
        if !self.groups.get(group as usize) {
            verify_tail("vector payload", bytes)?;
            self.groups.set(group as usize);
        }
        Ok(&bytes[i as usize * layout.stride()..][..layout.stride()])
    }

    /// Starts to bring the payload of a row near.
    pub(crate) fn prefetch(&self, layout: &Layout, position: u32) {
        let (group, i) = (position / layout.group_rows(), position % layout.group_rows());
        let at = layout.group_range(group).start as usize + i as usize * layout.stride();
        kernel::prefetch(&self.section[at..at + layout.stride()]);
    }

    /// Starts to bring the beginning of a list near, and its centroid.
    pub(crate) fn prefetch_list(&self, layout: &Layout, id: usize) {
        let range = layout.list_range(id);
        let (start, end) = (range.start as usize, range.end as usize);
        kernel::prefetch(&self.section[start..end.min(start + LIST_AHEAD)]);
        kernel::prefetch(layout.centroid_bytes(id));
    }

    /// Where row `doc` stands in list order, if it has a vector.
    pub(crate) fn position(
        &self,
        positions: &Positions,
        doc: DocId,
    ) -> Result<Option<u32>, FormatError> {
        let Some(group) = positions.group_of(doc) else { return Ok(None) };
        let bytes = self.slice(positions.group_range(group));
        if !self.positions.get(group as usize) {
            verify_tail("vector positions", bytes)?;
            self.positions.set(group as usize);
        }
        Ok(positions.read(bytes, doc))
    }

    fn slice(&self, range: Range<u64>) -> &[u8] {
        // The layout was checked against the section's length when it was opened.
        &self.section[range.start as usize..range.end as usize]
    }
}

/// One bit for each unit that has been verified; racing threads verify twice and agree.
struct Marks(Vec<AtomicU64>);

impl Marks {
    fn new(len: usize) -> Self {
        Self((0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    fn get(&self, i: usize) -> bool {
        self.0[i / 64].load(Ordering::Relaxed) >> (i % 64) & 1 == 1
    }

    fn set(&self, i: usize) {
        self.0[i / 64].fetch_or(1 << (i % 64), Ordering::Relaxed);
    }
}

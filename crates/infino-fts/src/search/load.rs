//! Fetching what a query needs of its section: lists, positions, lengths.

use std::ops::Range;

use bytes::Bytes;
use infino_format::{FormatError, checksum};

use crate::FtsError;
use crate::dict::block::Place;
use crate::kernel::pack::BLOCK_LEN;
use crate::layout::LEN_CHUNK_ROWS;
use crate::postings::cursor::PostingsCursor;
use crate::postings::long::Directory;
use crate::postings::{GROUP_BLOCKS, positions, posting_units, short};
use crate::query::plan::Node;
use crate::reader::{Field, Listed, Prepared, slice};

/// The bytes a query needs, and once they are there, access to them.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) prepared: Prepared,
    wants: Vec<(Slot, Range<u64>)>,
    asked: bool,
    lists: Vec<Bytes>,
    positions: Vec<Bytes>,
    /// Per field, the lengths.
    lens: Vec<Bytes>,
    expansions: Vec<Vec<Bytes>>,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    List(usize),
    Positions(usize),
    Lens(usize),
    Expansion(usize, usize),
}

impl Load {
    /// What `prepared` needs; lengths only if `scores` are wanted.
    pub(crate) fn new(prepared: &Prepared, scores: bool) -> Self {
        let inner = &prepared.inner;
        let fields = &inner.reader.fields;
        let mut wants = Vec::new();
        let mut with_positions = vec![false; inner.terms.len()];
        if let Some(root) = &inner.root {
            mark_phrases(root, &mut with_positions);
        }
        let mut lens_of = vec![false; fields.len()];
        for (i, term) in inner.terms.iter().enumerate() {
            let layout = &fields[term.field].layout;
            let Some(Listed { found, .. }) = &term.list else { continue };
            if let Place::Listed { bytes, positions, .. } = &found.place {
                wants.push((Slot::List(i), shift(bytes, layout.postings.start)));
                if with_positions[i] {
                    wants.push((Slot::Positions(i), shift(positions, layout.position_bytes.start)));
                }
            }
            // A phrase is scored by the lengths of the field, whatever the length of its lists.
            if scores && (found.df as usize > BLOCK_LEN || with_positions[i]) {
                lens_of[term.field] = true;
            }
        }
        for (field, _) in lens_of.iter().enumerate().filter(|&(_, &wanted)| wanted) {
            wants.push((Slot::Lens(field), fields[field].layout.lens.clone()));
        }
        for (i, expansion) in inner.expansions.iter().enumerate() {
            let layout = &fields[expansion.field].layout;
            for (j, list) in expansion.lists.iter().enumerate() {
                if let Place::Listed { bytes, .. } = &list.found.place {
                    wants.push((Slot::Expansion(i, j), shift(bytes, layout.postings.start)));
                }
            }
        }
        Self {
            prepared: prepared.clone(),
            wants,
            asked: false,
            lists: vec![Bytes::new(); inner.terms.len()],
            positions: vec![Bytes::new(); inner.terms.len()],
            lens: vec![Bytes::new(); fields.len()],
            expansions: inner
                .expansions
                .iter()
                .map(|e| vec![Bytes::new(); e.lists.len()])
                .collect(),
        }
    }

    /// The ranges to read, or `None` once everything is there.
    pub(crate) fn step(&mut self, bytes: Vec<Bytes>) -> Result<Option<Vec<Range<u64>>>, FtsError> {
        let wants = std::mem::take(&mut self.wants);
        if let Some(section) = &self.prepared.inner.reader.resident {
            let section = section.clone();
            for (slot, range) in wants {
                self.put(slot, slice(&section, &range)?);
            }
        } else if !self.asked && !wants.is_empty() {
            let ranges = wants.iter().map(|(_, range)| range.clone()).collect();
            self.wants = wants;
            self.asked = true;
            return Ok(Some(ranges));
        } else {
            if wants.len() != bytes.len() {
                let (asked, came) = (wants.len(), bytes.len());
                return Err(FtsError::Invalid(format!(
                    "{asked} ranges were asked for, {came} came"
                )));
            }
            for ((slot, range), bytes) in wants.into_iter().zip(bytes) {
                if bytes.len() as u64 != range.end - range.start {
                    let (asked, came) = (range.end - range.start, bytes.len());
                    return Err(FtsError::Invalid(format!(
                        "{asked} bytes were asked for, {came} came"
                    )));
                }
                self.put(slot, bytes);
            }
        }
        self.verify_lens()?;
        Ok(None)
    }

    fn put(&mut self, slot: Slot, bytes: Bytes) {
        match slot {
            Slot::List(term) => self.lists[term] = bytes,
            Slot::Positions(term) => self.positions[term] = bytes,
            Slot::Lens(field) => self.lens[field] = bytes,
            Slot::Expansion(expansion, list) => self.expansions[expansion][list] = bytes,
        }
    }

    fn verify_lens(&self) -> Result<(), FormatError> {
        let there = self.lens.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty());
        there.into_iter().try_for_each(|(i, bytes)| verify_lens(self.field(i), bytes))
    }

    pub(crate) fn field(&self, field: usize) -> &Field {
        &self.prepared.inner.reader.fields[field]
    }

    /// The field of `term`.
    pub(crate) fn field_of(&self, term: usize) -> usize {
        self.prepared.inner.terms[term].field
    }

    /// The lengths of `field`; all zero if they have not been fetched.
    pub(crate) fn lens(&self, field: usize) -> Lens<'_> {
        Lens { width: self.field(field).layout.len_width, bytes: &self.lens[field] }
    }

    /// A cursor on the list of `term`; `None` if no document holds it.
    pub(crate) fn cursor(&self, term: usize) -> Result<Option<PostingsCursor>, FormatError> {
        let prepared = &self.prepared.inner.terms[term];
        match &prepared.list {
            Some(list) => self.open(prepared.field, list, &self.lists[term]).map(Some),
            None => Ok(None),
        }
    }

    /// The field and cursors of an expansion's lists.
    pub(crate) fn expansion(
        &self,
        expansion: usize,
    ) -> (usize, impl Iterator<Item = Result<PostingsCursor, FormatError>>) {
        let prepared = &self.prepared.inner.expansions[expansion];
        let lists = prepared.lists.iter().zip(&self.expansions[expansion]);
        (prepared.field, lists.map(|(list, bytes)| self.open(prepared.field, list, bytes)))
    }

    fn open(
        &self,
        field: usize,
        list: &Listed,
        bytes: &Bytes,
    ) -> Result<PostingsCursor, FormatError> {
        open_list(self.field(field), self.prepared.inner.reader.rows, list, bytes)
    }

    /// The positions of `term`.
    pub(crate) fn positions(&self, term: usize) -> Result<TermPositions<'_>, FormatError> {
        let prepared = &self.prepared.inner.terms[term];
        let Some(list) = &prepared.list else { return Ok(TermPositions::Inline(Vec::new())) };
        let (field, rows) = (self.field(prepared.field), self.prepared.inner.reader.rows);
        open_positions(field, rows, list, &self.positions[term])
    }
}

/// Verifies the lengths of `field`.
pub(crate) fn verify_lens(field: &Field, bytes: &[u8]) -> Result<(), FormatError> {
    let chunk_len = LEN_CHUNK_ROWS * usize::from(field.layout.len_width).max(1);
    for (chunk, (bytes, &crc)) in bytes.chunks(chunk_len).zip(&field.layout.len_crcs).enumerate() {
        field.verified.once(field.len_chunk(chunk), || checksum::verify("lengths", bytes, crc))?;
    }
    Ok(())
}

/// A cursor on `list`, whose postings are `bytes` if they are not inline.
pub(crate) fn open_list(
    field: &Field,
    rows: u32,
    list: &Listed,
    bytes: &Bytes,
) -> Result<PostingsCursor, FormatError> {
    let df = list.found.df as usize;
    match &list.found.place {
        Place::Inline(_) => {
            Ok(PostingsCursor::short(short::read_inline(&list.inline, df, rows)?.0))
        }
        Place::Listed { unit, .. } if df <= BLOCK_LEN => {
            field
                .verified
                .once(field.unit(*unit), || short::verify_trailer("posting list", bytes))?;
            Ok(PostingsCursor::short(short::read_short(bytes, df, rows)?))
        }
        Place::Listed { unit, directory, .. } => {
            let at = (*directory as usize).min(bytes.len());
            field.verified.once(field.unit(*unit), || {
                short::verify_trailer("posting directory", &bytes[..at])
            })?;
            let data = bytes.slice(at..);
            let directory = Directory::read(bytes.slice(..at), df, data.len(), rows)?;
            Ok(PostingsCursor::long(df, directory, data, *unit))
        }
    }
}

/// The positions of `list`, which are `bytes` if they are not inline.
pub(crate) fn open_positions<'a>(
    field: &'a Field,
    rows: u32,
    list: &Listed,
    bytes: &Bytes,
) -> Result<TermPositions<'a>, FormatError> {
    let df = list.found.df as usize;
    let Place::Listed { unit, .. } = list.found.place else {
        let (short, at) = short::read_inline(&list.inline, df, rows)?;
        let tfs = &short.tfs[..df];
        return short::read_inline_positions(&list.inline[at..], tfs).map(TermPositions::Inline);
    };
    let first_unit = unit + posting_units(df);
    let blocks = positions::Blocks::new(bytes, df, field.layout.version);
    field.verified.once(field.unit(first_unit), || blocks.verify_table())?;
    Ok(TermPositions::Blocks(Box::new(PositionBlocks {
        field,
        first_unit,
        bytes: bytes.clone(),
        df,
        block: usize::MAX,
        range: 0..0,
        open: positions::PositionBlock::default(),
    })))
}

/// The positions of one term's documents.
pub(crate) enum TermPositions<'a> {
    /// Per document, all of them.
    Inline(Vec<Vec<u32>>),
    Blocks(Box<PositionBlocks<'a>>),
}

/// Positions outside the dictionary, at one of their blocks.
pub(crate) struct PositionBlocks<'a> {
    field: &'a Field,
    first_unit: u64,
    bytes: Bytes,
    df: usize,
    /// The block that has been opened, and its bytes.
    block: usize,
    range: Range<usize>,
    open: positions::PositionBlock,
}

impl TermPositions<'_> {
    /// Whether `block` is the one that has been read last, or all are in memory.
    pub(crate) fn is_at(&self, block: usize) -> bool {
        match self {
            Self::Inline(_) => true,
            Self::Blocks(blocks) => blocks.block == block,
        }
    }

    /// Goes to `block`, which holds `count` positions.
    pub(crate) fn open(&mut self, block: usize, count: u64) -> Result<(), FormatError> {
        match self {
            Self::Inline(_) => Ok(()),
            Self::Blocks(blocks) => blocks.open(block, count),
        }
    }

    /// Reads all positions of the block we are at, whose frequencies are `tfs`.
    pub(crate) fn read_all(&mut self, tfs: &[u32]) -> Result<(), FormatError> {
        match self {
            Self::Inline(_) => Ok(()),
            Self::Blocks(blocks) => blocks.open.read_all(&blocks.bytes[blocks.range.clone()], tfs),
        }
    }

    /// The positions of document `index` of the block we are at, if all have been read.
    #[inline]
    pub(crate) fn known(&self, index: usize) -> Option<&[u32]> {
        match self {
            Self::Inline(docs) => Some(docs.get(index).map_or(&[][..], |doc| doc)),
            Self::Blocks(blocks) => blocks.open.known(index),
        }
    }

    /// Replaces `out` by the `tf` positions of a document of the block we are at, before which `first` are.
    #[inline]
    pub(crate) fn read(
        &mut self,
        first: usize,
        tf: u32,
        out: &mut Vec<u32>,
    ) -> Result<(), FormatError> {
        out.clear();
        match self {
            // All are known.
            Self::Inline(_) => Ok(()),
            Self::Blocks(blocks) => {
                blocks.open.read(&blocks.bytes[blocks.range.clone()], first, tf, out)
            }
        }
    }
}

impl PositionBlocks<'_> {
    fn open(&mut self, block: usize, count: u64) -> Result<(), FormatError> {
        let blocks = positions::Blocks::new(&self.bytes, self.df, self.field.layout.version);
        self.block = usize::MAX;
        let group = (block / GROUP_BLOCKS) as u64;
        let unit = self.field.unit(self.first_unit + 1 + group);
        self.field.verified.once(unit, || blocks.verify(block))?;
        self.range = blocks.block(block)?;
        self.open.open(&self.bytes[self.range.clone()], count)?;
        self.block = block;
        Ok(())
    }
}

/// The exact lengths of a field's documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lens<'a> {
    pub(crate) width: u8,
    pub(crate) bytes: &'a [u8],
}

impl Lens<'_> {
    #[inline(always)]
    pub(crate) fn get(self, doc: u32) -> u32 {
        let doc = doc as usize;
        match self.width {
            1 => self.bytes.get(doc).map_or(0, |&len| len.into()),
            2 => match self.bytes.get(2 * doc..2 * doc + 2) {
                Some(len) => u16::from_le_bytes([len[0], len[1]]).into(),
                None => 0,
            },
            4 => match self.bytes.get(4 * doc..4 * doc + 4) {
                Some(len) => u32::from_le_bytes([len[0], len[1], len[2], len[3]]),
                None => 0,
            },
            _ => 0,
        }
    }
}

impl Lens<'_> {
    /// The lengths of `docs`.
    #[inline]
    pub(crate) fn gather(self, docs: &[u32], out: &mut [u32]) {
        match self.width {
            2 => docs.iter().zip(out).for_each(|(&doc, len)| {
                let at = 2 * doc as usize;
                *len = self
                    .bytes
                    .get(at..at + 2)
                    .map_or(0, |len| u16::from_le_bytes([len[0], len[1]]).into());
            }),
            1 => docs.iter().zip(out).for_each(|(&doc, len)| {
                *len = self.bytes.get(doc as usize).map_or(0, |&len| len.into());
            }),
            _ => docs.iter().zip(out).for_each(|(&doc, len)| *len = self.get(doc)),
        }
    }
}

pub(crate) fn shift(range: &Range<u64>, by: u64) -> Range<u64> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}

fn mark_phrases(node: &Node, marks: &mut [bool]) {
    match node {
        Node::Phrase { terms, .. } => terms.iter().for_each(|&(term, _)| marks[term] = true),
        Node::Bool { must, should, must_not, filter, .. } => {
            let all = must.iter().chain(should).chain(must_not).chain(filter);
            all.for_each(|node| mark_phrases(node, marks));
        }
        Node::DisMax { nodes, .. } => nodes.iter().for_each(|node| mark_phrases(node, marks)),
        Node::Nothing
        | Node::All { .. }
        | Node::Term { .. }
        | Node::Combined { .. }
        | Node::Expansion { .. } => {}
    }
}

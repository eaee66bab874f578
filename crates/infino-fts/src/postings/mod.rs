//! Posting lists: the documents that hold a term, ascending, and how often each holds it.
//!
//! A list takes one of three forms by its length: *inline* in the dictionary (at most [`INLINE_DOCS`]), *short* (at most one
//! block, exact lengths beside it) and *long*: blocks of 128 behind a directory that tells each block's last document and
//! its *impacts*, the (term frequency, length) pairs that bound any score in it. Bytes: `docs/format/text.md`.

pub(crate) mod cursor;
pub(crate) mod impacts;
pub(crate) mod long;
pub(crate) mod positions;
pub(crate) mod short;

/// The most documents of a list that stands in the dictionary.
pub(crate) const INLINE_DOCS: usize = 16;
/// The most bytes of a list that stands in the dictionary.
pub(crate) const INLINE_BYTES: usize = 256;
/// Blocks that share a checksum.
pub(crate) const GROUP_BLOCKS: usize = 8;

/// Checksummed units of the postings of a list outside the dictionary.
pub(crate) fn posting_units(df: usize) -> u64 {
    match df.div_ceil(crate::kernel::pack::BLOCK_LEN) {
        1 => 1,
        blocks => 1 + blocks.div_ceil(GROUP_BLOCKS) as u64,
    }
}

/// Checksummed units of a list outside the dictionary, numbered from its first: its postings, then if the field keeps
/// positions their table (there is none if they are one block) and their groups.
pub(crate) fn units(df: usize, positions: bool) -> u64 {
    let groups = df.div_ceil(crate::kernel::pack::BLOCK_LEN).div_ceil(GROUP_BLOCKS) as u64;
    posting_units(df) + if positions { 1 + groups } else { 0 }
}

/// One list while it is built or after it is read whole: parallel arrays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) docs: Vec<u32>,
    pub(crate) tfs: Vec<u32>,
    /// All positions of the first document, then of the second, …; empty if the field keeps none.
    pub(crate) positions: Vec<u32>,
}

impl List {
    pub(crate) fn clear(&mut self) {
        self.docs.clear();
        self.tfs.clear();
        self.positions.clear();
    }
}

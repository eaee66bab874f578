//! The resident top of a dictionary: the first term and place of each block.

use std::ops::Range;

use infino_format::FormatError;
use infino_format::cursor::Cursor;
use infino_format::varint;

const WHAT: &str = "dictionary top";

/// First terms and places of the blocks of one field.
#[derive(Debug, Default)]
pub(crate) struct Top {
    keys: Vec<u8>,
    /// Where each first term begins in `keys`; one more for the end.
    key_starts: Vec<u32>,
    /// Where each block begins in the section; one more for the end.
    block_starts: Vec<u64>,
}

/// Appends the top of blocks with these first terms and lengths.
pub(crate) fn write(blocks: &[(Vec<u8>, usize)], out: &mut Vec<u8>) {
    varint::write(out, blocks.len() as u64);
    let mut before: &[u8] = &[];
    for (first, len) in blocks {
        let shared = before.iter().zip(first).take_while(|(a, b)| a == b).count();
        varint::write(out, shared as u64);
        varint::write_bytes(out, &first[shared..]);
        varint::write(out, *len as u64);
        before = first;
    }
}

impl Top {
    /// Reads a top whose blocks begin at `start` of the section.
    pub(crate) fn read(cursor: &mut Cursor<'_>, start: u64) -> Result<Self, FormatError> {
        let count = cursor.count(3)?;
        let mut top = Self { block_starts: vec![start], ..Self::default() };
        for block in 0..count {
            let shared = cursor.varint()? as usize;
            let suffix = cursor.bytes()?;
            let len = cursor.varint()?;
            let from = top.key_starts.last().map_or(0, |&start| start as usize);
            let before = top.keys.len() - from;
            if shared > before || shared + suffix.len() > crate::analysis::TERM_LEN_MAX {
                return Err(FormatError::invalid(WHAT, format!("term of block {block}")));
            }
            top.key_starts.push(top.keys.len() as u32);
            top.keys.extend_from_within(from..from + shared);
            top.keys.extend_from_slice(suffix);
            if block > 0 && top.first(block) <= top.first(block - 1) {
                return Err(FormatError::invalid(WHAT, format!("block {block} out of order")));
            }
            let end = top.block_starts[block].checked_add(len);
            let Some(end) = end.filter(|_| len <= 1 << 24) else {
                return Err(FormatError::invalid(WHAT, format!("block {block} of {len} bytes")));
            };
            top.block_starts.push(end);
        }
        Ok(top)
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.key_starts.len()
    }

    /// The first term of `block`.
    pub(crate) fn first(&self, block: usize) -> &[u8] {
        let end = self.key_starts.get(block + 1).map_or(self.keys.len(), |&end| end as usize);
        &self.keys[self.key_starts[block] as usize..end]
    }

    /// The section's bytes of `block`.
    pub(crate) fn bytes(&self, block: usize) -> Range<u64> {
        self.block_starts[block]..self.block_starts[block + 1]
    }

    /// Where the last block ends.
    pub(crate) fn end(&self) -> u64 {
        *self.block_starts.last().expect("a start is always there")
    }

    /// The only block that may hold `term`.
    pub(crate) fn find(&self, term: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = (low + high) / 2;
            if self.first(middle) <= term { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    /// The only block from `block` on that may hold `term`, or `block`.
    pub(crate) fn find_from(&self, block: usize, term: &[u8]) -> usize {
        // Mostly it is not far.
        let (mut low, mut step) = (block, 1);
        while low + step < self.blocks() && self.first(low + step) <= term {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.blocks());
        while low + 1 < high {
            let middle = (low + high) / 2;
            if self.first(middle) <= term { low = middle } else { high = middle }
        }
        low
    }

    /// The blocks that may hold terms from `from` to before `to` (to the end if `None`).
    pub(crate) fn span(&self, from: &[u8], to: Option<&[u8]>) -> Range<usize> {
        let start = self.find(from).unwrap_or(0);
        let end = to.map_or(self.blocks(), |to| {
            let at = self.find(to).map_or(0, |block| block + 1);
            // A block that begins with `to` itself holds nothing below it.
            if at > 0 && self.first(at - 1) == to { at - 1 } else { at }
        });
        start..end.max(start)
    }
}

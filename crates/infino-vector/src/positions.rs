//! From a row number to where the row stands in list order, for filters that leave few rows.
//!
//! One entry for each row number up to the greatest, packed into as few bits as hold the number of rows, which stands for
//! *no vector*. Entries come in groups of [`GROUP_DOCS`], each with a checksum. An index over a sliver of its row
//! numbers has no such region.

use std::ops::Range;

use infino_format::{DocId, checksum};

/// Entries under one checksum.
pub(crate) const GROUP_DOCS: u32 = 1024;
/// The region is left out if it would have more entries a row than this.
const ENTRIES_PER_ROW: u64 = 64;

/// Where the region stands and how it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions {
    at: u64,
    rows: u32,
    docs: u32,
}

impl Positions {
    /// The region of an index of `rows` rows numbered below `docs`, at byte `at`.
    pub(crate) fn new(at: u64, rows: u32, docs: u32) -> Option<Self> {
        let present = rows > 0 && u64::from(docs) <= ENTRIES_PER_ROW * u64::from(rows);
        present.then_some(Self { at, rows, docs })
    }

    /// Bytes of the region.
    pub(crate) fn len(&self) -> u64 {
        self.group_range((self.docs - 1) / GROUP_DOCS).end - self.at
    }

    /// Groups of the region.
    pub(crate) fn groups(&self) -> u32 {
        self.docs.div_ceil(GROUP_DOCS)
    }

    /// The group that row `doc` is in, if the region goes so far.
    pub(crate) fn group_of(&self, doc: DocId) -> Option<u32> {
        (doc < self.docs).then_some(doc / GROUP_DOCS)
    }

    /// The bytes of a group in the section, checksum included.
    pub(crate) fn group_range(&self, group: u32) -> Range<u64> {
        let whole = self.packed_len(GROUP_DOCS) + 4;
        let start = self.at + u64::from(group) * whole;
        let entries = (self.docs - group * GROUP_DOCS).min(GROUP_DOCS);
        start..start + self.packed_len(entries) + 4
    }

    /// The position of row `doc` according to the bytes of its group.
    pub(crate) fn read(&self, group: &[u8], doc: DocId) -> Option<u32> {
        let bit = (doc % GROUP_DOCS * self.bits()) as usize;
        let mut bytes = [0; 8];
        let here = &group[bit / 8..group.len().min(bit / 8 + 8)];
        bytes[..here.len()].copy_from_slice(here);
        let position = u64::from_le_bytes(bytes) >> (bit % 8) & ((1 << self.bits()) - 1);
        Some(position as u32).filter(|&position| position < self.rows)
    }

    /// The region, from the row number at each position.
    pub(crate) fn encode(&self, docs: impl Iterator<Item = DocId>) -> Vec<u8> {
        let mut positions = vec![self.rows; self.docs as usize];
        for (position, doc) in (0..).zip(docs) {
            positions[doc as usize] = position;
        }
        let mut out = Vec::with_capacity(self.len() as usize);
        for group in positions.chunks(GROUP_DOCS as usize) {
            let start = out.len();
            let (mut bits, mut held) = (0u64, 0);
            for &position in group {
                bits |= u64::from(position) << held;
                held += self.bits();
                while held >= 8 {
                    out.push(bits as u8);
                    bits >>= 8;
                    held -= 8;
                }
            }
            if held > 0 {
                out.push(bits as u8);
            }
            let crc = checksum::crc32c(&out[start..]);
            out.extend_from_slice(&crc.to_le_bytes());
        }
        out
    }

    fn bits(&self) -> u32 {
        u32::BITS - self.rows.leading_zeros()
    }

    fn packed_len(&self, entries: u32) -> u64 {
        (u64::from(entries) * u64::from(self.bits())).div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_no_other() {
        for (rows, gap) in [(1, 1), (7, 3), (1023, 1), (1024, 2), (5000, 1), (70_000, 1)] {
            // Positions run against the row numbers.
            let docs: Vec<u32> = (0..rows).rev().map(|i| i * gap).collect();
            let positions = Positions::new(100, rows, docs[0] + 1).unwrap();
            let region = positions.encode(docs.iter().copied());
            assert_eq!(region.len() as u64, positions.len());
            for doc in 0..=docs[0] + 1 {
                let Some(group) = positions.group_of(doc) else {
                    assert_eq!(doc, docs[0] + 1);
                    continue;
                };
                let range = positions.group_range(group);
                let bytes = &region[range.start as usize - 100..range.end as usize - 100];
                let expected = (doc % gap == 0).then(|| rows - 1 - doc / gap);
                assert_eq!(positions.read(bytes, doc), expected, "row {doc} of {rows}");
            }
        }
    }

    #[test]
    fn a_sliver_of_the_rows_has_no_region() {
        assert_eq!(Positions::new(0, 0, 0), None);
        assert_eq!(Positions::new(0, 2, u32::MAX), None);
    }
}

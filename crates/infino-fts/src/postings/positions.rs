//! Where in its documents a term stands.
//!
//! The distances between a document's positions are Rice coded with one parameter a block of 128 documents: their low bits
//! are a stream that is indexed, their high parts stand in unary behind it, where the n-th is found by counting ones. So any
//! document's positions are found without decoding those before it. The layout is that of Elias and Fano; the code is
//! Rice, *Some practical universal noiseless coding techniques* (1979).

use std::ops::Range;

use infino_format::{FormatError, checksum};

use super::short::verify_trailer;
use super::{GROUP_BLOCKS, List};
use crate::FtsError;
use crate::kernel::bits::Place;
use crate::kernel::pack::{BLOCK_LEN, pack_stream, stream_at, stream_bytes, word_at};
use crate::kernel::rice;

const WHAT: &str = "positions";

/// Appends the positions of a list: if it has several blocks, the ends and the checksums of their groups and one of this table
/// first; then the groups, the only block with its checksum.
pub(crate) fn write(list: &List, out: &mut Vec<u8>) -> Result<(), FtsError> {
    let mut positions = &list.positions[..];
    let mut block_of = |tfs: &[u32], out: &mut Vec<u8>| {
        let total: usize = tfs.iter().map(|&tf| tf as usize).sum();
        let (block, rest) = positions.split_at(total);
        positions = rest;
        write_block(tfs, block, out);
    };
    let start = out.len();
    if list.tfs.len() <= BLOCK_LEN {
        block_of(&list.tfs, out);
        let crc = checksum::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        return Ok(());
    }
    let groups = list.tfs.len().div_ceil(BLOCK_LEN * GROUP_BLOCKS);
    out.resize(start + table_len(groups), 0);
    let data = out.len();
    let (mut ends, mut crcs, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    for group in list.tfs.chunks(BLOCK_LEN * GROUP_BLOCKS) {
        blocks.clear();
        let mut block_ends = Vec::with_capacity(GROUP_BLOCKS);
        for tfs in group.chunks(BLOCK_LEN) {
            block_of(tfs, &mut blocks);
            block_ends.push(blocks.len());
        }
        let too_long = || {
            FtsError::Invalid("one term has more than 4 GiB of positions; split the file".into())
        };
        let group_start = out.len();
        block_ends.pop();
        let width = if blocks.len() <= 0xffff { 2 } else { 4 };
        out.push(width);
        for end in block_ends {
            let end = u32::try_from(end).map_err(|_| too_long())?;
            out.extend_from_slice(&end.to_le_bytes()[..width.into()]);
        }
        out.extend_from_slice(&blocks);
        let end = u32::try_from(out.len() - data).map_err(|_| too_long())?;
        ends.extend_from_slice(&end.to_le_bytes());
        crcs.extend_from_slice(&checksum::crc32c(&out[group_start..]).to_le_bytes());
    }
    ends.extend_from_slice(&crcs);
    let crc = checksum::crc32c(&ends);
    ends.extend_from_slice(&crc.to_le_bytes());
    out[start..data].copy_from_slice(&ends);
    Ok(())
}

/// Bytes of the table before `groups` groups.
fn table_len(groups: usize) -> usize {
    8 * groups + 4
}

/// Bytes of the table before `blocks` blocks in version 1, which tells the end of each.
fn block_table_len(blocks: usize) -> usize {
    4 * blocks + 4 * blocks.div_ceil(GROUP_BLOCKS) + 4
}

fn write_block(tfs: &[u32], mut positions: &[u32], out: &mut Vec<u8>) {
    let mut gaps = Vec::with_capacity(positions.len());
    for &tf in tfs {
        let (doc, rest) = positions.split_at(tf as usize);
        positions = rest;
        let mut last = 0;
        for &position in doc {
            gaps.push(position - last);
            last = position;
        }
    }
    let width = rice_width(&gaps);
    let low = ((1u64 << width) - 1) as u32;
    out.push(width);
    let lows: Vec<u32> = gaps.iter().map(|gap| gap & low).collect();
    pack_stream(&lows, width, out);
    let (mut pending, mut bits) = (0u64, 0u32);
    for &gap in &gaps {
        let mut zeros = gap >> width;
        while zeros > 0 {
            let step = zeros.min(32);
            (bits, zeros) = (bits + step, zeros - step);
            flush(&mut pending, &mut bits, out);
        }
        pending |= 1 << bits;
        bits += 1;
        flush(&mut pending, &mut bits, out);
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// Moves whole bytes out of `pending`.
fn flush(pending: &mut u64, bits: &mut u32, out: &mut Vec<u8>) {
    while *bits >= 8 {
        out.push(*pending as u8);
        *pending >>= 8;
        *bits -= 8;
    }
}

/// The Rice parameter that makes `gaps` smallest.
fn rice_width(gaps: &[u32]) -> u8 {
    let sum: u64 = gaps.iter().map(|&gap| u64::from(gap)).sum();
    let mean = sum / (gaps.len() as u64).max(1);
    // The best one is beside the logarithm of the mean.
    let near = (64 - mean.leading_zeros()).min(31) as u8;
    let bits = |width: u8| {
        gaps.iter().map(|gap| u64::from(gap >> width)).sum::<u64>()
            + gaps.len() as u64 * (u64::from(width) + 1)
    };
    (near.saturating_sub(2)..=near).min_by_key(|&width| bits(width)).unwrap_or(0)
}

/// The positions of a list of `df` documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks<'a> {
    bytes: &'a [u8],
    blocks: usize,
    /// Whether the table tells the end of each block, not only of each group: version 1.
    each: bool,
}

impl<'a> Blocks<'a> {
    /// As `version` of the section has them.
    pub(crate) fn new(bytes: &'a [u8], df: usize, version: u16) -> Self {
        Self { bytes, blocks: df.div_ceil(BLOCK_LEN), each: version == 1 }
    }

    fn table_len(&self) -> usize {
        match (self.blocks, self.each) {
            (0 | 1, _) => 0,
            (blocks, true) => block_table_len(blocks),
            (blocks, false) => table_len(blocks.div_ceil(GROUP_BLOCKS)),
        }
    }

    /// Checks the table, once a list.
    pub(crate) fn verify_table(&self) -> Result<(), FormatError> {
        match self.table_len() {
            0 => Ok(()),
            len => verify_trailer(WHAT, self.bytes.get(..len).unwrap_or_default()),
        }
    }

    fn number(&self, at: usize) -> Result<u32, FormatError> {
        let bytes = self.bytes.get(4 * at..4 * at + 4).ok_or_else(misplaced)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// The bytes from entry `from` to entry `to` of the table.
    fn range(&self, from: usize, to: usize) -> Result<Range<usize>, FormatError> {
        let table = self.table_len();
        let len = self.bytes.len().checked_sub(table).ok_or_else(misplaced)?;
        let start = if from == 0 { 0 } else { self.number(from - 1)? as usize };
        let end = self.number(to)? as usize;
        if start > end || end > len {
            return Err(FormatError::invalid(WHAT, format!("block at {start}..{end} of {len}")));
        }
        Ok(table + start..table + end)
    }

    fn group(&self, group: usize) -> Result<Range<usize>, FormatError> {
        if !self.each {
            return self.range(group, group);
        }
        let last = (group * GROUP_BLOCKS + GROUP_BLOCKS).min(self.blocks) - 1;
        self.range(group * GROUP_BLOCKS, last)
    }

    /// Verifies the group that `block` is in.
    pub(crate) fn verify(&self, block: usize) -> Result<(), FormatError> {
        if self.blocks <= 1 {
            return verify_trailer(WHAT, self.bytes);
        }
        let group = block / GROUP_BLOCKS;
        let bytes = self.group(group)?;
        let ends = if self.each { self.blocks } else { self.blocks.div_ceil(GROUP_BLOCKS) };
        checksum::verify(WHAT, &self.bytes[bytes], self.number(ends + group)?)
    }

    /// Where `block`, whose group has been verified, is.
    #[inline]
    pub(crate) fn block(&self, block: usize) -> Result<Range<usize>, FormatError> {
        if self.blocks <= 1 {
            return Ok(0..self.bytes.len().saturating_sub(4));
        }
        if self.each {
            return self.range(block, block);
        }
        let (group, at) = (block / GROUP_BLOCKS, block % GROUP_BLOCKS);
        let range = self.group(group)?;
        let inner = (self.blocks - group * GROUP_BLOCKS).min(GROUP_BLOCKS) - 1;
        let bytes = &self.bytes[range.clone()];
        let width = usize::from(*bytes.first().ok_or_else(misplaced)?);
        let end = |at: usize| match width {
            2 => bytes
                .get(1 + 2 * at..3 + 2 * at)
                .map(|end| u16::from_le_bytes([end[0], end[1]]).into()),
            4 => bytes
                .get(1 + 4 * at..5 + 4 * at)
                .map(|end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize),
            _ => None,
        };
        let first = range.start + 1 + width * inner;
        let start = if at == 0 { 0 } else { end(at - 1).ok_or_else(misplaced)? };
        let (start, end) = match at == inner {
            true => (first.saturating_add(start), range.end),
            false => {
                (first.saturating_add(start), first.saturating_add(end(at).ok_or_else(misplaced)?))
            }
        };
        if start > end || end > range.end {
            return Err(misplaced());
        }
        Ok(start..end)
    }
}

#[cold]
fn misplaced() -> FormatError {
    FormatError::invalid(WHAT, "blocks out of place")
}

/// A block of positions, its parts found.
#[derive(Debug, Default)]
pub(crate) struct PositionBlock {
    width: u8,
    /// Where the high parts begin.
    high: usize,
    /// Where in the high parts positions were found last.
    place: Place,
    /// All positions, once they have been read, and where those of each document begin.
    all: Vec<u32>,
    starts: Vec<u32>,
}

impl PositionBlock {
    /// Reads the frame of a block of `count` positions.
    pub(crate) fn open(&mut self, bytes: &[u8], count: u64) -> Result<(), FormatError> {
        let width = *bytes.first().ok_or_else(|| FormatError::invalid(WHAT, "an empty block"))?;
        // Every position takes a bit of its own in unary.
        if width > 31 || count > 8 * bytes.len() as u64 {
            let problem = format!("{count} of {width} bits in {} bytes", bytes.len());
            return Err(FormatError::invalid(WHAT, problem));
        }
        let high = 1 + stream_bytes(count as usize, width);
        if high > bytes.len() {
            return Err(FormatError::invalid(WHAT, "high parts out of place"));
        }
        (self.width, self.high, self.place) = (width, high, Place::default());
        self.starts.clear();
        Ok(())
    }

    /// Reads all positions of the block, whose documents have `tfs`, so that each document's are at hand.
    pub(crate) fn read_all(&mut self, bytes: &[u8], tfs: &[u32]) -> Result<(), FormatError> {
        let count = tfs.iter().map(|&tf| tf as usize).sum();
        // As many bits are there at least.
        if count > 8 * bytes.len() {
            return Err(ended());
        }
        self.all.clear();
        self.all.resize(count, 0);
        if !rice::unpack(&bytes[1..self.high], self.width, &bytes[self.high..], &mut self.all) {
            return Err(ended());
        }
        let mut start = 0;
        for &tf in tfs {
            self.starts.push(start as u32);
            let end = start + tf as usize;
            let mut position = 0u32;
            for gap in &mut self.all[start..end] {
                position = position.wrapping_add(*gap);
                *gap = position;
            }
            start = end;
        }
        Ok(())
    }

    /// The positions of document `index` of the block if all have been read.
    #[inline]
    pub(crate) fn known(&self, index: usize) -> Option<&[u32]> {
        let start = *self.starts.get(index)? as usize;
        let end = self.starts.get(index + 1).map_or(self.all.len(), |&end| end as usize);
        self.all.get(start..end)
    }

    /// Appends `tf` positions of a document of the block, before which `first` are.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        first: usize,
        tf: u32,
        out: &mut Vec<u32>,
    ) -> Result<(), FormatError> {
        let (lows, highs) = (&bytes[1..self.high], &bytes[self.high..]);
        let mut at = self.place.after_ones(highs, first).ok_or_else(ended)?;
        let mut position = 0u32;
        for i in first..first + tf as usize {
            let mut zeros = 0;
            let word = loop {
                if at / 8 >= highs.len() {
                    return Err(ended());
                }
                let word = word_at(highs, at / 8) >> (at % 8);
                if word != 0 {
                    break word;
                }
                let step = 64 - at % 8;
                (at, zeros) = (at + step, zeros + step);
            };
            let run = word.trailing_zeros() as usize;
            at += run + 1;
            let gap = ((zeros + run) as u64) << self.width;
            let gap = gap as u32 | stream_at(lows, self.width, i);
            position = position.wrapping_add(gap);
            out.push(position);
        }
        Ok(())
    }
}

#[cold]
fn ended() -> FormatError {
    FormatError::invalid(WHAT, "fewer positions than the frequencies tell")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_round_trip(
            docs in prop::collection::vec(prop::collection::vec(0u32..3000, 1..9), 1..300),
            scale in 0u32..20,
        ) {
            let mut list = List::default();
            for (doc, gaps) in docs.iter().enumerate() {
                let mut position = 0;
                list.docs.push(doc as u32);
                list.tfs.push(gaps.len() as u32);
                for gap in gaps {
                    position += gap << scale >> 10;
                    list.positions.push(position);
                }
            }
            let mut bytes = Vec::new();
            write(&list, &mut bytes).unwrap();
            let blocks = Blocks::new(&bytes, docs.len(), 2);
            blocks.verify_table().unwrap();
            let mut back: Vec<u32> = Vec::new();
            for (block, tfs) in list.tfs.chunks(BLOCK_LEN).enumerate() {
                blocks.verify(block).unwrap();
                let bytes = &bytes[blocks.block(block).unwrap()];
                let (mut open, mut whole) = (PositionBlock::default(), PositionBlock::default());
                let count = tfs.iter().map(|&tf| u64::from(tf)).sum();
                open.open(bytes, count).unwrap();
                whole.open(bytes, count).unwrap();
                whole.read_all(bytes, tfs).unwrap();
                for index in (0..tfs.len()).rev() {
                    let first = tfs[..index].iter().sum::<u32>() as usize;
                    let mut one = Vec::new();
                    open.read(bytes, first, tfs[index], &mut one).unwrap();
                    prop_assert!(open.known(index).is_none());
                    prop_assert_eq!(Some(&one[..]), whole.known(index));
                }
                (0..tfs.len()).for_each(|index| back.extend(whole.known(index).unwrap()));
            }
            prop_assert_eq!(back, list.positions);
        }
    }
}

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
use crate::kernel::bits::{Place, each_one};
use crate::kernel::pack::{BLOCK_LEN, pack_stream, stream_at, stream_bytes, word_at};

const WHAT: &str = "positions";

/// Appends the positions of a list: if it has several blocks, their ends, the checksums of their groups and one of the
/// table first; then the blocks, the only one with its checksum.
pub(crate) fn write(list: &List, out: &mut Vec<u8>) -> Result<(), FtsError> {
    let blocks = list.tfs.len().div_ceil(BLOCK_LEN);
    let mut positions = &list.positions[..];
    let start = out.len();
    out.resize(start + table_len(blocks), 0);
    let data = out.len();
    let (mut ends, mut crcs, mut group_start) = (Vec::new(), Vec::new(), data);
    for (i, tfs) in list.tfs.chunks(BLOCK_LEN).enumerate() {
        let total: usize = tfs.iter().map(|&tf| tf as usize).sum();
        let (block, rest) = positions.split_at(total);
        positions = rest;
        write_block(tfs, block, out);
        let end = u32::try_from(out.len() - data).map_err(|_| {
            FtsError::Invalid("one term has more than 4 GiB of positions; split the file".into())
        })?;
        ends.extend_from_slice(&end.to_le_bytes());
        if (i + 1) % GROUP_BLOCKS == 0 || i + 1 == blocks {
            crcs.extend_from_slice(&checksum::crc32c(&out[group_start..]).to_le_bytes());
            group_start = out.len();
        }
    }
    if blocks <= 1 {
        out.extend_from_slice(&crcs);
        return Ok(());
    }
    ends.extend_from_slice(&crcs);
    let crc = checksum::crc32c(&ends);
    ends.extend_from_slice(&crc.to_le_bytes());
    out[start..data].copy_from_slice(&ends);
    Ok(())
}

/// Bytes of the table before `blocks` blocks.
fn table_len(blocks: usize) -> usize {
    if blocks <= 1 { 0 } else { 4 * blocks + 4 * blocks.div_ceil(GROUP_BLOCKS) + 4 }
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
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(bytes: &'a [u8], df: usize) -> Self {
        Self { bytes, blocks: df.div_ceil(BLOCK_LEN) }
    }

    /// Checks the table, once a list.
    pub(crate) fn verify_table(&self) -> Result<(), FormatError> {
        match table_len(self.blocks) {
            0 => Ok(()),
            len => verify_trailer(WHAT, self.bytes.get(..len).unwrap_or_default()),
        }
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    /// The bytes from block `from` to block `to`, by the table.
    fn range(&self, from: usize, to: usize) -> Result<Range<usize>, FormatError> {
        let table = table_len(self.blocks);
        let len = self.bytes.len().checked_sub(table).ok_or_else(|| {
            FormatError::invalid(WHAT, format!("no table in {} bytes", self.bytes.len()))
        })?;
        let start = if from == 0 { 0 } else { self.number(4 * (from - 1)) as usize };
        let end = self.number(4 * to) as usize;
        if start > end || end > len {
            return Err(FormatError::invalid(WHAT, format!("block at {start}..{end} of {len}")));
        }
        Ok(table + start..table + end)
    }

    /// Verifies the group that `block` is in.
    pub(crate) fn verify(&self, block: usize) -> Result<(), FormatError> {
        if self.blocks <= 1 {
            return verify_trailer(WHAT, self.bytes);
        }
        let group = block / GROUP_BLOCKS;
        let last = (group * GROUP_BLOCKS + GROUP_BLOCKS).min(self.blocks) - 1;
        let bytes = self.range(group * GROUP_BLOCKS, last)?;
        checksum::verify(WHAT, &self.bytes[bytes], self.number(4 * (self.blocks + group)))
    }

    /// Where `block`, whose group has been verified, is.
    pub(crate) fn block(&self, block: usize) -> Result<Range<usize>, FormatError> {
        if self.blocks <= 1 {
            return Ok(0..self.bytes.len().saturating_sub(4));
        }
        self.range(block, block)
    }
}

/// A block of positions, its parts found.
#[derive(Debug, Default)]
pub(crate) struct PositionBlock {
    width: u8,
    /// Where the high parts begin.
    high: usize,
    /// The document that was found last, how many positions the documents before it have, and where in the high parts.
    index: usize,
    before: u32,
    place: Place,
    /// All positions, once they have been read, and where those of each document begin.
    all: Vec<u32>,
    starts: Vec<u32>,
}

impl PositionBlock {
    /// Reads the frame of a block whose documents have `tfs`; and all positions, if they are to be read `whole`.
    pub(crate) fn open(
        &mut self,
        bytes: &[u8],
        tfs: &[u32],
        whole: bool,
    ) -> Result<(), FormatError> {
        let count: u64 = tfs.iter().map(|&tf| u64::from(tf)).sum();
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
        (self.width, self.high) = (width, high);
        (self.index, self.before, self.place) = (0, 0, Place::default());
        self.starts.clear();
        if whole { self.read_all(bytes, tfs, count as usize) } else { Ok(()) }
    }

    fn read_all(&mut self, bytes: &[u8], tfs: &[u32], count: usize) -> Result<(), FormatError> {
        let (lows, highs) = (&bytes[1..self.high], &bytes[self.high..]);
        self.all.clear();
        self.all.reserve(count);
        // The high part of a distance is the way from the one before its own.
        let mut next = 0;
        each_one(highs, count, |i, at| {
            let high = ((at - next) as u64) << self.width;
            self.all.push(high as u32 | stream_at(lows, self.width, i));
            next = at + 1;
        });
        if self.all.len() < count {
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

    /// Appends the positions of document `index` of the block, whose documents have `tfs`.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        index: usize,
        tfs: &[u32],
        out: &mut Vec<u32>,
    ) -> Result<(), FormatError> {
        if let Some(&start) = self.starts.get(index) {
            let start = start as usize;
            out.extend_from_slice(&self.all[start..start + tfs[index] as usize]);
            return Ok(());
        }
        if index < self.index {
            (self.index, self.before) = (0, 0);
        }
        let passed = &tfs[self.index..index];
        self.before = passed.iter().fold(self.before, |sum, &tf| sum.wrapping_add(tf));
        self.index = index;
        let first = self.before as usize;
        let (lows, highs) = (&bytes[1..self.high], &bytes[self.high..]);
        let mut at = self.place.after_ones(highs, first).ok_or_else(ended)?;
        let mut position = 0u32;
        for i in first..first + tfs[index] as usize {
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
            let blocks = Blocks::new(&bytes, docs.len());
            blocks.verify_table().unwrap();
            let mut back = Vec::new();
            for (block, tfs) in list.tfs.chunks(BLOCK_LEN).enumerate() {
                blocks.verify(block).unwrap();
                let bytes = &bytes[blocks.block(block).unwrap()];
                let mut open = PositionBlock::default();
                open.open(bytes, tfs, true).unwrap();
                let (mut whole, mut single) = (Vec::new(), Vec::new());
                for index in (0..tfs.len()).step_by(5).rev() {
                    open.read(bytes, index, tfs, &mut whole).unwrap();
                }
                open.open(bytes, tfs, false).unwrap();
                for index in (0..tfs.len()).step_by(5).rev() {
                    open.read(bytes, index, tfs, &mut single).unwrap();
                }
                prop_assert_eq!(whole, single);
                for index in 0..tfs.len() {
                    open.read(bytes, index, tfs, &mut back).unwrap();
                }
            }
            prop_assert_eq!(back, list.positions);
        }
    }
}

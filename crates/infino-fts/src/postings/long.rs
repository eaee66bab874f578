//! Lists of more than one block: a directory, then the blocks.

use std::ops::Range;

use bytes::Bytes;
use infino_format::cursor::Cursor;
use infino_format::{FormatError, checksum};

use super::short::{gaps, sum_gaps};
use super::{GROUP_BLOCKS, List, impacts};
use crate::kernel::pack::{
    BLOCK_LEN, block_bytes, pack, pack_stream, stream_bytes, sum_block, unpack, unpack_stream,
    width,
};

const WHAT: &str = "posting directory";
const BLOCK: &str = "posting block";
/// As a block's document width: a bit a row from the one after the block before.
const BITS: u8 = 255;

/// Sizes of a long list as the dictionary keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongLen {
    pub(crate) directory: usize,
    pub(crate) data: usize,
}

/// Appends the directory and the blocks.
pub(crate) fn write(list: &List, lens: &[u32], average: f64, out: &mut Vec<u8>) -> LongLen {
    let mut lasts = Vec::new();
    let (mut codes, mut tf_widths, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pairs, mut data, mut crcs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut next, mut group_start) = (0, 0);
    let blocks = list.docs.len().div_ceil(BLOCK_LEN);
    let chunks = list.docs.chunks(BLOCK_LEN).zip(list.tfs.chunks(BLOCK_LEN));
    for (i, (docs, tfs)) in chunks.enumerate() {
        let last = *docs.last().expect("chunks are not empty");
        lasts.extend_from_slice(&last.to_le_bytes());
        codes.push(write_docs(docs, next, &mut data));
        tf_widths.push(write_tfs(tfs, &mut data));
        let doc_lens = docs.iter().map(|&doc| lens[doc as usize]);
        counts.push(impacts::write(tfs, doc_lens, average, &mut pairs));
        next = last + 1;
        if (i + 1) % GROUP_BLOCKS == 0 || i + 1 == blocks {
            crcs.extend_from_slice(&checksum::crc32c(&data[group_start..]).to_le_bytes());
            group_start = data.len();
        }
    }
    let start = out.len();
    for part in [&lasts, &codes, &tf_widths, &counts, &crcs, &pairs] {
        out.extend_from_slice(part);
    }
    let crc = checksum::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    let directory = out.len() - start;
    out.extend_from_slice(&data);
    LongLen { directory, data: data.len() }
}

fn write_docs(docs: &[u32], next: u32, data: &mut Vec<u8>) -> u8 {
    let gaps = gaps(docs, next);
    let width = width(&gaps);
    let Ok(full) = <&[u32; BLOCK_LEN]>::try_from(&gaps[..]) else {
        pack_stream(&gaps, width, data);
        return width;
    };
    let words = bit_words(next, docs[BLOCK_LEN - 1]);
    if 8 * words > block_bytes(width) {
        pack(full, width, data);
        return width;
    }
    let mut bits = vec![0u64; words];
    for doc in docs {
        let at = (doc - next) as usize;
        bits[at / 64] |= 1 << (at % 64);
    }
    bits.iter().for_each(|word| data.extend_from_slice(&word.to_le_bytes()));
    BITS
}

fn write_tfs(tfs: &[u32], data: &mut Vec<u8>) -> u8 {
    let less: Vec<u32> = tfs.iter().map(|tf| tf - 1).collect();
    let width = width(&less);
    match <&[u32; BLOCK_LEN]>::try_from(&less[..]) {
        Ok(full) => pack(full, width, data),
        Err(_) => pack_stream(&less, width, data),
    }
    width
}

/// Words of the bitset from `next` to `last`.
fn bit_words(next: u32, last: u32) -> usize {
    (last.saturating_sub(next) as usize + 1).div_ceil(64)
}

/// Where the blocks of a list are and what they hold, read once a list is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    df: usize,
    bytes: Bytes,
    /// Last document of each block.
    pub(crate) lasts: Vec<u32>,
    /// Where each block begins in the data; one more for the end.
    starts: Vec<u32>,
}

impl Directory {
    /// Reads the directory of a list of `df` documents; its checksum is the caller's to verify.
    pub(crate) fn read(
        bytes: Bytes,
        df: usize,
        data_len: usize,
        rows: u32,
    ) -> Result<Self, FormatError> {
        let blocks = df.div_ceil(BLOCK_LEN);
        let mut cursor = Cursor::new(WHAT, &bytes);
        let lasts: Vec<u32> = cursor
            .take(blocks.saturating_mul(4))?
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        cursor.take(2 * blocks)?;
        let counts = cursor.take(blocks)?;
        let pairs: usize = counts.iter().map(|&count| usize::from(count)).sum();
        cursor.take(4 * blocks.div_ceil(GROUP_BLOCKS))?;
        cursor.take(2 * pairs)?;
        cursor.take(4)?;
        cursor.finish()?;
        let ascend = lasts.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend || lasts.last().is_none_or(|&last| last >= rows) || counts.contains(&0) {
            return Err(FormatError::invalid(WHAT, "blocks out of order"));
        }
        let mut directory = Self { df, bytes, lasts, starts: Vec::new() };
        directory.place_blocks(data_len)?;
        Ok(directory)
    }

    /// A column of one byte a block, after the last documents.
    #[inline]
    fn column(&self, column: usize) -> &[u8] {
        let blocks = self.blocks();
        &self.bytes[(4 + column) * blocks..(5 + column) * blocks]
    }

    fn code(&self, block: usize) -> u8 {
        self.column(0)[block]
    }

    fn tf_width(&self, block: usize) -> u8 {
        self.column(1)[block]
    }

    /// Per block, its impact pairs: (term frequency, length code).
    pub(crate) fn impacts(&self) -> impl Iterator<Item = &[u8]> {
        let crcs = 4 * self.blocks().div_ceil(GROUP_BLOCKS);
        let mut pairs = &self.bytes[7 * self.blocks() + crcs..];
        self.column(2).iter().map(move |&count| {
            let (own, rest) = pairs.split_at(2 * usize::from(count));
            pairs = rest;
            own
        })
    }

    fn place_blocks(&mut self, data_len: usize) -> Result<(), FormatError> {
        let mut at = 0usize;
        self.starts = Vec::with_capacity(self.lasts.len() + 1);
        for block in 0..self.lasts.len() {
            self.starts.push(at as u32);
            at += self.doc_bytes(block)? + self.tf_bytes(block)?;
        }
        self.starts.push(at as u32);
        if at != data_len || at > u32::MAX as usize {
            return Err(FormatError::invalid(WHAT, format!("blocks of {at} bytes in {data_len}")));
        }
        Ok(())
    }

    fn doc_bytes(&self, block: usize) -> Result<usize, FormatError> {
        match self.code(block) {
            BITS if self.block_len(block) == BLOCK_LEN => {
                Ok(8 * bit_words(self.first(block), self.lasts[block]))
            }
            width => self.number_bytes(block, width),
        }
    }

    fn tf_bytes(&self, block: usize) -> Result<usize, FormatError> {
        self.number_bytes(block, self.tf_width(block))
    }

    fn number_bytes(&self, block: usize, width: u8) -> Result<usize, FormatError> {
        match self.block_len(block) {
            _ if width > 32 => Err(FormatError::invalid(WHAT, format!("a width of {width} bits"))),
            BLOCK_LEN => Ok(block_bytes(width)),
            len => Ok(stream_bytes(len, width)),
        }
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.lasts.len()
    }

    /// Documents of `block`.
    #[inline]
    pub(crate) fn block_len(&self, block: usize) -> usize {
        (self.df - block * BLOCK_LEN).min(BLOCK_LEN)
    }

    /// No document of `block` is below this.
    #[inline]
    pub(crate) fn first(&self, block: usize) -> u32 {
        if block == 0 { 0 } else { self.lasts[block - 1] + 1 }
    }

    /// The group `block` is in, its bytes in the data, and their checksum.
    pub(crate) fn group(&self, block: usize) -> (usize, Range<usize>, u32) {
        let group = block / GROUP_BLOCKS;
        let end = ((group + 1) * GROUP_BLOCKS).min(self.blocks());
        let bytes = self.starts[group * GROUP_BLOCKS] as usize..self.starts[end] as usize;
        let crc = 7 * self.blocks() + 4 * group;
        let crc = self.bytes[crc..crc + 4].try_into().expect("four bytes");
        (group, bytes, u32::from_le_bytes(crc))
    }

    /// Reads the documents of `block`, whose group has been verified; returns how many.
    pub(crate) fn docs(
        &self,
        data: &[u8],
        block: usize,
        out: &mut [u32; BLOCK_LEN],
    ) -> Result<usize, FormatError> {
        let len = self.block_len(block);
        let (first, last, code) = (self.first(block), self.lasts[block], self.code(block));
        let bytes = &data[self.starts[block] as usize..];
        if code == BITS {
            read_bits(&bytes[..8 * bit_words(first, last)], first, out)?;
        } else {
            if len == BLOCK_LEN {
                unpack(bytes, code, out);
            } else {
                unpack_stream(bytes, code, &mut out[..len]);
            }
            // 128 gaps of up to 24 bits from below 2^31 cannot pass 32 bits.
            if len == BLOCK_LEN && code <= 24 && first < 1 << 31 {
                sum_block(out, first);
            } else {
                sum_gaps(&mut out[..len], first, last + 1)?;
            }
        }
        if out[len - 1] != last {
            return Err(FormatError::invalid(BLOCK, "it does not end where its directory says"));
        }
        Ok(len)
    }

    /// Reads the frequencies of `block`.
    pub(crate) fn tfs(
        &self,
        data: &[u8],
        block: usize,
        out: &mut [u32; BLOCK_LEN],
    ) -> Result<(), FormatError> {
        let len = self.block_len(block);
        let start = self.starts[block] as usize + self.doc_bytes(block)?;
        let width = self.tf_width(block);
        if len == BLOCK_LEN {
            unpack(&data[start..], width, out);
        } else {
            unpack_stream(&data[start..], width, &mut out[..len]);
        }
        out[..len].iter_mut().for_each(|tf| *tf = tf.saturating_add(1));
        Ok(())
    }
}

fn read_bits(bytes: &[u8], first: u32, out: &mut [u32; BLOCK_LEN]) -> Result<(), FormatError> {
    let mut at = 0;
    for (i, word) in bytes.chunks_exact(8).enumerate() {
        let mut word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        let base = first + 64 * i as u32;
        if at + word.count_ones() as usize > BLOCK_LEN {
            return Err(FormatError::invalid(BLOCK, "more than 128 documents"));
        }
        while word != 0 {
            out[at] = base + word.trailing_zeros();
            at += 1;
            word &= word - 1;
        }
    }
    if at == BLOCK_LEN {
        Ok(())
    } else {
        Err(FormatError::invalid(BLOCK, format!("{at} documents")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(docs: Vec<u32>) {
        let rows = docs.last().unwrap() + 1;
        let tfs: Vec<u32> = docs.iter().map(|doc| 1 + doc % 7).collect();
        let lens = vec![10; rows as usize];
        let list = List { docs, tfs, positions: vec![] };
        let mut out = Vec::new();
        let len = write(&list, &lens, 10.0, &mut out);
        let (head, data) = out.split_at(len.directory);
        let directory =
            Directory::read(Bytes::copy_from_slice(head), list.docs.len(), data.len(), rows)
                .unwrap();
        let (mut docs, mut tfs) = (vec![], vec![]);
        for block in 0..directory.blocks() {
            let mut buffer = [0; BLOCK_LEN];
            let len = directory.docs(data, block, &mut buffer).unwrap();
            docs.extend_from_slice(&buffer[..len]);
            directory.tfs(data, block, &mut buffer).unwrap();
            tfs.extend_from_slice(&buffer[..len]);
            let (_, range, crc) = directory.group(block);
            checksum::verify("test", &data[range], crc).unwrap();
        }
        assert_eq!((docs, tfs), (list.docs, list.tfs));
    }

    proptest! {
        #[test]
        fn lists_round_trip(gaps in prop::collection::vec(0u32..40, 129..700), dense in 0u32..40) {
            let mut next = 0;
            check(gaps.iter().map(|gap| {
                let doc = next + gap.saturating_sub(dense);
                next = doc + 1;
                doc
            }).collect());
        }
    }
}

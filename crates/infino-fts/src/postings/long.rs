//! Lists of more than one block: a directory, then the blocks.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;
use infino_format::{FormatError, checksum};

use super::short::{gaps, sum_gaps};
use super::{GROUP_BLOCKS, List, impacts};
use crate::kernel::bits::{ones, rank};
use crate::kernel::elias_fano::EliasFano;
use crate::kernel::pack::{
    BLOCK_LEN, CODE_BYTES, PLANES, Patched, pack_stream, stream_bytes, sum_block, unpack_stream,
    width,
};
use crate::kernel::planes::{self, Planes};

const WHAT: &str = "posting directory";
const BLOCK: &str = "posting block";
/// As a block's document code: a bit a row from the one after the block before.
const BITS: u8 = 255;
/// As a block's document code: low bits packed, high parts in unary.
const ELIAS_FANO: u8 = 254;
/// Bytes that a bitset may take more than another form: documents are found in it sooner.
const BITS_BIAS: usize = 16;

/// Sizes of a long list as the dictionary keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongLen {
    pub(crate) directory: usize,
    pub(crate) data: usize,
}

/// Appends the directory and the blocks.
pub(crate) fn write(list: &List, lens: &[u32], average: f64, out: &mut Vec<u8>) -> LongLen {
    let mut lasts = Vec::new();
    let (mut codes, mut tf_codes, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pairs, mut data, mut crcs) = (Vec::new(), Vec::new(), Vec::new());
    let mut data_starts = Vec::new();
    let (mut next, mut group_start) = (0, 0);
    let blocks = list.docs.len().div_ceil(BLOCK_LEN);
    let chunks = list.docs.chunks(BLOCK_LEN).zip(list.tfs.chunks(BLOCK_LEN));
    for (i, (docs, tfs)) in chunks.enumerate() {
        let last = *docs.last().expect("chunks are not empty");
        if i % GROUP_BLOCKS == 0 {
            data_starts.extend_from_slice(&(data.len() as u32).to_le_bytes());
        }
        lasts.extend_from_slice(&last.to_le_bytes());
        codes.push(write_docs(docs, next, &mut data));
        tf_codes.push(write_tfs(tfs, &mut data));
        let doc_lens = docs.iter().map(|&doc| lens[doc as usize]);
        counts.push(impacts::write(tfs, doc_lens, average, &mut pairs));
        next = last + 1;
        if (i + 1) % GROUP_BLOCKS == 0 || i + 1 == blocks {
            crcs.extend_from_slice(&checksum::crc32c(&data[group_start..]).to_le_bytes());
            group_start = data.len();
        }
    }
    let start = out.len();
    for part in [&lasts, &codes, &tf_codes, &counts, &data_starts, &crcs, &pairs] {
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
    let Ok(full) = <&[u32; BLOCK_LEN]>::try_from(&gaps[..]) else {
        let width = width(&gaps);
        pack_stream(&gaps, width, data);
        return width;
    };
    let words = bit_words(next, docs[BLOCK_LEN - 1]);
    let patched = Patched::best(full);
    let frame = EliasFano::new(next, docs[BLOCK_LEN - 1]).expect("128 documents lie so far apart");
    if 8 * words > patched.bytes().min(frame.bytes()) + BITS_BIAS {
        if patched.bytes() < frame.bytes() {
            patched.pack(full, data);
            return patched.code();
        }
        frame.pack(docs.try_into().expect("128 documents"), data);
        return ELIAS_FANO;
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
    match <&[u32; BLOCK_LEN]>::try_from(&less[..]) {
        Ok(full) => {
            let patched = Patched::best(full);
            match planes::bytes_of(full).filter(|&bytes| bytes < patched.bytes()) {
                Some(bytes) => {
                    planes::pack(full, data);
                    PLANES + (bytes - planes::size(0)) as u8
                }
                None => {
                    patched.pack(full, data);
                    patched.code()
                }
            }
        }
        Err(_) => {
            let width = width(&less);
            pack_stream(&less, width, data);
            width
        }
    }
}

/// Words of the bitset from `next` to `last`.
fn bit_words(next: u32, last: u32) -> usize {
    (last.saturating_sub(next) as usize + 1).div_ceil(64)
}

/// Where the blocks of a list are and what they hold. Nothing is read before it is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    df: usize,
    rows: u32,
    blocks: usize,
    groups: usize,
    bytes: Bytes,
    data_len: usize,
    /// The block whose bytes were sought last, and where they begin.
    last_start: Cell<(usize, usize)>,
}

fn misplaced() -> FormatError {
    FormatError::invalid(WHAT, "blocks out of place")
}

#[inline]
fn patched(code: u8) -> Result<Patched, FormatError> {
    Patched::read(code).ok_or_else(|| FormatError::invalid(WHAT, format!("a block coded {code}")))
}

impl Directory {
    /// The directory of a list of `df` documents; its checksum is the caller's to verify.
    pub(crate) fn read(
        bytes: Bytes,
        df: usize,
        data_len: usize,
        rows: u32,
    ) -> Result<Self, FormatError> {
        let blocks = df.div_ceil(BLOCK_LEN);
        let groups = blocks.div_ceil(GROUP_BLOCKS);
        if bytes.len() < 7 * blocks + 8 * groups + 4 || df > rows as usize {
            return Err(misplaced());
        }
        let last_start = Cell::new((0, usize::MAX));
        Ok(Self { df, rows, blocks, groups, bytes, data_len, last_start })
    }

    #[inline(always)]
    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    /// The last document of `block`.
    #[inline(always)]
    pub(crate) fn last(&self, block: usize) -> u32 {
        self.number(4 * block)
    }

    /// Last documents, four bytes each.
    pub(crate) fn lasts(&self) -> &[[u8; 4]] {
        self.bytes[..4 * self.blocks].as_chunks().0
    }

    #[inline(always)]
    fn code(&self, block: usize) -> u8 {
        self.bytes[4 * self.blocks + block]
    }

    #[inline(always)]
    fn tf_code(&self, block: usize) -> u8 {
        self.bytes[5 * self.blocks + block]
    }

    /// A column of four bytes a group: where its data begin, its checksum.
    fn of_group(&self, column: usize, group: usize) -> u32 {
        self.number(7 * self.blocks + 4 * (column * self.groups + group))
    }

    /// How many blocks there are.
    #[inline(always)]
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Documents of `block`.
    #[inline]
    pub(crate) fn block_len(&self, block: usize) -> usize {
        (self.df - block * BLOCK_LEN).min(BLOCK_LEN)
    }

    /// No document of `block` is below this.
    #[inline]
    pub(crate) fn first(&self, block: usize) -> u32 {
        if block == 0 { 0 } else { self.last(block - 1).wrapping_add(1) }
    }

    /// Per block, its impact pairs.
    pub(crate) fn impacts(&self) -> impl Iterator<Item = &[u8]> {
        let mut pairs = &self.bytes[7 * self.blocks + 8 * self.groups..];
        self.bytes[6 * self.blocks..7 * self.blocks].iter().map(move |&count| {
            let (own, rest) = pairs.split_at_checked(2 * usize::from(count)).unwrap_or_default();
            pairs = rest;
            own
        })
    }

    /// The group `block` is in, its bytes in the data, and their checksum.
    pub(crate) fn group(&self, block: usize) -> Result<(usize, Range<usize>, u32), FormatError> {
        let group = block / GROUP_BLOCKS;
        let start = self.of_group(0, group) as usize;
        let end = if group + 1 < self.groups {
            self.of_group(0, group + 1) as usize
        } else {
            self.data_len
        };
        if start > end || end > self.data_len {
            return Err(misplaced());
        }
        Ok((group, start..end, self.of_group(1, group)))
    }

    fn doc_bytes(&self, block: usize) -> Result<usize, FormatError> {
        match self.code(block) {
            BITS if self.block_len(block) == BLOCK_LEN => {
                Ok(8 * bit_words(self.first(block), self.last(block)))
            }
            ELIAS_FANO if self.block_len(block) == BLOCK_LEN => Ok(self.frame(block)?.bytes()),
            code if code >= PLANES => {
                Err(FormatError::invalid(WHAT, format!("a block coded {code}")))
            }
            code => self.number_bytes(block, code),
        }
    }

    fn tf_bytes(&self, block: usize) -> Result<usize, FormatError> {
        self.number_bytes(block, self.tf_code(block))
    }

    #[inline]
    fn number_bytes(&self, block: usize, code: u8) -> Result<usize, FormatError> {
        match self.block_len(block) {
            BLOCK_LEN => Ok(CODE_BYTES[usize::from(code)].into()),
            len if code <= 32 => Ok(stream_bytes(len, code)),
            _ => Err(FormatError::invalid(WHAT, format!("a width of {code} bits"))),
        }
    }

    /// Bytes of `blocks`, of 128 documents each.
    fn full_bytes(&self, blocks: Range<usize>) -> usize {
        let column = |i: usize| &self.bytes[i * self.blocks..][blocks.clone()];
        let (doc_codes, tf_codes) = (column(4), column(5));
        let mut bytes = 0;
        for (i, (&doc_code, &tf_code)) in doc_codes.iter().zip(tf_codes).enumerate() {
            bytes += usize::from(CODE_BYTES[usize::from(tf_code)]);
            bytes += match doc_code {
                BITS => {
                    let block = blocks.start + i;
                    8 * bit_words(self.first(block), self.last(block))
                }
                ELIAS_FANO => self.frame(blocks.start + i).map_or(0, EliasFano::bytes),
                code => usize::from(CODE_BYTES[usize::from(code)]),
            };
        }
        bytes
    }

    /// The frame of `block`, which is of that form.
    #[inline]
    fn frame(&self, block: usize) -> Result<EliasFano, FormatError> {
        EliasFano::new(self.first(block), self.last(block)).ok_or_else(misplaced)
    }

    /// What begins with the documents' bytes, and with the frequencies' bytes, of `block`.
    fn parts<'a>(&self, data: &'a [u8], block: usize) -> Result<(&'a [u8], &'a [u8]), FormatError> {
        let first = block / GROUP_BLOCKS * GROUP_BLOCKS;
        let (mut from, mut start) = self.last_start.get();
        if !(first..=block).contains(&from) || start == usize::MAX {
            (from, start) = (first, self.of_group(0, block / GROUP_BLOCKS) as usize);
        }
        if from < block {
            start += self.full_bytes(from..block);
        }
        self.last_start.set((block, start));
        let (docs, tfs) = (self.doc_bytes(block)?, self.tf_bytes(block)?);
        if data.len() < start + docs + tfs {
            return Err(misplaced());
        }
        Ok((&data[start..], &data[start + docs..]))
    }

    /// Reads the documents of `block`, whose group has been verified; returns how many.
    pub(crate) fn docs(
        &self,
        data: &[u8],
        block: usize,
        out: &mut [u32; BLOCK_LEN],
    ) -> Result<usize, FormatError> {
        let len = self.block_len(block);
        let (first, last, code) = (self.first(block), self.last(block), self.code(block));
        if last >= self.rows || first > last {
            return Err(misplaced());
        }
        let (bytes, _) = self.parts(data, block)?;
        if code == BITS {
            if !ones(&bytes.as_chunks().0[..bit_words(first, last)], first, out) {
                return Err(FormatError::invalid(BLOCK, "not 128 documents"));
            }
        } else if code == ELIAS_FANO && len == BLOCK_LEN {
            if !self.frame(block)?.unpack(bytes, out) {
                return Err(FormatError::invalid(BLOCK, "not 128 documents"));
            }
        } else {
            let mut bits = 32;
            if len == BLOCK_LEN {
                let patched = patched(code)?;
                patched.unpack(bytes, out);
                bits = patched.bits();
            } else {
                unpack_stream(bytes, code, &mut out[..len]);
            }
            // 128 gaps of up to 24 bits from below 2^31 cannot pass 32 bits.
            if bits <= 24 && first < 1 << 31 {
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

    /// So many documents are looked up in `block` one by one sooner than by reading it.
    pub(crate) fn lookups(&self, block: usize) -> usize {
        match self.code(block) {
            BITS if self.block_len(block) == BLOCK_LEN => 24,
            ELIAS_FANO if self.block_len(block) == BLOCK_LEN => 4,
            _ => 0,
        }
    }

    /// Where `doc` is in `block`, if that can be told without reading the block: `Some(None)` if it is not there.
    pub(crate) fn find(
        &self,
        data: &[u8],
        block: usize,
        doc: u32,
    ) -> Result<Option<Option<usize>>, FormatError> {
        if self.lookups(block) == 0 {
            return Ok(None);
        }
        let (bytes, _) = self.parts(data, block)?;
        if self.code(block) == ELIAS_FANO {
            return Ok(Some(self.frame(block)?.find(bytes, doc)));
        }
        if doc > self.last(block) {
            return Ok(Some(None));
        }
        let at = doc.wrapping_sub(self.first(block)) as usize;
        Ok(Some(rank(bytes.as_chunks().0, at).filter(|&index| index < BLOCK_LEN)))
    }

    /// Reads the frequencies of `block`.
    pub(crate) fn tfs(
        &self,
        data: &[u8],
        block: usize,
        out: &mut [u32; BLOCK_LEN],
    ) -> Result<(), FormatError> {
        let len = self.block_len(block);
        let (_, bytes) = self.parts(data, block)?;
        let code = self.tf_code(block);
        if len == BLOCK_LEN && code >= PLANES {
            Planes::new(bytes, CODE_BYTES[usize::from(code)].into()).unpack_plus_one(out);
            return Ok(());
        }
        if len == BLOCK_LEN {
            patched(code)?.unpack(bytes, out);
        } else {
            unpack_stream(bytes, code, &mut out[..len]);
        }
        out.iter_mut().for_each(|tf| *tf = tf.wrapping_add(1));
        Ok(())
    }

    /// The planes of the frequencies less one of `block`, if they are of that form.
    #[inline]
    fn planes(&self, data: &[u8], block: usize) -> Result<Option<Planes>, FormatError> {
        let code = self.tf_code(block);
        if code < PLANES || self.block_len(block) < BLOCK_LEN {
            return Ok(None);
        }
        let (_, bytes) = self.parts(data, block)?;
        Ok(Some(Planes::new(bytes, CODE_BYTES[usize::from(code)].into())))
    }

    /// The frequency of document `index` of `block`, and around it, if these can be told without reading the block's
    /// frequencies.
    #[inline]
    pub(crate) fn tf_at(
        &self,
        data: &[u8],
        block: usize,
        index: usize,
    ) -> Result<Option<Tf>, FormatError> {
        let planes = self.planes(data, block)?;
        Ok(planes.map(|planes| {
            let (less, before) = planes.at(index);
            let all = planes.sum() + BLOCK_LEN as u32;
            Tf { own: less + 1, before: before + index as u32, all }
        }))
    }
}

/// A frequency, the sum of those before it in its block, and of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tf {
    pub(crate) own: u32,
    pub(crate) before: u32,
    pub(crate) all: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(docs: Vec<u32>) {
        let rows = docs.last().unwrap() + 1;
        let tfs: Vec<u32> = docs.iter().map(|doc| 1 + (doc % 7) / (1 + doc / 300 % 6)).collect();
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
            for (index, &doc) in docs[docs.len() - len..].iter().enumerate() {
                let found = directory.find(data, block, doc).unwrap();
                assert!(found.is_none_or(|found| found == Some(index)));
            }
            directory.tfs(data, block, &mut buffer).unwrap();
            let (mut before, all) = (0, buffer[..len].iter().sum());
            for (index, &own) in buffer[..len].iter().enumerate() {
                let found = directory.tf_at(data, block, index).unwrap();
                assert!(found.is_none_or(|found| found == Tf { own, before, all }));
                before += own;
            }
            tfs.extend_from_slice(&buffer[..len]);
            let (_, range, crc) = directory.group(block).unwrap();
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

//! Checksums of fixed blocks of the file, so that any byte range of the Parquet body is verified when it is read.
//!
//! Parquet's pages carry no checksum that covers their headers. So every byte from the start of the file to this section
//! is covered by the CRC-32C of its block, and a reader widens each range to whole blocks. Blocks are as small as keeps
//! the section small, because the section is read when the file is opened. Bytes: `docs/format/superfile.md`.

use std::io::Write;
use std::ops::Range;

use infino_format::FormatError;
use infino_format::checksum::{crc32c, crc32c_append, crc32c_combine, verify};
use infino_format::cursor::Cursor;

const WHAT: &str = "body checksums";
const MAGIC: [u8; 4] = *b"ICRC";
pub(crate) const VERSION: u16 = 1;
const HEADER_LEN: usize = 16;

/// The smallest block: 16 KiB.
const BLOCK_LOG2_MIN: u8 = 14;
const BLOCK_LOG2_MAX: u8 = 30;

/// Blocks double in size until there are no more than this.
const BLOCKS_MAX: usize = 1 << 15;

/// The checksums of a file's blocks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    block_log2: u8,
    covered: u64,
    blocks: Vec<u32>,
}

impl Checksums {
    /// Bytes covered, from the start of the file.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Bytes of a block.
    pub(crate) fn block_len(&self) -> u64 {
        1 << self.block_log2
    }

    /// The whole blocks that hold `range`, which must be covered.
    pub(crate) fn widen(&self, range: &Range<u64>) -> Range<u64> {
        let mask = (1u64 << self.block_log2) - 1;
        let end = range.end.checked_add(mask).map_or(self.covered, |end| end & !mask);
        range.start & !mask..end.min(self.covered)
    }

    /// Checks `bytes`, which stand at `start`, the first of a block, and end with one.
    ///
    /// # Errors
    /// The blocks that are wrong, and how.
    pub(crate) fn verify(&self, start: u64, bytes: &[u8]) -> Result<(), (Range<u64>, FormatError)> {
        let first = (start >> self.block_log2) as usize;
        let block_len = 1usize << self.block_log2;
        for (at, block) in bytes.chunks(block_len).enumerate() {
            let begin = start + (at * block_len) as u64;
            let expected = self.blocks.get(first + at).copied().unwrap_or(0);
            verify("block", block, expected)
                .map_err(|error| (begin..begin + block.len() as u64, error))?;
        }
        Ok(())
    }

    /// The section's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + 4 * self.blocks.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.block_log2, 0]);
        out.extend_from_slice(&self.covered.to_le_bytes());
        self.blocks.iter().for_each(|crc| out.extend_from_slice(&crc.to_le_bytes()));
        let crc = crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`Checksums::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let invalid = |problem: &str| Err(FormatError::invalid(WHAT, problem));
        let Some(body_len) = bytes.len().checked_sub(4).filter(|&len| len >= HEADER_LEN) else {
            return invalid("shorter than its header");
        };
        let (body, crc) = bytes.split_at(body_len);
        if body[..4] != MAGIC {
            return Err(FormatError::Magic { what: WHAT, found: body[..4].to_vec() });
        }
        verify(WHAT, body, u32::from_le_bytes(crc.try_into().expect("4 bytes are left")))?;
        let mut cursor = Cursor::new(WHAT, &body[4..]);
        let version = cursor.u16()?;
        if version != VERSION {
            return Err(FormatError::Version {
                what: WHAT,
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        let (block_log2, zero) = (cursor.u8()?, cursor.u8()?);
        let covered = cursor.u64()?;
        if !(BLOCK_LOG2_MIN..=BLOCK_LOG2_MAX).contains(&block_log2) || zero != 0 {
            return invalid("a block size that is none");
        }
        if covered.div_ceil(1 << block_log2) != (cursor.remaining() / 4) as u64
            || !cursor.remaining().is_multiple_of(4)
        {
            return invalid("the number of blocks does not fit the length covered");
        }
        let blocks = (0..cursor.remaining() / 4).map(|_| cursor.u32()).collect::<Result<_, _>>()?;
        Ok(Self { block_log2, covered, blocks })
    }
}

/// Passes bytes on, counting them and taking the checksum of each smallest block.
pub(crate) struct ChecksumWriter<'a> {
    out: &'a mut (dyn Write + Send),
    at: u64,
    blocks: Vec<u32>,
    open: u32,
    held: Option<Vec<u8>>,
}

impl<'a> ChecksumWriter<'a> {
    pub(crate) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, at: 0, blocks: Vec::new(), open: 0, held: None }
    }

    /// From now on bytes are held back, uncounted, until [`ChecksumWriter::release`].
    pub(crate) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Lets `change` alter what was held back, passes it on and returns it.
    pub(crate) fn release(&mut self, change: impl FnOnce(&mut [u8])) -> std::io::Result<Vec<u8>> {
        let mut held = self.held.take().unwrap_or_default();
        change(&mut held);
        self.out.write_all(&held)?;
        self.out.flush()?;
        Ok(held)
    }

    /// The checksums of all that was passed on.
    pub(crate) fn checksums(&self) -> Checksums {
        self.checksums_of(BLOCKS_MAX)
    }

    /// As [`ChecksumWriter::checksums`], of no more than `blocks_max` blocks.
    fn checksums_of(&self, blocks_max: usize) -> Checksums {
        let mut blocks = self.blocks.clone();
        let mut last_len = (self.at % (1 << BLOCK_LOG2_MIN)) as usize;
        if last_len > 0 {
            blocks.push(self.open);
        } else {
            last_len = 1 << BLOCK_LOG2_MIN;
        }
        let mut block_log2 = BLOCK_LOG2_MIN;
        while blocks.len() > blocks_max && block_log2 < BLOCK_LOG2_MAX {
            let full = 1usize << block_log2;
            let pairs = blocks.len() / 2;
            let even = blocks.len().is_multiple_of(2);
            let merged_len = if even { full + last_len } else { last_len };
            blocks = blocks
                .chunks(2)
                .enumerate()
                .map(|(at, pair)| match *pair {
                    [first, second] => {
                        let last = at + 1 == pairs && even;
                        crc32c_combine(first, second, if last { last_len } else { full })
                    }
                    _ => pair[0],
                })
                .collect();
            last_len = merged_len;
            block_log2 += 1;
        }
        Checksums { block_log2, covered: self.at, blocks }
    }
}

impl Write for ChecksumWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        self.out.write_all(bytes)?;
        let block_len = 1u64 << BLOCK_LOG2_MIN;
        let mut left = bytes;
        while !left.is_empty() {
            let room = (block_len - self.at % block_len) as usize;
            let (now, rest) = left.split_at(room.min(left.len()));
            self.open = crc32c_append(self.open, now);
            self.at += now.len() as u64;
            left = rest;
            if self.at.is_multiple_of(block_len) {
                self.blocks.push(std::mem::take(&mut self.open));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(len: usize, blocks_max: usize) -> (Vec<u8>, Checksums) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut out = Vec::new();
        let mut writer = ChecksumWriter::new(&mut out);
        bytes.chunks(1_000).for_each(|chunk| writer.write_all(chunk).unwrap());
        let checksums = writer.checksums_of(blocks_max);
        (out, checksums)
    }

    #[test]
    fn every_block_verifies_and_a_flip_names_its_block() {
        for len in [1, 16_383, 16_384, 16_385, 100_000] {
            let (mut bytes, checksums) = written(len, BLOCKS_MAX);
            assert_eq!(Checksums::decode(&checksums.encode()).unwrap(), checksums);
            checksums.verify(0, &bytes).unwrap();
            let at = len - 1;
            bytes[at] ^= 1;
            let range = checksums.widen(&(at as u64..at as u64 + 1));
            let block = &bytes[range.start as usize..range.end as usize];
            assert_eq!(checksums.verify(range.start, block).unwrap_err().0, range, "len {len}");
        }
    }

    #[test]
    fn blocks_double_until_they_are_few() {
        for blocks in 1..20 {
            for extra in [0, 1, 9_000, 16_383] {
                let (bytes, checksums) = written((blocks << BLOCK_LOG2_MIN) + extra, 4);
                assert!(checksums.blocks.len() <= 4, "{blocks} and {extra}");
                checksums.verify(0, &bytes).unwrap();
                assert_eq!(Checksums::decode(&checksums.encode()).unwrap(), checksums);
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_truncation_is_refused() {
        let (_, checksums) = written(50_000, BLOCKS_MAX);
        let bytes = checksums.encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Checksums::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Checksums::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}

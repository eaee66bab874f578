//! Checksums of the file's units, so that any byte range of the Parquet body is verified when it is read.
//!
//! Parquet's pages carry no checksum that covers their headers. So every byte from the start of the file to this section
//! is covered by the CRC-32C of its unit, and a reader widens each range to whole units. What is read as one is a unit: in
//! the body a page, or some neighbours where pages are small, because the section is read when the file is opened.
//! Bytes: `docs/format/superfile.md`.

use std::io::Write;
use std::ops::Range;

use infino_format::FormatError;
use infino_format::checksum::{crc32c, crc32c_append, verify};
use infino_format::cursor::Cursor;
use parquet::file::metadata::ParquetMetaData;

const WHAT: &str = "body checksums";
const MAGIC: [u8; 4] = *b"ICRC";
pub(crate) const VERSION: u16 = 2;
const HEADER_LEN: usize = 20;

/// Pages are joined until a unit has this many bytes, or more where that gives too many units.
const UNIT_BYTES_MIN: u64 = 4 << 10;

/// Most units of a body.
const BODY_UNITS_MAX: usize = 1 << 14;

/// Bytes of a unit behind the body: index sections verify what they read themselves.
const SECTION_UNIT_BYTES: u64 = 256 << 10;

/// The checksums of a file's units.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// Where each unit ends; the first begins at 0.
    ends: Vec<u64>,
    crcs: Vec<u32>,
}

impl Checksums {
    /// Bytes covered, from the start of the file.
    pub(crate) fn covered(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The whole units that hold `range`, which must be covered and not empty.
    pub(crate) fn widen(&self, range: &Range<u64>) -> Range<u64> {
        let (first, last) = (self.unit_at(range.start), self.unit_at(range.end - 1));
        self.start(first)..self.ends.get(last).copied().unwrap_or(range.end)
    }

    /// The whole file as runs of whole units of about `bytes`.
    pub(crate) fn runs(&self, bytes: u64) -> impl Iterator<Item = Range<u64>> {
        let mut at = 0u64;
        std::iter::from_fn(move || {
            let wanted = at.saturating_add(bytes.max(1));
            (at < self.covered()).then(|| {
                let run = at..self.widen(&(at..wanted.min(self.covered()))).end;
                at = run.end;
                run
            })
        })
    }

    /// The units of a run.
    pub(crate) fn units(&self, run: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let (first, end) = (self.unit_at(run.start), run.end);
        (first..self.ends.len())
            .map(|unit| self.start(unit)..self.ends[unit])
            .take_while(move |unit| unit.end <= end)
    }

    /// Checks `bytes`, which stand at `start`, the first byte of a unit, and end with one.
    ///
    /// # Errors
    /// The unit that is wrong, and how.
    pub(crate) fn verify(&self, start: u64, bytes: &[u8]) -> Result<(), (Range<u64>, FormatError)> {
        let (mut left, mut at) = (bytes, self.unit_at(start));
        while !left.is_empty() {
            let begin = self.start(at);
            let len = self.ends.get(at).map_or(left.len() as u64, |end| end - begin);
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(left.len());
            let (unit, rest) = left.split_at(len);
            verify("unit", unit, self.crcs.get(at).copied().unwrap_or(0))
                .map_err(|error| (begin..begin + len as u64, error))?;
            (left, at) = (rest, at + 1);
        }
        Ok(())
    }

    fn unit_at(&self, byte: u64) -> usize {
        self.ends.partition_point(|&end| end <= byte)
    }

    fn start(&self, unit: usize) -> u64 {
        unit.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// The section's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + 8 * self.ends.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.covered().to_le_bytes());
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        let mut start = 0;
        for (end, crc) in self.ends.iter().zip(&self.crcs) {
            out.extend_from_slice(&((end - start) as u32).to_le_bytes());
            out.extend_from_slice(&crc.to_le_bytes());
            start = *end;
        }
        let crc = crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads what [`Checksums::encode`] wrote, which must cover as many bytes.
    pub(crate) fn decode_covering(bytes: &[u8], covered: u64) -> Result<Self, FormatError> {
        match Self::decode(bytes)? {
            checksums if checksums.covered() == covered => Ok(checksums),
            _ => Err(FormatError::invalid(WHAT, "cover another length")),
        }
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
        match cursor.u16()? {
            VERSION => {}
            1 => return Self::decode_blocks(cursor),
            found => {
                let (found, newest) = (found.into(), VERSION.into());
                return Err(FormatError::Version { what: WHAT, found, newest });
            }
        }
        let zero = cursor.u16()?;
        let (covered, count) = (cursor.u64()?, cursor.u32()?);
        if zero != 0 || u64::from(count) * 8 != cursor.remaining() as u64 {
            return invalid("the number of units does not fit the section's length");
        }
        let (mut ends, mut crcs) =
            (Vec::with_capacity(count as usize), Vec::with_capacity(count as usize));
        let mut at = 0u64;
        for _ in 0..count {
            let len = cursor.u32()?;
            if len == 0 {
                return invalid("a unit without bytes");
            }
            at += u64::from(len);
            ends.push(at);
            crcs.push(cursor.u32()?);
        }
        if at != covered {
            return invalid("the units do not add up to the length covered");
        }
        Ok(Self { ends, crcs })
    }

    /// Reads version 1, in which all units but the last have one size, a power of two.
    fn decode_blocks(mut cursor: Cursor<'_>) -> Result<Self, FormatError> {
        let (block_log2, zero, covered) = (cursor.u8()?, cursor.u8()?, cursor.u64()?);
        let count = cursor.remaining() as u64 / 4;
        let is_sound = (14..=30).contains(&block_log2)
            && zero == 0
            && cursor.remaining().is_multiple_of(4)
            && covered.div_ceil(1 << block_log2) == count;
        if !is_sound {
            return Err(FormatError::invalid(WHAT, "the blocks do not fit the length covered"));
        }
        let ends = (1..=count).map(|block| (block << block_log2).min(covered)).collect();
        let crcs = (0..count).map(|_| cursor.u32()).collect::<Result<_, _>>()?;
        Ok(Self { ends, crcs })
    }
}

/// Where units end in a body of `body_len` bytes: with pages.
pub(crate) fn unit_ends(metadata: &ParquetMetaData, body_len: u64) -> Vec<u64> {
    let mut edges = Vec::new();
    for (group, row_group) in metadata.row_groups().iter().enumerate() {
        for (leaf, column) in row_group.columns().iter().enumerate() {
            let (start, len) = column.byte_range();
            edges.extend([start, start + len]);
            if let Some(index) = metadata.offset_index() {
                edges.extend(index[group][leaf].page_locations.iter().map(|p| p.offset as u64));
            }
        }
    }
    edges.sort_unstable();
    ends_at(&edges, body_len, BODY_UNITS_MAX)
}

/// No more than `units_max` of `edges`, far enough from each other, then `body_len`.
fn ends_at(edges: &[u64], body_len: u64, units_max: usize) -> Vec<u64> {
    let mut unit_bytes_min = UNIT_BYTES_MIN;
    loop {
        let mut ends: Vec<u64> = Vec::new();
        for &edge in edges.iter().filter(|&&edge| edge < body_len) {
            if edge - ends.last().copied().unwrap_or(0) >= unit_bytes_min {
                ends.push(edge);
            }
        }
        if ends.len() < units_max {
            ends.push(body_len);
            return ends;
        }
        unit_bytes_min *= 2;
    }
}

/// Passes bytes on, counting them and taking the checksum of each unit.
pub(crate) struct ChecksumWriter<'a> {
    out: &'a mut (dyn Write + Send),
    at: u64,
    /// Where the units that have begun, or are to begin, end.
    ends: Vec<u64>,
    /// Of the units that have ended.
    crcs: Vec<u32>,
    open: u32,
    held: Option<Vec<u8>>,
}

impl<'a> ChecksumWriter<'a> {
    /// Units end at `ends`; behind the last of them they have one size.
    pub(crate) fn new(out: &'a mut (dyn Write + Send), ends: Vec<u64>) -> Self {
        Self { out, at: 0, ends, crcs: Vec::new(), open: 0, held: None }
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
        let mut ends = self.ends[..self.crcs.len()].to_vec();
        let mut crcs = self.crcs.clone();
        if ends.last().copied().unwrap_or(0) < self.at {
            ends.push(self.at);
            crcs.push(self.open);
        }
        Checksums { ends, crcs }
    }
}

impl Write for ChecksumWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        self.out.write_all(bytes)?;
        let mut left = bytes;
        while !left.is_empty() {
            if self.crcs.len() == self.ends.len() {
                self.ends.push(self.at + SECTION_UNIT_BYTES);
            }
            let end = self.ends[self.crcs.len()];
            let room = usize::try_from(end - self.at).unwrap_or(usize::MAX);
            let (now, rest) = left.split_at(room.min(left.len()));
            self.open = crc32c_append(self.open, now);
            self.at += now.len() as u64;
            left = rest;
            if self.at == end {
                self.crcs.push(std::mem::take(&mut self.open));
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

    fn written(len: usize, ends: &[u64]) -> (Vec<u8>, Checksums) {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut out = Vec::new();
        let mut writer = ChecksumWriter::new(&mut out, ends.to_vec());
        bytes.chunks(1_000).for_each(|chunk| writer.write_all(chunk).unwrap());
        let checksums = writer.checksums();
        (out, checksums)
    }

    #[test]
    fn every_unit_verifies_and_a_flip_names_its_unit() {
        for (len, units) in [(1, 1), (5_000, 1), (9_000, 2), (9_001, 3), (700_000, 5)] {
            let (mut bytes, checksums) = written(len, &[5_000, 9_000]);
            assert_eq!(checksums.ends.len(), units, "len {len}");
            assert_eq!(checksums.covered(), len as u64);
            assert_eq!(Checksums::decode(&checksums.encode()).unwrap(), checksums);
            checksums.verify(0, &bytes).unwrap();
            for at in [0, len / 2, len - 1] {
                bytes[at] ^= 1;
                let range = checksums.widen(&(at as u64..at as u64 + 1));
                let unit = &bytes[range.start as usize..range.end as usize];
                assert_eq!(checksums.verify(range.start, unit).unwrap_err().0, range, "len {len}");
                assert_eq!(checksums.verify(0, &bytes).unwrap_err().0, range, "len {len}");
                bytes[at] ^= 1;
            }
        }
    }

    #[test]
    fn runs_are_whole_units_and_miss_nothing() {
        let (bytes, checksums) = written(1_000_000, &[5_000, 9_000, 200_000]);
        for step in [1, 8_000, 300_000, u64::MAX / 2] {
            let mut at = 0;
            for run in checksums.runs(step) {
                assert_eq!(run.start, at);
                checksums.verify(at, &bytes[at as usize..run.end as usize]).unwrap();
                at = run.end;
            }
            assert_eq!(at, 1_000_000);
        }
    }

    #[test]
    fn small_pages_are_joined_until_they_are_few() {
        let edges: Vec<u64> = (0..10_000).map(|page| 4 + page * 700).collect();
        let body_len = edges.last().unwrap() + 700;
        for units_max in [1, 2, 50, 5_000] {
            let ends = ends_at(&edges, body_len, units_max);
            assert!(ends.len() <= units_max && ends.is_sorted());
            assert_eq!(ends.last(), Some(&body_len));
        }
        assert!(ends_at(&edges, body_len, 5_000).windows(2).all(|pair| pair[1] - pair[0] < 5_000));
        assert_eq!(ends_at(&[], 9, 3), [9]);
    }

    /// As version 1 was written: the CRC of each 16 KiB.
    fn blocks(bytes: &[u8]) -> Vec<u8> {
        let mut out = [MAGIC.as_slice(), &[1, 0, 14, 0]].concat();
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        bytes.chunks(1 << 14).for_each(|block| out.extend_from_slice(&crc32c(block).to_le_bytes()));
        let crc = crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    #[test]
    fn version_1_is_read() {
        for len in [1, 16_384, 16_385, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let checksums = Checksums::decode(&blocks(&bytes)).unwrap();
            assert_eq!(checksums.covered(), len as u64);
            checksums.verify(0, &bytes).unwrap();
            check_damage(&blocks(&bytes));
        }
    }

    #[test]
    fn every_flipped_bit_and_truncation_is_refused() {
        let (_, checksums) = written(50_000, &[10_000, 20_000, 40_000]);
        check_damage(&checksums.encode());
    }

    fn check_damage(bytes: &[u8]) {
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Checksums::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Checksums::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}

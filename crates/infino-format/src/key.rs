//! The key index of a superfile: which row has a key. Bytes: `docs/format/key.md`.
//!
//! Rows are found by a hash of their key and checked against the key itself by whoever asks: the index keeps
//! [`HASH_BITS`] of each hash, which tell a superfile's keys apart almost always and take half the room. Entries stand
//! in blocks sorted by hash, each readable alone; the *top*, resident while the file is open, says which block to read.

use std::ops::Range;

use crate::cursor::Cursor;
use crate::{DocId, FormatError, checksum, varint};

const WHAT: &str = "key section";
const MAGIC: [u8; 4] = *b"IKEY";
/// Layout of the section.
pub const VERSION: u16 = 1;
/// Entries of a block; the last one may have fewer.
pub const BLOCK_KEYS: usize = 1024;
/// Bits of a key's hash that the index keeps, the high ones.
pub const HASH_BITS: u32 = 40;
const HEADER_LEN: usize = 16;
const TOP_LEN: usize = 16;
const CRC_LEN: usize = 4;

/// What stands for a key: the first 16 bytes of BLAKE3 of its canonical bytes. Keys of equal digests are taken as equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub u128);

impl KeyDigest {
    /// The digest of a key's canonical bytes.
    pub fn of(key: &[u8]) -> Self {
        let hash = blake3::hash(key);
        Self(u128::from_le_bytes(hash.as_bytes()[..16].try_into().expect("16 of 32 bytes")))
    }

    /// The hash that filters and indexes look a key up by: the digest's low 64 bits.
    pub fn hash(self) -> u64 {
        self.0 as u64
    }
}

/// What the index keeps of a hash.
fn kept(hash: u64) -> u64 {
    hash >> (64 - HASH_BITS)
}

/// A section, and how many of its first bytes open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySection {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of its first bytes open it.
    pub open_len: usize,
}

/// The section of rows whose keys have `hashes`, row 0 first.
///
/// # Errors
/// [`FormatError::Invalid`] if there are more rows than 32 bits count.
pub fn build(hashes: &[u64]) -> Result<KeySection, FormatError> {
    let rows = u32::try_from(hashes.len())
        .map_err(|_| FormatError::invalid(WHAT, "a superfile holds fewer than 2^32 rows"))?;
    let mut entries: Vec<(u64, DocId)> =
        hashes.iter().zip(0..rows).map(|(&hash, doc)| (kept(hash), doc)).collect();
    entries.sort_unstable();
    let blocks = entries.chunks(BLOCK_KEYS);
    let mut open = MAGIC.to_vec();
    open.extend_from_slice(&VERSION.to_le_bytes());
    open.extend_from_slice(&[0; 2]);
    open.extend_from_slice(&rows.to_le_bytes());
    open.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
    let mut body = Vec::with_capacity(entries.len() * 7);
    for block in blocks {
        let (start, first) = (body.len(), block[0].0);
        let mut last = first;
        for &(hash, doc) in block {
            varint::write(&mut body, hash - last);
            varint::write(&mut body, doc.into());
            last = hash;
        }
        open.extend_from_slice(&first.to_le_bytes());
        open.extend_from_slice(&((body.len() - start) as u32).to_le_bytes());
        open.extend_from_slice(&checksum::crc32c(&body[start..]).to_le_bytes());
    }
    let crc = checksum::crc32c(&open);
    open.extend_from_slice(&crc.to_le_bytes());
    let open_len = open.len();
    open.append(&mut body);
    Ok(KeySection { bytes: open, open_len })
}

/// An open key section: its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIndex {
    rows: u32,
    /// By least hash.
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    first: u64,
    range: Range<u64>,
    crc: u32,
}

impl KeyIndex {
    /// Opens a section of `len` bytes by its first ones.
    ///
    /// # Errors
    /// [`FormatError`] if they are not what was written.
    pub fn open(open: &[u8], len: u64) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(WHAT, open);
        let magic = cursor.take(4)?;
        if magic != MAGIC {
            return Err(FormatError::Magic { what: WHAT, found: magic.to_vec() });
        }
        let version = cursor.u16()?;
        if version != VERSION {
            let (found, newest) = (version.into(), VERSION.into());
            return Err(FormatError::Version { what: WHAT, found, newest });
        }
        let zero = cursor.u16()?;
        let (rows, count) = (cursor.u32()?, cursor.u32()?);
        let expected = (count as usize)
            .checked_mul(TOP_LEN)
            .and_then(|top| top.checked_add(HEADER_LEN + CRC_LEN));
        if expected != Some(open.len()) {
            return Err(FormatError::invalid(WHAT, format!("{count} blocks are not its top's")));
        }
        let body = &open[..open.len() - CRC_LEN];
        let crc = Cursor::new(WHAT, &open[body.len()..]).u32()?;
        checksum::verify(WHAT, body, crc)?;
        let mut at = open.len() as u64;
        let mut blocks: Vec<Block> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (first, len, crc) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
            let range = at..at + u64::from(len);
            at = range.end;
            if blocks.last().is_some_and(|last| last.first > first) {
                return Err(FormatError::invalid(WHAT, "blocks do not ascend"));
            }
            blocks.push(Block { first, range, crc });
        }
        if zero != 0 || at != len || blocks.len() != (rows as usize).div_ceil(BLOCK_KEYS) {
            return Err(FormatError::invalid(WHAT, "its header contradicts its length"));
        }
        Ok(Self { rows, blocks })
    }

    /// Rows indexed.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Where the blocks stand that may hold any of `hashes`, which ascend; ascending.
    pub fn blocks_of(&self, hashes: &[u64]) -> Vec<(usize, Range<u64>)> {
        let mut found: Vec<(usize, Range<u64>)> = Vec::new();
        for hash in hashes.iter().map(|&hash| kept(hash)) {
            let end = self.blocks.partition_point(|block| block.first <= hash);
            let start = self.blocks.partition_point(|block| block.first < hash).saturating_sub(1);
            let next = found.last().map_or(0, |(last, _)| last + 1);
            let blocks = start.max(next)..end;
            found.extend(blocks.map(|at| (at, self.blocks[at].range.clone())));
        }
        found
    }

    /// The entries of block `at`, whose bytes are `bytes`: what is kept of the hash, and the row; ascending.
    ///
    /// # Errors
    /// [`FormatError`] if they are not what was written.
    pub fn entries(&self, at: usize, bytes: &[u8]) -> Result<Vec<(u64, DocId)>, FormatError> {
        let block =
            self.blocks.get(at).ok_or_else(|| FormatError::invalid(WHAT, "no such block"))?;
        checksum::verify(WHAT, bytes, block.crc)?;
        let (mut cursor, mut hash) = (Cursor::new(WHAT, bytes), block.first);
        let keys = (self.rows as usize - at * BLOCK_KEYS).min(BLOCK_KEYS);
        let mut entries = Vec::with_capacity(keys);
        for _ in 0..keys {
            let more = cursor.varint()?;
            hash =
                hash.checked_add(more).filter(|&hash| hash >> HASH_BITS == 0).ok_or_else(|| {
                    FormatError::invalid(WHAT, format!("a hash passes {HASH_BITS} bits"))
                })?;
            let doc = crate::sequence::narrow(WHAT, cursor.varint()?)?;
            if doc >= self.rows {
                return Err(FormatError::invalid(WHAT, format!("row {doc} of {}", self.rows)));
            }
            entries.push((hash, doc));
        }
        cursor.finish()?;
        Ok(entries)
    }
}

/// The rows of a block's `entries` that may have one of the keys with `hashes`, which ascend: which of them, and the row.
pub fn matches<'a>(
    entries: &'a [(u64, DocId)],
    hashes: &'a [u64],
) -> impl Iterator<Item = (usize, DocId)> + 'a {
    entries.iter().flat_map(move |&(hash, doc)| {
        let start = hashes.partition_point(|&other| kept(other) < hash);
        let alike = hashes[start..].iter().take_while(move |&&other| kept(other) == hash);
        alike.enumerate().map(move |(i, _)| (start + i, doc))
    })
}

/// A Bloom filter over the keys of a superfile that has few: what tells, without opening it, that a key is not there.
///
/// Split into blocks of 256 bits, of which a key sets eight, one in each word of 32: the filter of Parquet (Putze, Sanders
/// and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007), over our own hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFilter {
    blocks: Vec<[u32; 8]>,
}

/// A superfile of more rows has no filter: it would weigh on every reader of the manifest, and one that large is opened
/// by every lookup that its key range does not rule out.
pub const FILTER_ROWS_MAX: usize = 4096;
/// Bits of the filter a key: with 12, about one in 150 absent keys is not told.
const FILTER_BITS: usize = 12;

const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

impl KeyFilter {
    /// The filter of keys with `hashes`; `None` if there are more than [`FILTER_ROWS_MAX`], or none.
    pub fn of(hashes: &[u64]) -> Option<Self> {
        if hashes.is_empty() || hashes.len() > FILTER_ROWS_MAX {
            return None;
        }
        let mut filter = Self { blocks: vec![[0; 8]; (hashes.len() * FILTER_BITS).div_ceil(256)] };
        for &hash in hashes {
            let at = filter.block(hash);
            for (word, bit) in filter.blocks[at].iter_mut().zip(mask(hash)) {
                *word |= bit;
            }
        }
        Some(filter)
    }

    /// Whether a key with this hash may be there.
    pub fn may_hold(&self, hash: u64) -> bool {
        let block = &self.blocks[self.block(hash)];
        block.iter().zip(mask(hash)).all(|(word, bit)| word & bit != 0)
    }

    /// Its bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.blocks.len() * 32
    }

    fn block(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write(out, self.blocks.len() as u64);
        for word in self.blocks.iter().flatten() {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads what [`KeyFilter::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let count = cursor.count(32)?;
        if count == 0 {
            return Err(FormatError::invalid("key filter", "has no blocks"));
        }
        let mut blocks = vec![[0; 8]; count];
        for word in blocks.iter_mut().flatten() {
            *word = cursor.u32()?;
        }
        Ok(Self { blocks })
    }
}

fn mask(hash: u64) -> [u32; 8] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(count: u64) -> Vec<u64> {
        (0..count).map(|i| KeyDigest::of(&i.to_le_bytes()).hash()).collect()
    }

    fn look_up(section: &KeySection, wanted: &[u64]) -> Result<Vec<(usize, DocId)>, FormatError> {
        let len = section.bytes.len() as u64;
        let index = KeyIndex::open(&section.bytes[..section.open_len], len)?;
        let mut found = Vec::new();
        for (at, range) in index.blocks_of(wanted) {
            let bytes = &section.bytes[range.start as usize..range.end as usize];
            found.extend(matches(&index.entries(at, bytes)?, wanted));
        }
        found.sort_unstable();
        Ok(found)
    }

    #[test]
    fn finds_every_key_and_no_other() {
        for count in [0u64, 1, 1023, 1024, 1025, 5000] {
            let mut all = hashes(count + 500);
            let section = build(&all[..count as usize]).unwrap();
            let doc_of: std::collections::HashMap<_, _> = all.iter().copied().zip(0..).collect();
            all.sort_unstable();
            let found = look_up(&section, &all).unwrap();
            assert_eq!(found.len() as u64, count);
            assert!(found.iter().all(|&(i, doc)| doc_of[&all[i]] == doc));
        }
    }

    #[test]
    fn equal_hashes_are_all_found_across_blocks() {
        let mut all = vec![7 << 40; 3000];
        all.extend([u64::MAX, 0, 7 << 40]);
        let section = build(&all).unwrap();
        assert_eq!(look_up(&section, &[7 << 40]).unwrap().len(), 3001);
        assert_eq!(look_up(&section, &[0, 1 << 40, u64::MAX]).unwrap(), [(0, 3001), (2, 3000)]);
    }

    #[test]
    fn bytes_are_pinned() {
        let section = build(&[3 << 24, 1 << 24, 300 << 24]).unwrap();
        let hex: String = section.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "494b4559010000000300000001000000010000000000000007000000d9be2115a74533dd00010200a90202"
        );
        let section = build(&hashes(10_000)).unwrap();
        assert_eq!((section.bytes.len(), section.open_len), (60709, 180));
        assert_eq!(checksum::crc32c(&section.bytes), 216_015_525);
        let mut bytes = Vec::new();
        KeyFilter::of(&hashes(100)).unwrap().encode(&mut bytes);
        assert_eq!((bytes.len(), checksum::crc32c(&bytes)), (161, 0));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_an_error() {
        let all = hashes(1500);
        let section = build(&all).unwrap();
        let mut wanted = all.clone();
        wanted.sort_unstable();
        for bit in (0..section.bytes.len() * 8).step_by(7) {
            let mut bad = section.clone();
            bad.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(look_up(&bad, &wanted).is_err(), "bit {bit}");
        }
        for len in 0..section.open_len {
            assert!(KeyIndex::open(&section.bytes[..len], len as u64).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_filter_never_denies_a_key_it_was_made_of() {
        let all = hashes(FILTER_ROWS_MAX as u64 + 10_000);
        for count in [1, 5, 100, FILTER_ROWS_MAX] {
            let filter = KeyFilter::of(&all[..count]).unwrap();
            assert!(all[..count].iter().all(|&hash| filter.may_hold(hash)));
            let told = all[FILTER_ROWS_MAX..].iter().filter(|&&hash| filter.may_hold(hash));
            assert!(told.count() < 200, "of 10,000");
            let mut bytes = Vec::new();
            filter.encode(&mut bytes);
            assert_eq!(KeyFilter::decode(&mut Cursor::new("test", &bytes)).unwrap(), filter);
            assert!(
                KeyFilter::decode(&mut Cursor::new("test", &bytes[..bytes.len() - 1])).is_err()
            );
        }
        assert!(KeyFilter::of(&[]).is_none() && KeyFilter::of(&all[..5000]).is_none());
    }
}

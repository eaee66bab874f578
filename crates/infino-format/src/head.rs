//! The head: the one object of a table that changes. Bytes: `docs/format/head.md`.

use crate::cursor::Cursor;
use crate::list::CheckpointRef;
use crate::segment::{SegmentRef, framed};
use crate::sequence::{counter, list, option, read_list, read_option};
use crate::{CommitId, FormatError, Record, TableId, WriterId, checksum, varint};

const WHAT: &str = "head";
const MAGIC: [u8; 4] = *b"IHED";
const VERSION: u16 = 1;

/// A head is never longer than this, whatever the table.
pub const HEAD_BYTES_MAX: usize = 256 * 1024;
/// How many writers' last commits a head remembers.
pub const WRITERS_MAX: usize = 256;
/// How many tokens a head remembers.
pub const TOKENS_MAX: usize = 1024;
/// How many fences a head remembers.
pub const FENCES_MAX: usize = 64;

/// The state of a table: the newest checkpoint and the records since.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Which table this is.
    pub table: TableId,
    /// The newest version.
    pub version: u64,
    /// How often the head was swapped, so that no two heads have equal bytes; grows by one with every swap.
    pub swap: u64,
    /// The commit, fold or fence that wrote this head.
    pub commit: CommitId,
    /// BLAKE3 of the head before this one; zero in the first.
    pub parent: [u8; 32],
    /// When the newest version was made.
    pub time_ms: u64,
    /// The oldest version that can be opened.
    pub floor: u64,
    /// How often the table was fenced: a change staged two fences ago is refused.
    pub epoch: u64,
    /// The last fences, oldest first; the last one began `epoch`.
    pub fences: Vec<Fence>,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointRef>,
    /// The records since, oldest first.
    pub tail: Vec<TailItem>,
    /// The last commit of each writer, most recent last.
    pub writers: Vec<WriterMark>,
    /// The commits that had a token, most recent last.
    pub tokens: Vec<TokenMark>,
}

/// A piece of the tail.
#[derive(Debug, Clone, PartialEq)]
pub enum TailItem {
    /// A record.
    Inline(Record),
    /// Records that stand in an object because they are many or large.
    Segment(SegmentRef),
}

/// A moment at which garbage collection fenced the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The store's clock shortly before, in milliseconds since the Unix epoch.
    pub store_ms: u64,
    /// The newest version then.
    pub version: u64,
    /// The oldest version that could be opened from then on.
    pub floor: u64,
}

/// The last commit of one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterMark {
    /// The writer.
    pub writer: WriterId,
    /// Which of its attempts was committed last.
    pub seq: u64,
    /// That attempt.
    pub commit: CommitId,
    /// The version it made.
    pub version: u64,
}

/// A commit that had a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenMark {
    /// The first 16 bytes of the token's BLAKE3.
    pub hash: u128,
    /// The version it made.
    pub version: u64,
    /// The commit.
    pub commit: CommitId,
}

impl TailItem {
    /// The versions it covers, first and last.
    pub fn versions(&self) -> (u64, u64) {
        match self {
            Self::Inline(record) => (record.version, record.version),
            Self::Segment(segment) => (segment.first, segment.last),
        }
    }
}

impl TokenMark {
    /// What a head remembers of `token`.
    pub fn hash(token: &str) -> u128 {
        let digest = blake3::hash(token.as_bytes());
        u128::from_le_bytes(digest.as_bytes()[..16].try_into().expect("16 of 32 bytes"))
    }
}

impl Head {
    /// The version of the newest checkpoint; 0 without one.
    pub fn checkpoint_version(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.version)
    }

    /// The tail's records that stand in the head itself.
    pub fn inline(&self) -> impl Iterator<Item = &Record> {
        self.tail.iter().filter_map(|item| match item {
            TailItem::Inline(record) => Some(record),
            TailItem::Segment(_) => None,
        })
    }

    /// The encoding.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if it would pass [`HEAD_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.table.0.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.swap.to_le_bytes());
        out.extend_from_slice(&self.commit.0.to_le_bytes());
        out.extend_from_slice(&self.parent);
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.floor.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        list(&mut out, &self.fences, |out, fence| {
            varint::write(out, fence.store_ms);
            varint::write(out, fence.version);
            varint::write(out, fence.floor);
        });
        option(&mut out, self.checkpoint.as_ref(), |out, checkpoint| checkpoint.encode(out));
        let mut body = Vec::new();
        list(&mut out, &self.tail, |out, item| match item {
            TailItem::Inline(record) => {
                body.clear();
                record.encode(&mut body);
                out.push(0);
                varint::write_bytes(out, &body);
            }
            TailItem::Segment(segment) => {
                out.push(1);
                segment.encode(out);
            }
        });
        list(&mut out, &self.writers, |out, mark| {
            out.extend_from_slice(&mark.writer.0.to_le_bytes());
            varint::write(out, mark.seq);
            out.extend_from_slice(&mark.commit.0.to_le_bytes());
            varint::write(out, mark.version);
        });
        list(&mut out, &self.tokens, |out, mark| {
            out.extend_from_slice(&mark.hash.to_le_bytes());
            varint::write(out, mark.version);
            out.extend_from_slice(&mark.commit.0.to_le_bytes());
        });
        let crc = checksum::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        if out.len() > HEAD_BYTES_MAX {
            return Err(FormatError::invalid(
                WHAT,
                format!("would take {} bytes of at most {HEAD_BYTES_MAX}", out.len()),
            ));
        }
        Ok(out)
    }

    /// Reads what [`Head::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one, or its tail does not lead from its checkpoint to its version.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (body, version) = framed(WHAT, MAGIC, bytes)?;
        if version != VERSION {
            return Err(FormatError::Version {
                what: WHAT,
                found: version.into(),
                newest: VERSION.into(),
            });
        }
        let mut cursor = Cursor::new(WHAT, body);
        let head = Self {
            table: TableId(cursor.u128()?),
            version: cursor.u64()?,
            swap: cursor.u64()?,
            commit: CommitId(cursor.u128()?),
            parent: cursor.take(32)?.try_into().expect("took 32 bytes"),
            time_ms: cursor.u64()?,
            floor: cursor.u64()?,
            epoch: cursor.u64()?,
            fences: read_list(&mut cursor, 3, |cursor| {
                Ok(Fence {
                    store_ms: cursor.varint()?,
                    version: cursor.varint()?,
                    floor: cursor.varint()?,
                })
            })?,
            checkpoint: read_option(WHAT, &mut cursor, CheckpointRef::decode)?,
            tail: read_list(&mut cursor, 2, read_tail_item)?,
            writers: read_list(&mut cursor, 34, |cursor| {
                Ok(WriterMark {
                    writer: WriterId(cursor.u128()?),
                    seq: cursor.varint()?,
                    commit: CommitId(cursor.u128()?),
                    version: cursor.varint()?,
                })
            })?,
            tokens: read_list(&mut cursor, 33, |cursor| {
                Ok(TokenMark {
                    hash: cursor.u128()?,
                    version: cursor.varint()?,
                    commit: CommitId(cursor.u128()?),
                })
            })?,
        };
        cursor.finish()?;
        head.check()?;
        Ok(head)
    }

    fn check(&self) -> Result<(), FormatError> {
        for (name, count) in [("version", self.version), ("swap", self.swap), ("epoch", self.epoch)]
        {
            counter(WHAT, name, count)?;
        }
        if self.floor == 0 || self.floor > self.version {
            return Err(FormatError::invalid(
                WHAT,
                format!("keeps versions from {} to {}", self.floor, self.version),
            ));
        }
        let mut version = self.checkpoint_version();
        for item in &self.tail {
            let (first, last) = item.versions();
            if version.checked_add(1) != Some(first) {
                return Err(FormatError::invalid(
                    WHAT,
                    format!("record {first} follows version {version}"),
                ));
            }
            version = last;
        }
        if version != self.version || version == 0 {
            return Err(FormatError::invalid(
                WHAT,
                format!("leads to version {version}, not {}", self.version),
            ));
        }
        Ok(())
    }
}

fn read_tail_item(cursor: &mut Cursor<'_>) -> Result<TailItem, FormatError> {
    match cursor.u8()? {
        0 => {
            let mut body = Cursor::new("record", cursor.bytes()?);
            let record = Record::decode(&mut body)?;
            body.finish()?;
            Ok(TailItem::Inline(record))
        }
        1 => Ok(TailItem::Segment(SegmentRef::decode(cursor)?)),
        other => Err(FormatError::Version { what: "tail item", found: other.into(), newest: 1 }),
    }
}

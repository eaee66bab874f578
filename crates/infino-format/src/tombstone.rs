//! Deletion vectors: the dead rows of one superfile. Bytes: `docs/format/tombstone.md`.
//!
//! The bytes are those of an Iceberg v3 `deletion-vector-v1` blob, a 64-bit Roaring bitmap of row positions, so that an
//! export copies them as they are.

use std::io;

use roaring::RoaringBitmap;

use crate::cursor::Cursor;
use crate::{FormatError, ObjectRef, varint};

const WHAT: &str = "deletion vector";
const MAGIC: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];

/// Deletion vectors up to this many bytes stand in the record itself.
pub const INLINE_BYTES_MAX: usize = 4096;

/// The dead rows of one superfile: all of them, not only those a commit added.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deletes {
    /// How many rows are dead.
    pub count: u32,
    /// Which.
    pub vector: Vector,
}

/// Where a deletion vector is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Vector {
    /// Here.
    Inline(Vec<u8>),
    /// In an object of its own.
    Object(ObjectRef),
}

impl Deletes {
    /// The deletes whose vector is `bytes`, an [`encode`]d one: inline if small, else as the object that the caller puts
    /// under the name returned beside it.
    pub fn of(rows: &RoaringBitmap) -> (Self, Option<Vec<u8>>) {
        let bytes = encode(rows);
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        if bytes.len() <= INLINE_BYTES_MAX {
            return (Self { count, vector: Vector::Inline(bytes) }, None);
        }
        let object = ObjectRef::name("deletes", "dv", &bytes);
        (Self { count, vector: Vector::Object(object) }, Some(bytes))
    }

    /// The object to read the vector from, if it is not inline.
    pub fn object(&self) -> Option<&ObjectRef> {
        match &self.vector {
            Vector::Inline(_) => None,
            Vector::Object(object) => Some(object),
        }
    }

    /// The rows, where `object` is what [`Deletes::object`] names; not looked at if the vector is inline.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not those that were written.
    pub fn rows(&self, object: &[u8]) -> Result<RoaringBitmap, FormatError> {
        let rows = match &self.vector {
            Vector::Inline(bytes) => decode(bytes)?,
            Vector::Object(reference) => {
                reference.verify(object)?;
                decode(object)?
            }
        };
        if rows.len() != u64::from(self.count) {
            return Err(FormatError::invalid(
                WHAT,
                format!("holds {} rows where {} are counted", rows.len(), self.count),
            ));
        }
        Ok(rows)
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write(out, self.count.into());
        match &self.vector {
            Vector::Inline(bytes) => {
                out.push(0);
                varint::write_bytes(out, bytes);
            }
            Vector::Object(object) => {
                out.push(1);
                object.encode(out);
            }
        }
    }

    /// Reads what [`Deletes::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let count = crate::sequence::narrow(WHAT, cursor.varint()?)?;
        let vector = match cursor.u8()? {
            0 => Vector::Inline(cursor.bytes()?.to_vec()),
            1 => Vector::Object(ObjectRef::decode(cursor)?),
            other => return Err(FormatError::invalid(WHAT, format!("place {other}"))),
        };
        Ok(Self { count, vector })
    }
}

/// The bytes of the vector that holds `rows`; equal sets give equal bytes.
pub fn encode(rows: &RoaringBitmap) -> Vec<u8> {
    // Rebuilt in order, because a bitmap's containers, and with them its bytes, remember how it came to be.
    let mut canonical = RoaringBitmap::from_sorted_iter(rows.iter()).expect("iterated in order");
    canonical.optimize();
    let mut body = MAGIC.to_vec();
    body.extend_from_slice(&u64::from(!canonical.is_empty()).to_le_bytes());
    if !canonical.is_empty() {
        body.extend_from_slice(&0u32.to_le_bytes());
        canonical.serialize_into(&mut body).expect("a Vec takes every write");
    }
    let mut out = Vec::with_capacity(body.len() + 8);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    out
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`FormatError`] if the bytes are not a vector, or hold a position past 32 bits.
pub fn decode(bytes: &[u8]) -> Result<RoaringBitmap, FormatError> {
    let mut cursor = Cursor::new(WHAT, bytes);
    let len = u32::from_be_bytes(cursor.take(4)?.try_into().expect("took 4 bytes"));
    let body = cursor.take(len as usize)?;
    let expected = u32::from_be_bytes(cursor.take(4)?.try_into().expect("took 4 bytes"));
    cursor.finish()?;
    let found = crc32fast::hash(body);
    if found != expected {
        return Err(FormatError::Checksum { what: WHAT, expected, found });
    }
    let mut cursor = Cursor::new(WHAT, body);
    let magic = cursor.take(4)?;
    if magic != MAGIC {
        return Err(FormatError::Magic { what: WHAT, found: magic.to_vec() });
    }
    match cursor.u64()? {
        0 => {
            cursor.finish()?;
            return Ok(RoaringBitmap::new());
        }
        1 => {}
        other => return Err(FormatError::invalid(WHAT, format!("holds {other} bitmaps"))),
    }
    let high = cursor.u32()?;
    if high != 0 {
        return Err(FormatError::invalid(WHAT, "holds a row past 2^32"));
    }
    let mut rest = cursor.take(cursor.remaining())?;
    let rows = RoaringBitmap::deserialize_from(&mut rest)
        .map_err(|error: io::Error| FormatError::invalid(WHAT, error.to_string()))?;
    if !rest.is_empty() {
        return Err(FormatError::invalid(WHAT, format!("{} bytes follow its end", rest.len())));
    }
    Ok(rows)
}

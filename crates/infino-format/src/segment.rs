//! Log segments: consecutive records in an object of their own. Bytes: `docs/format/record.md#segment`.

use crate::cursor::Cursor;
use crate::sequence::counter;
use crate::{FormatError, ObjectRef, Record, checksum, varint};

const WHAT: &str = "log segment";
const MAGIC: [u8; 4] = *b"ISEG";
const VERSION: u16 = 1;

/// Names a run of consecutive records that stand in an object.
///
/// The object may hold more than the run: records before it that a checkpoint has folded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRef {
    /// The version that the first record of the run made.
    pub first: u64,
    /// The version that the last one made.
    pub last: u64,
    /// The object.
    pub object: ObjectRef,
}

impl SegmentRef {
    /// The run in `bytes`, the object's content.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not those that were written, or lack a record of the run.
    pub fn records(&self, bytes: &[u8]) -> Result<Vec<Record>, FormatError> {
        self.object.verify(bytes)?;
        let mut records = decode(bytes)?;
        records.retain(|record| (self.first..=self.last).contains(&record.version));
        let found = records.first().zip(records.last()).map(|(a, b)| (a.version, b.version));
        if found != Some((self.first, self.last)) {
            return Err(FormatError::invalid(
                WHAT,
                format!("{} lacks records {}..={}", self.object.path, self.first, self.last),
            ));
        }
        Ok(records)
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        varint::write(out, self.first);
        varint::write(out, self.last);
        self.object.encode(out);
    }

    /// Reads what [`SegmentRef::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let (first, last) = (cursor.varint()?, counter(WHAT, "last", cursor.varint()?)?);
        if first == 0 || first > last {
            return Err(FormatError::invalid(WHAT, format!("run {first}..={last}")));
        }
        Ok(Self { first, last, object: ObjectRef::decode(cursor)? })
    }
}

/// A segment of `records` and the reference to it; put the bytes under its path before anything names it.
///
/// # Panics
/// If there are no records or their versions do not follow each other.
pub fn build(records: &[Record]) -> (SegmentRef, Vec<u8>) {
    let (first, last) = (records[0].version, records[records.len() - 1].version);
    assert!(
        records.windows(2).all(|pair| pair[0].version + 1 == pair[1].version),
        "records of a segment follow each other"
    );
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    varint::write(&mut out, records.len() as u64);
    let mut body = Vec::new();
    for record in records {
        body.clear();
        record.encode(&mut body);
        varint::write_bytes(&mut out, &body);
    }
    let crc = checksum::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    (SegmentRef { first, last, object: ObjectRef::name("log", "seg", &out) }, out)
}

/// The records of a segment.
///
/// # Errors
/// [`FormatError`] if the bytes are not one.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, FormatError> {
    let (body, version) = framed(WHAT, MAGIC, bytes)?;
    if version != VERSION {
        return Err(FormatError::Version {
            what: WHAT,
            found: version.into(),
            newest: VERSION.into(),
        });
    }
    let mut cursor = Cursor::new(WHAT, body);
    let count = cursor.count(2)?;
    let mut records: Vec<Record> = Vec::new();
    for _ in 0..count {
        let mut body = Cursor::new("record", cursor.bytes()?);
        let record = Record::decode(&mut body)?;
        body.finish()?;
        if records.last().is_some_and(|last| last.version.checked_add(1) != Some(record.version)) {
            return Err(FormatError::invalid(WHAT, "records do not follow each other"));
        }
        records.push(record);
    }
    cursor.finish()?;
    Ok(records)
}

/// Checks what frames a head and a segment: magic, version, two zero bytes, a body, and the CRC-32C of all before it.
pub(crate) fn framed<'a>(
    what: &'static str,
    magic: [u8; 4],
    bytes: &'a [u8],
) -> Result<(&'a [u8], u16), FormatError> {
    let mut cursor = Cursor::new(what, bytes);
    let found = cursor.take(4)?;
    if found != magic {
        return Err(FormatError::Magic { what, found: found.to_vec() });
    }
    let version = cursor.u16()?;
    let zero = cursor.u16()?;
    let body = cursor.remaining().checked_sub(4).ok_or(FormatError::Truncated {
        what,
        at: cursor.position(),
        needed: 4,
        len: bytes.len(),
    })?;
    let body = cursor.take(body)?;
    checksum::verify(what, &bytes[..bytes.len() - 4], cursor.u32()?)?;
    if zero != 0 {
        return Err(FormatError::invalid(what, "bytes 6 and 7 are not zero"));
    }
    Ok((body, version))
}

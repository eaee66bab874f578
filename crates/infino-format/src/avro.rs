//! Avro object container files, as far as a checkpoint needs them: one block, zstd, a sync marker drawn from the bytes.
//!
//! Written by the Avro 1.11 specification so that any Avro library reads a checkpoint; written here so that equal rows
//! give equal bytes and no corrupt count reserves memory. Bytes: `docs/format/manifest.md`.

use std::collections::BTreeMap;
use std::io::Read;

use crate::cursor::Cursor;
use crate::{FormatError, varint};

const MAGIC: [u8; 4] = *b"Obj\x01";
const CODEC: &str = "zstandard";
/// No block decompresses to more than this.
pub const BLOCK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Appends a `long`.
pub fn write_long(out: &mut Vec<u8>, value: i64) {
    varint::write(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends `bytes` or a `string`.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// The next `long`.
///
/// # Errors
/// [`FormatError`] if there is none.
pub fn read_long(cursor: &mut Cursor<'_>) -> Result<i64, FormatError> {
    let value = cursor.varint()?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// The next `long`, which the specification of the field says is not negative.
///
/// # Errors
/// [`FormatError`] if there is none or it is negative.
pub fn read_unsigned(what: &'static str, cursor: &mut Cursor<'_>) -> Result<u64, FormatError> {
    let value = read_long(cursor)?;
    u64::try_from(value).map_err(|_| FormatError::invalid(what, format!("{value} is negative")))
}

/// The next `bytes` or `string`.
///
/// # Errors
/// [`FormatError`] if more are announced than there are.
pub fn read_bytes<'a>(
    what: &'static str,
    cursor: &mut Cursor<'a>,
) -> Result<&'a [u8], FormatError> {
    let len = read_unsigned(what, cursor)?;
    if len > cursor.remaining() as u64 {
        return Err(FormatError::invalid(
            what,
            format!("{len} bytes where {} are left", cursor.remaining()),
        ));
    }
    cursor.take(len as usize)
}

/// A container of `count` encoded `rows` under `schema`, with `metadata` beside the schema.
///
/// # Errors
/// [`FormatError::Invalid`] if the rows pass [`BLOCK_BYTES_MAX`] or cannot be compressed.
pub fn write_container(
    what: &'static str,
    schema: &str,
    metadata: &[(&str, &[u8])],
    count: u64,
    rows: &[u8],
) -> Result<Vec<u8>, FormatError> {
    if rows.len() as u64 > BLOCK_BYTES_MAX {
        return Err(FormatError::invalid(
            what,
            format!("{} bytes of rows, at most {BLOCK_BYTES_MAX} fit", rows.len()),
        ));
    }
    let mut out = MAGIC.to_vec();
    let mut pairs = vec![("avro.codec", CODEC.as_bytes()), ("avro.schema", schema.as_bytes())];
    pairs.extend_from_slice(metadata);
    write_long(&mut out, pairs.len() as i64);
    for (key, value) in pairs {
        write_bytes(&mut out, key.as_bytes());
        write_bytes(&mut out, value);
    }
    write_long(&mut out, 0);
    let mut hash = blake3::Hasher::new();
    hash.update(&out).update(rows);
    let sync: [u8; 16] = hash.finalize().as_bytes()[..16].try_into().expect("16 of 32 bytes");
    out.extend_from_slice(&sync);
    if count > 0 {
        let packed = zstd::bulk::compress(rows, 3)
            .map_err(|error| FormatError::invalid(what, error.to_string()))?;
        write_long(&mut out, count as i64);
        write_bytes(&mut out, &packed);
        out.extend_from_slice(&sync);
    }
    Ok(out)
}

/// A container's metadata and, decompressed, its rows.
#[derive(Debug)]
pub struct Container<'a> {
    /// The file's metadata, without codec and schema.
    pub metadata: BTreeMap<&'a str, &'a [u8]>,
    /// How many rows there are.
    pub count: u64,
    /// The rows, encoded one after the other.
    pub rows: Vec<u8>,
}

/// Reads what [`write_container`] wrote under the same schema.
///
/// # Errors
/// [`FormatError`] if the bytes are not such a container, or have another schema.
pub fn read_container<'a>(
    what: &'static str,
    schema: &str,
    bytes: &'a [u8],
) -> Result<Container<'a>, FormatError> {
    let mut cursor = Cursor::new(what, bytes);
    let magic = cursor.take(4)?;
    if magic != MAGIC {
        return Err(FormatError::Magic { what, found: magic.to_vec() });
    }
    let mut metadata = BTreeMap::new();
    for _ in 0..read_unsigned(what, &mut cursor)? {
        let key = std::str::from_utf8(read_bytes(what, &mut cursor)?)
            .map_err(|error| FormatError::invalid(what, error.to_string()))?;
        metadata.insert(key, read_bytes(what, &mut cursor)?);
    }
    if read_long(&mut cursor)? != 0 {
        return Err(FormatError::invalid(what, "metadata in more than one block"));
    }
    for (key, expected) in [("avro.codec", CODEC), ("avro.schema", schema)] {
        let found = metadata.remove(key).unwrap_or_default();
        if found != expected.as_bytes() {
            return Err(FormatError::invalid(
                what,
                format!("{key} is {:?}, not {expected:?}", String::from_utf8_lossy(found)),
            ));
        }
    }
    let sync = cursor.take(16)?;
    let (mut count, mut rows) = (0, Vec::new());
    if cursor.remaining() > 0 {
        count = read_unsigned(what, &mut cursor)?;
        rows = unpack(what, read_bytes(what, &mut cursor)?)?;
        if cursor.take(16)? != sync {
            return Err(FormatError::invalid(what, "a block does not end in the sync marker"));
        }
    }
    cursor.finish()?;
    Ok(Container { metadata, count, rows })
}

fn unpack(what: &'static str, packed: &[u8]) -> Result<Vec<u8>, FormatError> {
    let invalid = |error: std::io::Error| FormatError::invalid(what, error.to_string());
    let mut rows = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(invalid)?;
    decoder.take(BLOCK_BYTES_MAX + 1).read_to_end(&mut rows).map_err(invalid)?;
    if rows.len() as u64 > BLOCK_BYTES_MAX {
        return Err(FormatError::invalid(what, format!("unpacks to over {BLOCK_BYTES_MAX} bytes")));
    }
    Ok(rows)
}

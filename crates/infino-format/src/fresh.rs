//! Fresh rows: rows that stand in the log and in no superfile yet. Bytes: `docs/format/record.md#fresh-rows`.

use std::sync::Arc;

use crate::cursor::Cursor;
use crate::sequence::narrow;
use crate::{FormatError, RowId, SuperfileId, varint};

const WHAT: &str = "fresh rows";
const VERSION: u8 = 1;

/// No more bytes than these stand behind a payload: what a corrupt length could ask for.
pub const RAW_BYTES_MAX: u64 = 64 << 20;

/// Rows that stand in the log, as an Arrow IPC stream compressed with Zstandard.
///
/// They are the superfile `id`, which every reader builds for itself; row `i` of the stream is row `i` of that file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshRows {
    /// The name of the superfile that they are.
    pub id: SuperfileId,
    /// How many.
    pub row_count: u32,
    /// The least row id.
    pub min_row_id: RowId,
    /// The greatest row id.
    pub max_row_id: RowId,
    /// Bytes of the IPC stream.
    pub raw_len: u64,
    /// The stream, compressed. Shared by all copies.
    pub payload: Arc<[u8]>,
}

impl FreshRows {
    /// The rows whose IPC stream is `raw`.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if it is longer than [`RAW_BYTES_MAX`].
    pub fn new(
        row_count: u32,
        min_row_id: RowId,
        max_row_id: RowId,
        raw: &[u8],
    ) -> Result<Self, FormatError> {
        let raw_len = raw.len() as u64;
        if raw_len > RAW_BYTES_MAX {
            let problem = format!("take {raw_len} bytes of at most {RAW_BYTES_MAX}; append them");
            return Err(FormatError::invalid(WHAT, problem));
        }
        let payload = zstd::bulk::compress(raw, 1)
            .map_err(|error| FormatError::invalid(WHAT, error.to_string()))?;
        let (id, payload) = (SuperfileId::new(), payload.into());
        Ok(Self { id, row_count, min_row_id, max_row_id, raw_len, payload })
    }

    /// The IPC stream.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if the payload is damaged.
    pub fn raw(&self) -> Result<Vec<u8>, FormatError> {
        let raw = zstd::bulk::decompress(&self.payload, self.raw_len as usize)
            .map_err(|error| FormatError::invalid(WHAT, error.to_string()))?;
        match raw.len() as u64 == self.raw_len {
            true => Ok(raw),
            false => Err(FormatError::invalid(WHAT, "the stream has another length")),
        }
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.id.0.to_le_bytes());
        varint::write(out, self.row_count.into());
        out.extend_from_slice(&self.min_row_id.0.to_le_bytes());
        out.extend_from_slice(&self.max_row_id.0.to_le_bytes());
        varint::write(out, self.raw_len);
        varint::write_bytes(out, &self.payload);
    }

    /// Reads what [`FreshRows::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let found = cursor.u8()?;
        if found != VERSION {
            let (found, newest) = (found.into(), VERSION.into());
            return Err(FormatError::Version { what: WHAT, found, newest });
        }
        let rows = Self {
            id: SuperfileId(cursor.u128()?),
            row_count: narrow(WHAT, cursor.varint()?)?,
            min_row_id: RowId(cursor.u128()?),
            max_row_id: RowId(cursor.u128()?),
            raw_len: cursor.varint()?,
            payload: cursor.bytes()?.into(),
        };
        if rows.row_count == 0 || rows.min_row_id > rows.max_row_id || rows.raw_len > RAW_BYTES_MAX
        {
            return Err(FormatError::invalid(WHAT, "none, or of no order, or too many"));
        }
        Ok(rows)
    }
}

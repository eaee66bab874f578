//! What a table knows of a superfile without opening it. Bytes: `docs/format/summary.md`.

use crate::cursor::Cursor;
use crate::{FormatError, KeyFilter, RowId, SuperfileId, varint};

const WHAT: &str = "superfile summary";
/// The encoding of a summary without a key filter,
const VERSION: u8 = 1;
/// and of one with it.
const VERSION_KEYED: u8 = 2;

/// A bound on the values of a column.
///
/// Dates, times and timestamps are `Int` in the column's own unit; decimals are `Decimal` in its scale.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// Any signed integer type, dates and times.
    Int(i64),
    /// Any unsigned integer type.
    UInt(u64),
    /// Any float type; never NaN.
    Float(f64),
    /// A decimal's unscaled value.
    Decimal(i128),
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// Statistics of one column of one superfile.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStats {
    /// The column.
    pub field_id: u32,
    /// Rows where it is null.
    pub null_count: u64,
    /// No value is below this; `None` if unknown or all null. Text and bytes may be cut short.
    pub min: Option<Scalar>,
    /// No value is above this.
    pub max: Option<Scalar>,
    /// Whether `min` and `max` are values that occur.
    pub exact: bool,
}

/// Statistics of one text-indexed column of one superfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextStats {
    /// The column.
    pub field_id: u32,
    /// Rows where it is not null: BM25's N.
    pub docs: u64,
    /// Tokens in all of them: N times BM25's average length.
    pub tokens: u64,
    /// The least term.
    pub min_term: Vec<u8>,
    /// The greatest term.
    pub max_term: Vec<u8>,
}

/// Statistics of one vector-indexed column of one superfile.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorStats {
    /// The column.
    pub field_id: u32,
    /// Rows where it is not null.
    pub vectors: u64,
    /// The mean vector.
    pub centroid: Vec<f32>,
    /// No vector is farther from the mean than this (Euclidean).
    pub radius: f32,
}

/// What an index section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SectionKind {
    /// Full-text index of one or more columns.
    Text = 1,
    /// Vector index of one column.
    Vector = 2,
    /// Checksums of the Parquet body.
    BodyChecksums = 3,
    /// Key index.
    Key = 4,
}

/// Where an index section stands in its superfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionRef {
    /// What it holds.
    pub kind: SectionKind,
    /// Layout of the section, from 1.
    pub version: u16,
    /// The columns it indexes.
    pub field_ids: Vec<u32>,
    /// First byte in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
    /// How many of its first bytes open it.
    pub open_len: u64,
}

/// One superfile as the manifest lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct SuperfileSummary {
    /// Its name.
    pub id: SuperfileId,
    /// Bytes of the whole file.
    pub file_len: u64,
    /// Bytes at its end that hold the Parquet footer, magic and length included.
    pub footer_len: u64,
    /// CRC-32C of those bytes.
    pub footer_crc: u32,
    /// Rows, dead ones included; their `_id` ascends.
    pub row_count: u32,
    /// The least row id.
    pub min_row_id: RowId,
    /// The greatest row id.
    pub max_row_id: RowId,
    /// Per column, by field id.
    pub columns: Vec<ColumnStats>,
    /// Per text-indexed column.
    pub text: Vec<TextStats>,
    /// Per vector-indexed column.
    pub vectors: Vec<VectorStats>,
    /// The index sections, by offset.
    pub sections: Vec<SectionRef>,
    /// What tells that a key is not in the file; `None` if nothing does without opening it.
    pub key: Option<KeyFilter>,
}

impl SuperfileSummary {
    /// The file's name under the table's root.
    pub fn path(&self) -> String {
        format!("data/{}.parquet", self.id)
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(if self.key.is_some() { VERSION_KEYED } else { VERSION });
        out.extend_from_slice(&self.id.0.to_le_bytes());
        varint::write(out, self.file_len);
        varint::write(out, self.footer_len);
        out.extend_from_slice(&self.footer_crc.to_le_bytes());
        varint::write(out, self.row_count.into());
        out.extend_from_slice(&self.min_row_id.0.to_le_bytes());
        out.extend_from_slice(&self.max_row_id.0.to_le_bytes());
        list(out, &self.columns, |out, column| {
            varint::write(out, column.field_id.into());
            varint::write(out, column.null_count);
            out.push(u8::from(column.exact));
            scalar(out, column.min.as_ref());
            scalar(out, column.max.as_ref());
        });
        list(out, &self.text, |out, text| {
            varint::write(out, text.field_id.into());
            varint::write(out, text.docs);
            varint::write(out, text.tokens);
            varint::write_bytes(out, &text.min_term);
            varint::write_bytes(out, &text.max_term);
        });
        list(out, &self.vectors, |out, vector| {
            varint::write(out, vector.field_id.into());
            varint::write(out, vector.vectors);
            out.extend_from_slice(&vector.radius.to_le_bytes());
            list(out, &vector.centroid, |out, x| out.extend_from_slice(&x.to_le_bytes()));
        });
        list(out, &self.sections, |out, section| {
            out.push(section.kind as u8);
            out.extend_from_slice(&section.version.to_le_bytes());
            list(out, &section.field_ids, |out, &id| varint::write(out, id.into()));
            varint::write(out, section.offset);
            varint::write(out, section.len);
            varint::write(out, section.open_len);
        });
        if let Some(key) = &self.key {
            key.encode(out);
        }
    }

    /// Reads what [`SuperfileSummary::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let version = cursor.u8()?;
        if !matches!(version, VERSION | VERSION_KEYED) {
            let (found, newest) = (version.into(), VERSION_KEYED.into());
            return Err(FormatError::Version { what: WHAT, found, newest });
        }
        let mut summary = Self {
            id: SuperfileId(cursor.u128()?),
            file_len: cursor.varint()?,
            footer_len: cursor.varint()?,
            footer_crc: cursor.u32()?,
            row_count: narrow(cursor.varint()?)?,
            min_row_id: RowId(cursor.u128()?),
            max_row_id: RowId(cursor.u128()?),
            columns: read_list(cursor, 5, |cursor| {
                Ok(ColumnStats {
                    field_id: narrow(cursor.varint()?)?,
                    null_count: cursor.varint()?,
                    exact: flag(cursor.u8()?)?,
                    min: read_scalar(cursor)?,
                    max: read_scalar(cursor)?,
                })
            })?,
            text: read_list(cursor, 5, |cursor| {
                Ok(TextStats {
                    field_id: narrow(cursor.varint()?)?,
                    docs: cursor.varint()?,
                    tokens: cursor.varint()?,
                    min_term: cursor.bytes()?.to_vec(),
                    max_term: cursor.bytes()?.to_vec(),
                })
            })?,
            vectors: read_list(cursor, 7, |cursor| {
                Ok(VectorStats {
                    field_id: narrow(cursor.varint()?)?,
                    vectors: cursor.varint()?,
                    radius: cursor.f32()?,
                    centroid: read_list(cursor, 4, Cursor::f32)?,
                })
            })?,
            sections: read_list(cursor, 7, |cursor| {
                Ok(SectionRef {
                    kind: SectionKind::from_code(cursor.u8()?)?,
                    version: cursor.u16()?,
                    field_ids: read_list(cursor, 1, |cursor| narrow(cursor.varint()?))?,
                    offset: cursor.varint()?,
                    len: cursor.varint()?,
                    open_len: cursor.varint()?,
                })
            })?,
            key: None,
        };
        if version == VERSION_KEYED {
            summary.key = Some(KeyFilter::decode(cursor)?);
        }
        Ok(summary)
    }
}

impl SectionKind {
    /// The kind whose `repr` is `code`.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if there is none.
    pub fn from_code(code: u8) -> Result<Self, FormatError> {
        match code {
            1 => Ok(Self::Text),
            2 => Ok(Self::Vector),
            3 => Ok(Self::BodyChecksums),
            4 => Ok(Self::Key),
            other => Err(FormatError::invalid(WHAT, format!("section kind {other}"))),
        }
    }
}

fn narrow(value: u64) -> Result<u32, FormatError> {
    u32::try_from(value).map_err(|_| FormatError::invalid(WHAT, format!("{value} passes 32 bits")))
}

fn flag(byte: u8) -> Result<bool, FormatError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(FormatError::invalid(WHAT, format!("flag {other}"))),
    }
}

fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    varint::write(out, items.len() as u64);
    items.iter().for_each(|item| write(out, item));
}

fn read_list<'a, T>(
    cursor: &mut Cursor<'a>,
    min_bytes: usize,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    let count = cursor.count(min_bytes)?;
    (0..count).map(|_| read(cursor)).collect()
}

fn scalar(out: &mut Vec<u8>, value: Option<&Scalar>) {
    match value {
        None => out.push(0),
        Some(Scalar::Bool(value)) => out.extend([1, u8::from(*value)]),
        Some(Scalar::Int(value)) => {
            out.push(2);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Some(Scalar::UInt(value)) => {
            out.push(3);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Some(Scalar::Float(value)) => {
            out.push(4);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Some(Scalar::Decimal(value)) => {
            out.push(5);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Some(Scalar::Text(value)) => {
            out.push(6);
            varint::write_bytes(out, value.as_bytes());
        }
        Some(Scalar::Binary(value)) => {
            out.push(7);
            varint::write_bytes(out, value);
        }
    }
}

fn read_scalar(cursor: &mut Cursor<'_>) -> Result<Option<Scalar>, FormatError> {
    Ok(Some(match cursor.u8()? {
        0 => return Ok(None),
        1 => Scalar::Bool(flag(cursor.u8()?)?),
        2 => Scalar::Int(cursor.i64()?),
        3 => Scalar::UInt(cursor.u64()?),
        4 => Scalar::Float(cursor.f64()?),
        5 => Scalar::Decimal(cursor.u128()? as i128),
        6 => Scalar::Text(cursor.str()?.to_owned()),
        7 => Scalar::Binary(cursor.bytes()?.to_vec()),
        other => return Err(FormatError::invalid(WHAT, format!("scalar kind {other}"))),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> SuperfileSummary {
        let scalars = [
            Scalar::Bool(true),
            Scalar::Int(-5),
            Scalar::UInt(u64::MAX),
            Scalar::Float(-0.5),
            Scalar::Decimal(-7),
            Scalar::Text("ä".into()),
            Scalar::Binary(vec![0, 255]),
        ];
        SuperfileSummary {
            id: SuperfileId(7),
            file_len: 1 << 33,
            footer_len: 900,
            footer_crc: 0xdead_beef,
            row_count: 3,
            min_row_id: RowId(1),
            max_row_id: RowId(u128::MAX >> 2),
            columns: (1..)
                .zip(scalars)
                .map(|(field_id, value)| ColumnStats {
                    field_id,
                    null_count: 1,
                    min: Some(value),
                    max: None,
                    exact: field_id % 2 == 0,
                })
                .collect(),
            text: vec![TextStats {
                field_id: 6,
                docs: 3,
                tokens: 40,
                min_term: b"a".to_vec(),
                max_term: b"zoo".to_vec(),
            }],
            vectors: vec![VectorStats {
                field_id: 9,
                vectors: 2,
                centroid: vec![0.5, -1.0],
                radius: 2.5,
            }],
            sections: vec![SectionRef {
                kind: SectionKind::Text,
                version: 1,
                field_ids: vec![6],
                offset: 4,
                len: 100,
                open_len: 30,
            }],
            key: KeyFilter::of(&[1, 2, 3]),
        }
    }

    #[test]
    fn round_trips_and_refuses_every_truncation() {
        let mut bytes = Vec::new();
        example().encode(&mut bytes);
        let mut cursor = Cursor::new("test", &bytes);
        assert_eq!(SuperfileSummary::decode(&mut cursor).unwrap(), example());
        cursor.finish().unwrap();
        for len in 0..bytes.len() {
            assert!(
                SuperfileSummary::decode(&mut Cursor::new("test", &bytes[..len])).is_err(),
                "cut at {len}"
            );
        }
    }
}

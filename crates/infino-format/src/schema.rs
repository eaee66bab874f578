//! What a table's columns are, and which of them are indexed, how. Bytes: `docs/format/record.md#schema`.

use crate::cursor::Cursor;
use crate::sequence::{flag, list, narrow, read_list};
use crate::{FormatError, varint};

const WHAT: &str = "table schema";
/// The encoding of a table without a key,
const VERSION: u8 = 1;
/// and of one with a key.
const VERSION_KEYED: u8 = 2;

/// How near two vectors are. A *distance* falls as vectors get nearer, in every metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Metric {
    /// Squared Euclidean distance.
    L2 = 0,
    /// 1 − cosine similarity, 0 to 2.
    Cosine = 1,
    /// Negative inner product.
    InnerProduct = 2,
    /// Bits that differ, of binary vectors.
    Hamming = 3,
}

impl Metric {
    /// The metric whose `repr` is `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::L2, Self::Cosine, Self::InnerProduct, Self::Hamming].get(code as usize).copied()
    }
}

/// A text column that is indexed for BM25 and token queries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextIndex {
    /// The column.
    pub column: String,
    /// Name and version of the analyzer, as `infino-fts` knows it: `standard-v1`, `english-v1`, `keyword-v1`.
    pub analyzer: String,
    /// Whether positions are kept, which phrase queries need.
    pub positions: bool,
    /// Whether the text itself is kept in the Parquet body.
    pub stored: bool,
}

/// What of each vector is kept beside its 1-bit code, to rerank candidates with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RerankCodec {
    /// Nothing: the codes rank alone.
    None = 0,
    /// 8 bits a dimension and an 8-bit residual: 2 bytes a dimension.
    Sq8Residual = 1,
    /// The vector itself, 4 bytes a dimension.
    F32 = 2,
}

impl RerankCodec {
    /// The codec whose `repr` is `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::None, Self::Sq8Residual, Self::F32].get(code as usize).copied()
    }
}

/// A vector column that is indexed for nearest-neighbour search.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VectorIndex {
    /// The column: a fixed-size list of floats.
    pub column: String,
    /// Its dimension.
    pub dim: u32,
    /// What near means.
    pub metric: Metric,
    /// What is kept to rerank with.
    pub rerank: RerankCodec,
    /// Recall@10 that a default search reaches, in thousandths.
    pub target_recall_millis: u16,
    /// Whether the vector itself is kept in the Parquet body.
    pub stored: bool,
}

/// The indexes of a table, at most one of a kind on a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct IndexSet {
    /// Text columns. A keyword column is one under the analyzer `keyword-v1`.
    pub text: Vec<TextIndex>,
    /// Vector columns.
    pub vectors: Vec<VectorIndex>,
    /// The columns whose values together name a row: no two live rows agree in all of them. Empty without a key.
    pub key: Vec<String>,
}

/// A column of a table: its name may change, its id never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnId {
    /// The name now.
    pub name: String,
    /// The Parquet field id, from 1; `_id` is 0.
    pub field_id: u32,
}

/// The schema of a table, as its head stores it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableSchema {
    /// The columns of the user, in order, without `_id`.
    pub columns: Vec<ColumnId>,
    /// The Arrow schema of the same columns, as an Arrow IPC schema message.
    pub arrow_ipc: Vec<u8>,
    /// What is indexed.
    pub indexes: IndexSet,
    /// The field id the next new column gets.
    pub next_field_id: u32,
}

impl TableSchema {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let keyed = !self.indexes.key.is_empty();
        out.push(if keyed { VERSION_KEYED } else { VERSION });
        list(out, &self.columns, |out, column| {
            varint::write_bytes(out, column.name.as_bytes());
            varint::write(out, column.field_id.into());
        });
        varint::write_bytes(out, &self.arrow_ipc);
        list(out, &self.indexes.text, |out, text| {
            varint::write_bytes(out, text.column.as_bytes());
            varint::write_bytes(out, text.analyzer.as_bytes());
            out.extend([u8::from(text.positions), u8::from(text.stored)]);
        });
        list(out, &self.indexes.vectors, |out, vector| {
            varint::write_bytes(out, vector.column.as_bytes());
            varint::write(out, vector.dim.into());
            out.extend([vector.metric as u8, vector.rerank as u8]);
            out.extend_from_slice(&vector.target_recall_millis.to_le_bytes());
            out.push(u8::from(vector.stored));
        });
        varint::write(out, self.next_field_id.into());
        if keyed {
            list(out, &self.indexes.key, |out, column| varint::write_bytes(out, column.as_bytes()));
        }
    }

    /// Reads what [`TableSchema::encode`] wrote.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
        let found = cursor.u8()?;
        if !matches!(found, VERSION | VERSION_KEYED) {
            return Err(FormatError::Version {
                what: WHAT,
                found: found.into(),
                newest: VERSION_KEYED.into(),
            });
        }
        let mut schema = Self {
            columns: read_list(cursor, 2, |cursor| {
                Ok(ColumnId {
                    name: cursor.str()?.to_owned(),
                    field_id: narrow(WHAT, cursor.varint()?)?,
                })
            })?,
            arrow_ipc: cursor.bytes()?.to_vec(),
            indexes: IndexSet {
                text: read_list(cursor, 4, |cursor| {
                    Ok(TextIndex {
                        column: cursor.str()?.to_owned(),
                        analyzer: cursor.str()?.to_owned(),
                        positions: flag(WHAT, cursor.u8()?)?,
                        stored: flag(WHAT, cursor.u8()?)?,
                    })
                })?,
                vectors: read_list(cursor, 7, |cursor| {
                    Ok(VectorIndex {
                        column: cursor.str()?.to_owned(),
                        dim: narrow(WHAT, cursor.varint()?)?,
                        metric: coded("metric", cursor.u8()?, Metric::from_code)?,
                        rerank: coded("rerank codec", cursor.u8()?, RerankCodec::from_code)?,
                        target_recall_millis: cursor.u16()?,
                        stored: flag(WHAT, cursor.u8()?)?,
                    })
                })?,
                key: Vec::new(),
            },
            next_field_id: narrow(WHAT, cursor.varint()?)?,
        };
        if found == VERSION_KEYED {
            schema.indexes.key = read_list(cursor, 1, |cursor| Ok(cursor.str()?.to_owned()))?;
            if schema.indexes.key.is_empty() {
                return Err(FormatError::invalid(WHAT, "a key of no columns"));
            }
        }
        Ok(schema)
    }
}

fn coded<T>(what: &str, code: u8, of: impl Fn(u8) -> Option<T>) -> Result<T, FormatError> {
    of(code).ok_or_else(|| FormatError::invalid(WHAT, format!("{what} {code}")))
}

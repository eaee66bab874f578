//! Keys of rows: the values of the key's columns as canonical bytes, and the section that finds rows by them.
//!
//! The bytes of a value do not depend on how Arrow lays it out or how wide its type is, so that a column may be widened
//! without its keys changing. Bytes: `docs/format/key.md`.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, Schema, UInt64Type};
use arrow::record_batch::RecordBatch;
use infino_format::schema::TableSchema;
use infino_format::summary::{SectionKind, SectionRef};
use infino_format::{KeyDigest, key, varint};
use parquet::file::writer::TrackedWrite;

use crate::SuperfileError;
use crate::layout::{Placed, open_hash};

/// Whether a column of this type may be part of a key: its values are equal or not, beyond doubt.
pub(crate) fn can_be_key(data_type: &DataType) -> bool {
    use DataType::*;
    match data_type {
        Dictionary(_, values) => can_be_key(values),
        Boolean | Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => true,
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | FixedSizeBinary(_) => true,
        Decimal32(..) | Decimal64(..) | Decimal128(..) => true,
        other => other.is_integer(),
    }
}

/// Reads the keys of rows.
#[derive(Debug, Clone)]
pub struct KeyEncoder {
    columns: Vec<String>,
}

impl KeyEncoder {
    /// What reads the keys of a table's rows; `None` if the table has no key.
    ///
    /// # Errors
    /// `Invalid` if a column of the key is not in `input`.
    pub fn of(schema: &TableSchema, input: &Schema) -> Result<Option<Self>, SuperfileError> {
        let columns = schema.indexes.key.clone();
        for column in &columns {
            input.index_of(column)?;
        }
        Ok((!columns.is_empty()).then_some(Self { columns }))
    }

    /// The columns of the key.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Checks that no key of `batch` is null.
    ///
    /// # Errors
    /// As [`KeyEncoder::digests`].
    pub fn check(&self, batch: &RecordBatch) -> Result<(), SuperfileError> {
        self.digests(&batch.slice(0, 0))?;
        let nulls = self
            .columns
            .iter()
            .filter_map(|name| Some((name, batch.column_by_name(name)?.logical_nulls()?)));
        for (name, nulls) in nulls {
            if let Some(row) = (0..batch.num_rows()).find(|&row| nulls.is_null(row)) {
                return Err(null_key(name, row));
            }
        }
        Ok(())
    }

    /// The key of every row of `batch`, which has the key's columns among its own.
    ///
    /// # Errors
    /// `Invalid` naming the column that is missing, or the row in which it is null.
    pub fn digests(&self, batch: &RecordBatch) -> Result<Vec<KeyDigest>, SuperfileError> {
        let values: Vec<Values> = self
            .columns
            .iter()
            .map(|name| {
                let column = batch.column_by_name(name).ok_or_else(|| {
                    SuperfileError::invalid(format!("the batch lacks {name:?}, of the key"))
                })?;
                Values::of(name, column)
            })
            .collect::<Result<_, _>>()?;
        let mut key = Vec::new();
        let digest = |row| {
            key.clear();
            values.iter().for_each(|values| values.encode(row, &mut key));
            KeyDigest::of(&key)
        };
        Ok((0..batch.num_rows()).map(digest).collect())
    }
}

/// A column of a key, in the one layout of its kind.
enum Values {
    Signed(ArrayRef),
    Unsigned(ArrayRef),
    Decimal(ArrayRef),
    Bytes(ArrayRef),
}

impl Values {
    fn of(name: &str, column: &ArrayRef) -> Result<Self, SuperfileError> {
        if column.logical_null_count() > 0 {
            let nulls = column.logical_nulls();
            let row = (0..column.len()).find(|&row| nulls.as_ref().is_some_and(|n| n.is_null(row)));
            return Err(null_key(name, row.unwrap_or_default()));
        }
        use DataType::*;
        let to = |data_type| cast(column, &data_type);
        Ok(match column.data_type() {
            Dictionary(_, values) => return Self::of(name, &to(values.as_ref().clone())?),
            Utf8 | LargeUtf8 | Utf8View => {
                return Self::of(name, &cast(&to(LargeUtf8)?, &LargeBinary)?);
            }
            LargeBinary => Self::Bytes(column.clone()),
            Binary | BinaryView | FixedSizeBinary(_) => Self::Bytes(to(LargeBinary)?),
            Decimal128(..) => Self::Decimal(column.clone()),
            Decimal32(_, scale) | Decimal64(_, scale) => Self::Decimal(to(Decimal128(38, *scale))?),
            Boolean | UInt8 | UInt16 | UInt32 | UInt64 => Self::Unsigned(to(UInt64)?),
            Date32 | Time32(_) => Self::Signed(cast(&to(Int32)?, &Int64)?),
            other if can_be_key(other) => Self::Signed(to(Int64)?),
            other => {
                let problem = format!("column {name:?} is {other}, which cannot be part of a key");
                return Err(SuperfileError::invalid(problem));
            }
        })
    }

    /// Appends the bytes of one value: a number as 16 bytes, anything else behind its length.
    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        let number = match self {
            Self::Signed(values) => values.as_primitive::<Int64Type>().value(row).into(),
            Self::Unsigned(values) => values.as_primitive::<UInt64Type>().value(row).into(),
            Self::Decimal(values) => values.as_primitive::<Decimal128Type>().value(row),
            Self::Bytes(values) => {
                return varint::write_bytes(out, values.as_binary::<i64>().value(row));
            }
        };
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn null_key(name: &str, row: usize) -> SuperfileError {
    let problem = format!("column {name:?}, row {row} of the batch: a key may not be null");
    SuperfileError::invalid(problem)
}

/// Writes the key section of rows whose keys have `hashes`.
pub(crate) fn write<W: Write>(
    schema: &TableSchema,
    hashes: &[u64],
    out: &mut TrackedWrite<W>,
) -> Result<Placed, SuperfileError> {
    let built = key::build(hashes).map_err(|error| SuperfileError::invalid(error.to_string()))?;
    let offset = out.bytes_written() as u64;
    out.write_all(&built.bytes)
        .map_err(|error| SuperfileError::io("writing the key section", error))?;
    let columns = schema.indexes.key.iter();
    let ids = columns.filter_map(|name| schema.columns.iter().find(|column| column.name == *name));
    let section = SectionRef {
        kind: SectionKind::Key,
        version: key::VERSION,
        field_ids: ids.map(|column| column.field_id).collect(),
        offset,
        len: built.bytes.len() as u64,
        open_len: built.open_len as u64,
    };
    Ok(Placed { section, open_hash: open_hash(&built.bytes[..built.open_len]) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int16Array, Int64Array, StringArray, StringViewArray, UInt8Array};
    use infino_format::schema::IndexSet;

    use super::*;

    fn keys(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<KeyDigest>, SuperfileError> {
        let batch = RecordBatch::try_from_iter(columns.clone()).unwrap();
        let key = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let indexes = IndexSet { key, ..IndexSet::default() };
        let schema = crate::table_schema(&batch.schema(), indexes)?;
        KeyEncoder::of(&schema, &batch.schema())?.expect("there is a key").digests(&batch)
    }

    #[test]
    fn a_key_is_its_values_whatever_their_width_and_layout() {
        let wide = keys(vec![("n", Arc::new(Int64Array::from(vec![-7, 3])))]).unwrap();
        assert_eq!(wide, keys(vec![("n", Arc::new(Int16Array::from(vec![-7, 3])))]).unwrap());
        let byte = keys(vec![("n", Arc::new(UInt8Array::from(vec![3])))]).unwrap();
        assert_eq!(wide[1], byte[0]);
        let text = keys(vec![("t", Arc::new(StringArray::from(vec!["a", ""])))]).unwrap();
        let view = keys(vec![("t", Arc::new(StringViewArray::from(vec!["a", ""])))]).unwrap();
        assert_eq!(text, view);
        assert_ne!(text[0], text[1]);
    }

    #[test]
    fn columns_do_not_run_into_each_other() {
        let pair = |a: &str, b: &str| {
            let column = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
            keys(vec![("a", column(a)), ("b", column(b))]).unwrap()[0]
        };
        assert_ne!(pair("ab", "c"), pair("a", "bc"));
        assert_eq!(pair("ab", "c"), pair("ab", "c"));
    }

    #[test]
    fn nulls_and_floats_are_no_keys() {
        let null = keys(vec![("t", Arc::new(StringArray::from(vec![Some("a"), None])))]);
        assert!(null.unwrap_err().to_string().contains("row 1"));
        let float: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0]));
        assert!(keys(vec![("f", float)]).unwrap_err().to_string().contains("Float64"));
    }
}

//! Writes sample superfiles, each beside a JSON file of the values that any reader of Parquet must find in it.
//!
//! `cargo run -p infino-superfile --example write_sample -- FOLDER`; `tests/open_format/check.py` compares them.

#[path = "../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, UInt64Type};
use infino_format::schema::TableSchema;
use infino_superfile::{Compression, SuperfileOptions, body_schema, table_schema};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: write_sample FOLDER")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;

    let (fields, columns): (Vec<_>, Vec<_>) = support::types::columns(2_000).into_iter().unzip();
    let types = table_schema(&Schema::new(fields), Default::default())?;
    let rows = [support::batch(&types, 1 << 100, columns)];
    write(folder, "types", &types, support::small(), &rows)?;
    let lz4 = SuperfileOptions { compression: Compression::Lz4, ..support::small() };
    write(folder, "types_lz4", &types, lz4, &rows)?;

    let indexed = support::indexed_schema();
    let rows: Vec<_> = (0..5_000)
        .step_by(1_000)
        .map(|at| {
            let columns = support::indexed_columns(at..at + 1_000);
            support::batch(&indexed, 1 + u128::from(at), columns)
        })
        .collect();
    write(folder, "indexed", &indexed, SuperfileOptions::default(), &rows)?;

    let mut indexes = indexed.indexes.clone();
    indexes.text[0].stored = false;
    indexes.vectors[0].stored = false;
    let plain = infino_superfile::arrow_schema(&indexed)?;
    let only_indexed = table_schema(&plain, indexes)?;
    write(folder, "only_indexed", &only_indexed, support::small(), &rows)
}

/// Writes `name.parquet` and `name.json`.
fn write(
    folder: &Path,
    name: &str,
    schema: &TableSchema,
    options: SuperfileOptions,
    rows: &[RecordBatch],
) -> Result<(), Box<dyn Error>> {
    let (bytes, summary) = support::build(schema, options, rows)?;
    fs::write(folder.join(name).with_extension("parquet"), bytes)?;
    let body = body_schema(schema)?;
    let mut columns = Vec::new();
    for field in body.fields() {
        let mut values = Vec::new();
        for batch in rows {
            let column = batch.column_by_name(field.name()).ok_or("a stored column is missing")?;
            values.extend(cells(column)?);
        }
        let id = field.metadata().get("PARQUET:field_id").ok_or("a column has no field id")?;
        columns.push(json!({
            "name": field.name(),
            "field_id": id.parse::<u32>()?,
            "kind": kind(field.data_type()),
            "values": values,
        }));
    }
    let expected = json!({ "rows": summary.row_count, "columns": columns });
    fs::write(folder.join(name).with_extension("json"), serde_json::to_vec(&expected)?)?;
    Ok(())
}

/// How the checker is to look at a column.
fn kind(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "date",
        DataType::Time32(TimeUnit::Millisecond) => "time_ms",
        DataType::Time64(TimeUnit::Microsecond) => "time_us",
        DataType::Time64(_) => "time_ns",
        DataType::Timestamp(TimeUnit::Millisecond, _) => "timestamp_ms",
        DataType::Timestamp(TimeUnit::Microsecond, _) => "timestamp_us",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "timestamp_ns",
        // Parquet has no type for these: readers that do not know Arrow's hint see the number.
        DataType::Timestamp(TimeUnit::Second, _)
        | DataType::Time32(_)
        | DataType::Date64
        | DataType::Duration(_) => "number",
        DataType::Decimal256(..) => "decimal256",
        _ => "plain",
    }
}

/// The values as JSON: exact numbers as text, floats as text that reads back to the same bits, bytes in hexadecimal.
fn cells(array: &ArrayRef) -> Result<Vec<Value>, Box<dyn Error>> {
    let rows = 0..array.len();
    let each = |cell: &dyn Fn(usize) -> Result<Value, Box<dyn Error>>| {
        rows.clone()
            .map(|row| if array.is_null(row) { Ok(Value::Null) } else { cell(row) })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match array.data_type() {
        DataType::Null => rows.map(|_| Value::Null).collect(),
        DataType::Boolean => each(&|row| Ok(json!(array.as_boolean().value(row))))?,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(array, &DataType::Float64)?;
            each(&|row| Ok(json!(format!("{:?}", wide.as_primitive::<Float64Type>().value(row)))))?
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = cast(array, &DataType::Utf8)?;
            each(&|row| Ok(json!(text.as_string::<i32>().value(row))))?
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = cast(array, &DataType::Binary)?;
            each(&|row| Ok(json!(hex(bytes.as_binary::<i32>().value(row)))))?
        }
        DataType::FixedSizeBinary(_) => {
            each(&|row| Ok(json!(hex(array.as_fixed_size_binary().value(row)))))?
        }
        DataType::Dictionary(_, values) => cells(&cast(array, values)?)?,
        DataType::UInt64 => {
            each(&|row| Ok(json!(array.as_primitive::<UInt64Type>().value(row).to_string())))?
        }
        data_type if data_type.is_decimal() => {
            let text = cast(array, &DataType::Utf8)?;
            each(&|row| Ok(json!(text.as_string::<i32>().value(row))))?
        }
        DataType::List(_) => {
            each(&|row| Ok(Value::Array(cells(&array.as_list::<i32>().value(row))?)))?
        }
        DataType::LargeList(_) => {
            each(&|row| Ok(Value::Array(cells(&array.as_list::<i64>().value(row))?)))?
        }
        DataType::FixedSizeList(..) => {
            each(&|row| Ok(Value::Array(cells(&array.as_fixed_size_list().value(row))?)))?
        }
        DataType::Map(..) => each(&|row| {
            let entries = array.as_map().value(row);
            let (keys, values) = (cells(entries.column(0))?, cells(entries.column(1))?);
            Ok(keys.into_iter().zip(values).map(|(key, value)| json!([key, value])).collect())
        })?,
        DataType::Struct(fields) => each(&|row| {
            let mut object = serde_json::Map::new();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let value = cells(&column.slice(row, 1))?.remove(0);
                object.insert(field.name().clone(), value);
            }
            Ok(Value::Object(object))
        })?,
        _ => {
            // Whole numbers and everything that counts units of time.
            let number = cast(array, &DataType::Int64)
                .or_else(|_| cast(&cast(array, &DataType::Int32)?, &DataType::Int64))?;
            each(&|row| Ok(json!(number.as_primitive::<Int64Type>().value(row).to_string())))?
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

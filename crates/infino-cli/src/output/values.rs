//! Values that a text format cannot carry, in the form in which it can.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, StructArray},
    compute::cast,
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    json::{WriterBuilder, writer::LineDelimited},
};

/// Decimals, row ids among them, as text: most readers of JSON keep 53 bits of a number.
pub(super) fn for_json(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    map(batch, |column| match column.data_type() {
        DataType::Decimal128(..) | DataType::Decimal256(..) => cast(column, &DataType::Utf8),
        _ => Ok(column.clone()),
    })
}

/// Lists, structs and maps as JSON, bytes in hexadecimal digits.
pub(super) fn for_csv(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    map(batch, |column| match column.data_type() {
        data_type if data_type.is_nested() => as_json(column),
        _ => Ok(column.clone()),
    })
}

fn map(
    batch: &RecordBatch,
    change: impl Fn(&ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = batch.columns().iter().map(change).collect::<Result<_, _>>()?;
    let fields = batch.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// Each value as the JSON it is.
fn as_json(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    const NAME: &str = "v";
    let field = Field::new(NAME, column.data_type().clone(), true);
    let rows = StructArray::try_new(vec![field].into(), vec![column.clone()], None)?;
    let mut lines = Vec::new();
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut lines);
    writer.write(&RecordBatch::from(rows))?;
    writer.finish()?;
    drop(writer);
    let lines = String::from_utf8_lossy(&lines);
    let value = |(row, line): (usize, &str)| {
        let value = line.strip_prefix("{\"v\":")?.strip_suffix('}')?;
        (!column.is_null(row)).then(|| value.to_owned())
    };
    Ok(Arc::new(lines.lines().enumerate().map(value).collect::<StringArray>()))
}

//! Rows to the stream that the log carries, and back under whatever schema the table has by then.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute;
use arrow::datatypes::{Decimal128Type, Field};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use infino_format::schema::TableSchema;
use infino_format::{FormatError, FreshRows, RowId};
use infino_superfile::schema::field_id;

use crate::TableError;

const WHAT: &str = "fresh rows";

/// `rows` (with `_id`, ascending) as the log carries them.
///
/// # Errors
/// `Format` if they are too many to ride in the log.
pub(crate) fn encode(rows: &RecordBatch) -> Result<FreshRows, TableError> {
    let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref())?;
    writer.write(rows)?;
    let raw = writer.into_inner()?;
    let ids = rows.column(0).as_primitive::<Decimal128Type>().values();
    let (Some(&min), Some(&max)) = (ids.first(), ids.last()) else {
        return Err(TableError::invalid("there are no rows to insert"));
    };
    let count = u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
    Ok(FreshRows::new(count, RowId(min as u128), RowId(max as u128), &raw)?)
}

/// The rows as a table of `schema` has them: columns are found by field id, one that came later is null.
///
/// # Errors
/// `Format` if the rows are damaged.
pub(crate) fn decode(
    rows: &FreshRows,
    schema: &TableSchema,
) -> Result<Vec<RecordBatch>, TableError> {
    let raw = rows.raw()?;
    let damaged = |error: arrow::error::ArrowError| FormatError::invalid(WHAT, error.to_string());
    let reader = StreamReader::try_new(Cursor::new(raw), None).map_err(damaged)?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if found != rows.row_count as usize {
        let problem = format!("{found} rows where {} are counted", rows.row_count);
        return Err(FormatError::invalid(WHAT, problem).into());
    }
    let target = infino_superfile::file_schema(schema)?;
    let adapt = |batch: RecordBatch| -> Result<RecordBatch, TableError> {
        if batch.schema_ref() == &target {
            return Ok(batch);
        }
        let by_id: HashMap<u32, &ArrayRef> = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| Some((field_id(field)?, column)))
            .collect();
        let column = |field: &Arc<Field>| -> Result<ArrayRef, TableError> {
            match field_id(field).and_then(|id| by_id.get(&id)) {
                Some(column) if column.data_type() == field.data_type() => Ok((*column).clone()),
                Some(column) => Ok(compute::cast(column, field.data_type())?),
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            }
        };
        let columns = target.fields().iter().map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(target.clone(), columns, &options)?)
    };
    batches.into_iter().map(adapt).collect()
}

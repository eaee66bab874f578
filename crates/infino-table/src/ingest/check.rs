//! Does a batch fit the table?

use arrow::array::{Array, ArrayRef, FixedSizeListArray, RecordBatch, cast::AsArray};
use arrow::compute;
use arrow::datatypes::{DataType, Float32Type, SchemaRef};
use infino_format::schema::{IndexSet, VectorIndex};

use crate::TableError;

/// The columns of `batch` in the table's order and types.
///
/// Columns are matched by name. A nullable column may be missing; a type of the same meaning is cast (other widths,
/// dictionary and view layouts, lists of floats to vectors), if every value comes through; floats may lose digits.
///
/// # Errors
/// [`TableError::Invalid`] naming the column, the type wanted and the type found, or the row of a vector that is not
/// finite.
pub(crate) fn conform(
    schema: &SchemaRef,
    indexes: &IndexSet,
    batch: &RecordBatch,
) -> Result<RecordBatch, TableError> {
    refuse_strangers(schema, batch)?;
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => conform_column(field, column),
            None if field.is_nullable() => {
                Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows()))
            }
            None => Err(TableError::invalid(format!(
                "the batch has no column {:?}, which is not nullable",
                field.name()
            ))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    indexes.vectors.iter().try_for_each(|index| check_vectors(index, &batch))?;
    Ok(batch)
}

fn refuse_strangers(schema: &SchemaRef, batch: &RecordBatch) -> Result<(), TableError> {
    for field in batch.schema_ref().fields() {
        if field.name() == "_id" {
            return Err(TableError::invalid(
                "the batch has a column \"_id\"; row ids are given by the table, leave it out",
            ));
        }
        if schema.field_with_name(field.name()).is_err() {
            let known =
                schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
            return Err(TableError::invalid(format!(
                "the table has no column {:?}; its columns are {known}",
                field.name()
            )));
        }
    }
    for (i, field) in batch.schema_ref().fields().iter().enumerate() {
        if batch.schema_ref().fields()[..i].iter().any(|other| other.name() == field.name()) {
            return Err(TableError::invalid(format!(
                "the batch has two columns {:?}",
                field.name()
            )));
        }
    }
    Ok(())
}

fn conform_column(
    field: &arrow::datatypes::Field,
    column: &ArrayRef,
) -> Result<ArrayRef, TableError> {
    if column.null_count() > 0 && !field.is_nullable() {
        return Err(TableError::invalid(format!(
            "column {:?} is not nullable and holds {} nulls",
            field.name(),
            column.null_count()
        )));
    }
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    let wrong = |why: String| {
        TableError::invalid(format!(
            "column {:?} is {}, the batch gives {}{why}",
            field.name(),
            field.data_type(),
            column.data_type()
        ))
    };
    if let (DataType::FixedSizeList(_, dim), DataType::FixedSizeList(_, found)) =
        (field.data_type(), column.data_type())
        && dim != found
    {
        return Err(wrong(format!(": vectors of {found} dimensions where {dim} are wanted")));
    }
    if !is_faithful(column.data_type(), field.data_type()) {
        return Err(wrong(String::new()));
    }
    let options = compute::CastOptions { safe: false, ..Default::default() };
    let cast = |column: &ArrayRef, to: &DataType| {
        compute::cast_with_options(column, to, &options)
            .map_err(|error| wrong(format!(": {error}")))
    };
    let new = cast(column, field.data_type())?;
    // Numbers and times must come back as they were: a cast rounds and cuts without a word.
    if is_exact(column.data_type()) && cast(&new, column.data_type())?.as_ref() != column.as_ref() {
        return Err(wrong(": a value of it would be rounded or cut".to_owned()));
    }
    Ok(new)
}

/// Whether values of this type mean exactly what they say: integers, decimals, times.
fn is_exact(data_type: &DataType) -> bool {
    use DataType::*;
    data_type.is_integer()
        || matches!(data_type, Timestamp(..) | Date64 | Decimal128(..) | Decimal256(..))
}

/// Whether a cast keeps what a value means: text to text, number to number, the same time in another unit.
fn is_faithful(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let binary = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView | FixedSizeBinary(_));
    match (from, to) {
        (Null, _) => true,
        (Dictionary(_, value), to) => value.as_ref() == to || is_faithful(value, to),
        (from, to) if text(from) && text(to) => true,
        (from, to) if binary(from) && binary(to) => true,
        (from, to) if from.is_integer() && (to.is_integer() || to.is_floating()) => true,
        (from, to) if from.is_floating() && to.is_floating() => true,
        (from, Decimal128(..) | Decimal256(..)) if from.is_integer() => true,
        (Decimal128(..), Decimal128(..)) | (Timestamp(..), Timestamp(..)) => true,
        (Date32 | Date64, Date32 | Date64) => true,
        (
            List(from) | LargeList(from) | FixedSizeList(from, _),
            List(to) | LargeList(to) | FixedSizeList(to, _),
        ) => from.data_type() == to.data_type() || is_faithful(from.data_type(), to.data_type()),
        _ => false,
    }
}

fn check_vectors(index: &VectorIndex, batch: &RecordBatch) -> Result<(), TableError> {
    let Some(column) = batch.column_by_name(&index.column) else { return Ok(()) };
    let vectors: &FixedSizeListArray = column.as_fixed_size_list();
    let values = vectors.values().as_primitive::<Float32Type>();
    let dim = index.dim as usize;
    for row in 0..vectors.len() {
        if vectors.is_null(row) {
            continue;
        }
        let vector = values.slice(vectors.value_offset(row) as usize, dim);
        let problem = match vector.null_count() {
            0 => infino_vector::check_vector(index.metric, dim, vector.values()).err(),
            _ => Some("it holds a null; make the whole vector null".to_owned()),
        };
        if let Some(problem) = problem {
            return Err(TableError::invalid(format!(
                "column {:?}, row {row} of the batch: {problem}",
                index.column
            )));
        }
    }
    Ok(())
}

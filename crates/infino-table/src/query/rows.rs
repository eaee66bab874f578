//! The winners' rows, and only the columns asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, UInt32Array, new_empty_array};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use infino_format::SuperfileId;
use infino_manifest::Snapshot;

use super::{Hit, fan_out};
use crate::{Table, TableError, evolve, writer};

/// What a search's result looks like: `_id`, the value under its name if it has one, the columns asked for.
///
/// # Errors
/// `Invalid` for a column that the table does not have, naming those it has.
pub fn result_schema(
    snapshot: &Snapshot,
    value: Option<&str>,
    columns: &[&str],
) -> Result<SchemaRef, TableError> {
    let user = infino_superfile::arrow_schema(&snapshot.schema)?;
    let mut fields = vec![Arc::new(Field::new("_id", DataType::Decimal128(38, 0), false))];
    if let Some(value) = value {
        fields.push(Arc::new(Field::new(value, DataType::Float32, false)));
    }
    for &column in columns.iter().filter(|&&column| column != "_id") {
        let Ok(field) = user.field_with_name(column) else {
            let known = user
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(TableError::invalid(format!(
                "the table has no column {column:?}; its columns are {known}"
            )));
        };
        fields.push(Arc::new(field.clone()));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The rows of `hits` in their order: `_id`, their values under the name `value`, and `columns`.
///
/// # Errors
/// As [`result_schema`]; `Superfile` if a row cannot be read.
pub async fn fetch(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    hits: &[Hit],
    value: Option<&str>,
    columns: &[&str],
) -> Result<RecordBatch, TableError> {
    let schema = result_schema(snapshot, value, columns)?;
    let mut arrays: Vec<ArrayRef> = vec![writer::id_column(hits.iter().map(|hit| hit.row))];
    if value.is_some() {
        arrays.push(Arc::new(Float32Array::from_iter_values(hits.iter().map(|hit| hit.value))));
    }
    let stored = columns.iter().copied().filter(|&column| column != "_id").collect::<Vec<_>>();
    if !stored.is_empty() {
        arrays.extend(gather(table, snapshot, hits, &stored, &schema).await?);
    }
    Ok(RecordBatch::try_new(schema, arrays)?)
}

/// The named columns of the rows of `hits`, in their order; files are read in parallel, each once.
async fn gather(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    hits: &[Hit],
    columns: &[&str],
    schema: &SchemaRef,
) -> Result<Vec<ArrayRef>, TableError> {
    let first = schema.fields().len() - columns.len();
    if hits.is_empty() {
        return Ok(schema.fields()[first..]
            .iter()
            .map(|field| new_empty_array(field.data_type()))
            .collect());
    }
    let mut by_file: BTreeMap<SuperfileId, Vec<usize>> = Default::default();
    for (i, hit) in hits.iter().enumerate() {
        by_file.entry(hit.file).or_default().push(i);
    }
    let order = by_file.values().flatten().copied().collect::<Vec<_>>();
    let reads = by_file
        .into_iter()
        .map(|(file, places)| (file, places.iter().map(|&i| hits[i].doc).collect::<Vec<_>>()));
    let names = columns.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let parts = fan_out::each(reads.collect(), |(file, docs)| {
        let (table, snapshot, names) = (table.clone(), snapshot.clone(), names.clone());
        let schema = schema.clone();
        async move {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>();
            let file = table.file_of(&snapshot, file).await?;
            evolve::rows(&file, &schema, &docs, &names).await
        }
    })
    .await?;
    // `parts` laid end to end are in the order `order`; bring them back into the order of the hits.
    let mut back = vec![0u32; hits.len()];
    for (at, &hit) in order.iter().enumerate() {
        back[hit] = at as u32;
    }
    let back = UInt32Array::from(back);
    (0..columns.len())
        .map(|column| {
            let arrays = parts.iter().map(|part| part.column(column).as_ref()).collect::<Vec<_>>();
            Ok(compute::take(&compute::concat(&arrays)?, &back, None)?)
        })
        .collect()
}

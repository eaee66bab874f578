//! What a column is indexed with, told to expressions over it.
//!
//! `match(body, …)` has to know the analyzer of `body`, `distance(embedding, …)` the metric of `embedding`. They see no
//! table, only the field they are given, so a table's fields carry it as metadata.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use infino_format::schema::{Metric, TableSchema};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::Error;

/// Key of the analyzer of a text column.
pub(super) const ANALYZER: &str = "infino.analyzer";

/// Key of the metric of a vector column.
pub(super) const METRIC: &str = "infino.metric";

const METRICS: [(Metric, &str); 4] = [
    (Metric::L2, "l2"),
    (Metric::Cosine, "cosine"),
    (Metric::InnerProduct, "inner_product"),
    (Metric::Hamming, "hamming"),
];

/// What SQL calls a metric.
pub(super) fn metric_name(metric: Metric) -> &'static str {
    METRICS.iter().find(|named| named.0 == metric).expect("every metric is named").1
}

/// The metric that SQL calls so.
pub(super) fn metric_named(name: &str) -> Option<Metric> {
    METRICS.iter().find(|named| named.1 == name).map(|named| named.0)
}

/// `_id` and the user's columns, each saying what it is indexed with.
pub(super) fn file_schema(schema: &TableSchema) -> Result<SchemaRef, Error> {
    let file = infino_superfile::file_schema(schema)?;
    let fields = file.fields().iter().map(|field| {
        let text = schema.indexes.text.iter().find(|index| index.column == *field.name());
        let vector = schema.indexes.vectors.iter().find(|index| index.column == *field.name());
        let analyzer = text.map(|index| (ANALYZER, index.analyzer.as_str()));
        let metric = vector.map(|index| (METRIC, metric_name(index.metric)));
        with(field, analyzer.into_iter().chain(metric))
    });
    Ok(Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), file.metadata().clone())))
}

fn with<'a>(field: &FieldRef, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> FieldRef {
    let mut metadata = field.metadata().clone();
    metadata.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

/// The rows without what was told to expressions, nor the ids of stored fields: an answer's columns are just columns.
pub(super) fn strip(batch: RecordBatch) -> RecordBatch {
    if !batch.schema_ref().fields().iter().any(|field| field.metadata().keys().any(is_ours)) {
        return batch;
    }
    let schema = stripped(batch.schema_ref());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)
        .expect("the same fields but for metadata")
}

/// The schema of stripped rows.
pub(super) fn stripped(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        metadata.retain(|key, _| !is_ours(key));
        Field::clone(field).with_metadata(metadata)
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn is_ours(key: &String) -> bool {
    key == ANALYZER || key == METRIC || key == PARQUET_FIELD_ID_META_KEY
}

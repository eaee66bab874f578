//! From the columns of a source to those of a table.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    json::reader::ReaderBuilder,
};
use infino::{IndexSpec, Metric, RerankCodec, Supertable};

use crate::{CliError, args};

/// The column of row ids, which a table gives itself.
const ID: &str = "_id";
const RECALL: f32 = 0.95;
const KEYWORD: &str = "keyword-v1";

/// The indexes that the command line asks for.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    /// Columns and their analyzers.
    text: Vec<(String, Option<String>)>,
    vectors: Vec<Vectors>,
    key: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Vectors {
    column: String,
    dim: Option<usize>,
    metric: Option<Metric>,
    recall: Option<f32>,
}

impl Vectors {
    /// Reads `COLUMN[:DIM][:METRIC][:RECALL]`.
    fn parse(text: &str) -> Result<Self, CliError> {
        let mut parts = text.split(':');
        let column = parts.next().unwrap_or_default().to_owned();
        let mut vectors = Self { column, dim: None, metric: None, recall: None };
        for part in parts {
            if let Ok(dim) = part.parse() {
                vectors.dim = Some(dim);
            } else if let Ok(recall) = part.parse::<f32>()
                && (0.0..1.0).contains(&recall)
            {
                vectors.recall = Some(recall);
            } else if let Some(metric) = metric(part) {
                vectors.metric = Some(metric);
            } else {
                return Err(CliError::Usage(format!(
                    "--vector {text}: {part:?} is no dimension, no metric (l2, cosine, ip, hamming) and no recall below 1"
                )));
            }
        }
        Ok(vectors)
    }
}

fn metric(name: &str) -> Option<Metric> {
    Some(match name.to_ascii_lowercase().as_str() {
        "l2" | "euclidean" => Metric::L2,
        "cosine" => Metric::Cosine,
        "ip" | "dot" | "inner_product" => Metric::InnerProduct,
        "hamming" => Metric::Hamming,
        _ => return None,
    })
}

impl Indexes {
    /// What the options say.
    pub(super) fn parse(args: &args::Import) -> Result<Self, CliError> {
        let fts = args.fts.iter().map(|text| match text.split_once(':') {
            Some((column, analyzer)) => (column.to_owned(), Some(analyzer.trim().to_owned())),
            None => (text.clone(), None),
        });
        let keyword = args.keyword.iter().map(|column| (column.clone(), Some(KEYWORD.to_owned())));
        Ok(Self {
            text: fts.chain(keyword).collect(),
            vectors: args
                .vector
                .iter()
                .map(|text| Vectors::parse(text))
                .collect::<Result<_, _>>()?,
            key: args.key.clone(),
        })
    }

    /// Vector columns and, where it was said, their dimension.
    pub(super) fn vector_dims(&self) -> HashMap<String, Option<usize>> {
        self.vectors.iter().map(|vectors| (vectors.column.clone(), vectors.dim)).collect()
    }

    /// Whether a table that is there has the indexes that were asked for.
    pub(super) fn check(&self, table: &Supertable) -> Result<(), CliError> {
        let there = table.indexes();
        let lacks = |what: String| {
            Err(CliError::Usage(format!(
                "table {:?} exists, {what}: import into it without that option",
                table.name()
            )))
        };
        for (column, analyzer) in &self.text {
            let Some(index) = there.text.iter().find(|index| index.column == *column) else {
                return lacks(format!("and {column:?} has no text index"));
            };
            if let Some(wanted) = analyzer.as_ref().filter(|wanted| **wanted != index.analyzer) {
                return lacks(format!(
                    "and {column:?} is analyzed by {}, not {wanted}",
                    index.analyzer
                ));
            }
        }
        for wanted in &self.vectors {
            let index = there.vectors.iter().find(|index| index.column == wanted.column);
            let Some(index) = index else {
                return lacks(format!("and {:?} has no vector index", wanted.column));
            };
            if wanted.dim.is_some_and(|dim| dim != index.dim as usize)
                || wanted.metric.is_some_and(|metric| metric != index.metric)
            {
                return lacks(format!(
                    "and {:?} is indexed as {} dimensions, {:?}",
                    wanted.column, index.dim, index.metric
                ));
            }
        }
        if !self.key.is_empty() && self.key != there.key {
            let keys = if there.key.is_empty() {
                "and has no key".to_owned()
            } else {
                format!("and its key is {}", there.key.join(", "))
            };
            return lacks(keys);
        }
        Ok(())
    }

    /// The columns and indexes of a new table whose first rows are these.
    pub(super) fn table(
        &self,
        first: &RecordBatch,
        args: &args::Import,
    ) -> Result<(Schema, IndexSpec), CliError> {
        let first = select(first, &args.columns)?;
        let mut fields: Vec<Field> =
            first.schema_ref().fields().iter().map(|field| plain(field)).collect();
        let mut spec = IndexSpec::new();
        for (column, analyzer) in &self.text {
            spec = match analyzer {
                Some(analyzer) if analyzer == KEYWORD => spec.keyword(column),
                Some(analyzer) => spec.fts_with(column, analyzer),
                None => spec.fts(column),
            };
        }
        for wanted in &self.vectors {
            let column = &wanted.column;
            let Some(at) = fields.iter().position(|field| field.name() == column) else {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                return Err(CliError::Usage(format!(
                    "--vector {column}: there is no such column; the columns are {}",
                    names.join(", ")
                )));
            };
            let dim = match wanted.dim {
                Some(dim) => dim,
                None => dim_of(first.column(at)).ok_or_else(|| {
                    CliError::Usage(format!(
                        "--vector {column}: no vector among the first rows says how long one is; write {column}:DIM"
                    ))
                })?,
            };
            let item = Arc::new(Field::new("item", DataType::Float32, true));
            let len = i32::try_from(dim).unwrap_or(i32::MAX);
            fields[at].set_data_type(DataType::FixedSizeList(item, len));
            let metric = wanted.metric.unwrap_or(Metric::L2);
            let recall = wanted.recall.unwrap_or(RECALL);
            spec = spec.vector_with(column, dim, metric, RerankCodec::Sq8Residual, recall);
        }
        let key: Vec<&str> = self.key.iter().map(String::as_str).collect();
        Ok((Schema::new(fields), spec.key(&key)))
    }
}

/// A column as a new table has it: whether there are nulls only later rows can tell; text is text however it is laid out.
fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Null => DataType::Utf8,
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    field.clone().with_data_type(data_type).with_nullable(true)
}

/// How long the first vector of a column is.
fn dim_of(column: &ArrayRef) -> Option<usize> {
    if let DataType::FixedSizeList(_, len) = column.data_type() {
        return usize::try_from(*len).ok();
    }
    let row = (0..column.len()).find(|&row| column.is_valid(row))?;
    match column.data_type() {
        DataType::List(_) => Some(column.as_list::<i32>().value(row).len()),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row).len()),
        DataType::Utf8 => {
            let text = column.as_string::<i32>().value(row);
            let value: serde_json::Value = serde_json::from_str(text).ok()?;
            Some(value.as_array()?.len())
        }
        _ => None,
    }
}

/// The columns that are wanted; row ids of another table are not.
fn select(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch, CliError> {
    let schema = batch.schema_ref();
    let wanted: Vec<usize> = if columns.is_empty() {
        let is_id = |field: &Field| {
            field.name() == ID && matches!(field.data_type(), DataType::Decimal128(38, 0))
        };
        (0..schema.fields().len()).filter(|&at| !is_id(schema.field(at))).collect()
    } else {
        let at = |name: &String| {
            schema.index_of(name).map_err(|_| {
                CliError::Source(format!("--columns: there is no column {name:?} in the source"))
            })
        };
        columns.iter().map(at).collect::<Result<_, _>>()?
    };
    Ok(batch.project(&wanted)?)
}

/// What brings batches into the shape of a table.
#[derive(Debug)]
pub(super) struct Shape {
    table: SchemaRef,
    columns: Vec<String>,
    ignore_unknown: bool,
}

impl Shape {
    pub(super) fn new(table: &Schema, args: &args::Import) -> Self {
        Self {
            table: Arc::new(table.clone()),
            columns: args.columns.clone(),
            ignore_unknown: args.ignore_unknown,
        }
    }

    /// The rows with the columns that the table has; lists and structs that came as JSON are values.
    pub(super) fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch, CliError> {
        let batch = select(batch, &self.columns)?;
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let wanted = self.table.field_with_name(field.name()).ok();
            if wanted.is_none() && self.ignore_unknown {
                continue;
            }
            let column = match wanted {
                Some(wanted) if wanted.data_type().is_nested() && is_text(column) => {
                    from_json(wanted, column)?
                }
                _ => column.clone(),
            };
            fields.push(Field::new(field.name(), column.data_type().clone(), true));
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}

fn is_text(column: &ArrayRef) -> bool {
    *column.data_type() == DataType::Utf8
}

/// The values that are written in a column of JSON.
fn from_json(wanted: &Field, column: &ArrayRef) -> Result<ArrayRef, CliError> {
    let field = Field::new(wanted.name(), wanted.data_type().clone(), true);
    let texts = column.as_string::<i32>();
    let decode = |rows: std::ops::Range<usize>| {
        let builder = ReaderBuilder::new_with_field(field.clone());
        let mut decoder = builder.with_batch_size(rows.len() + 1).build_decoder()?;
        for (before, row) in rows.enumerate() {
            let text = if texts.is_null(row) { "null" } else { texts.value(row) };
            decoder.decode(text.as_bytes())?;
            // So that two numbers side by side stay two.
            decoder.decode(b"\n")?;
            if decoder.len() != before + 1 || decoder.has_partial_record() {
                return Err(ArrowError::JsonError("it is not one value".to_owned()));
            }
        }
        decoder.flush()
    };
    match decode(0..texts.len()) {
        Ok(Some(batch)) => Ok(batch.column(0).clone()),
        Ok(None) => Ok(arrow::array::new_empty_array(field.data_type())),
        Err(error) => {
            let bad = (0..texts.len()).find_map(|row| Some((row, decode(row..row + 1).err()?)));
            let (row, problem) = bad.unwrap_or((0, error));
            let problem =
                format!("column {:?}, row {} of these: {problem}", wanted.name(), row + 1);
            Err(infino::Error::from(ArrowError::JsonError(problem)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn vectors_are_described_in_any_order() {
        let of = |text| Vectors::parse(text).map_err(|error| error.to_string());
        let want =
            |dim, metric, recall| Ok(Vectors { column: "v".to_owned(), dim, metric, recall });
        assert_eq!(of("v"), want(None, None, None));
        assert_eq!(of("v:384:cosine"), want(Some(384), Some(Metric::Cosine), None));
        assert_eq!(of("v:ip:0.99"), want(None, Some(Metric::InnerProduct), Some(0.99)));
        for wrong in ["v:cos", "v:1.5", "v:-1", "v::"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_written_as_json_become_lists() {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let wanted = Field::new("v", DataType::FixedSizeList(item, 2), true);
        let column = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let found = from_json(&wanted, &column(vec![Some("[1, 2]"), None])).expect("sound JSON");
        assert_eq!((found.len(), found.null_count()), (2, 1));
        for (bad, row) in [("[1]", 2), ("[1,2", 2), ("", 2), ("[1,2][3,4]", 2)] {
            let error = from_json(&wanted, &column(vec![Some("[1,2]"), Some(bad)]));
            let error = error.expect_err(bad).to_string();
            assert!(error.contains(&format!("row {row} of these")), "{bad:?}: {error}");
        }
    }
}

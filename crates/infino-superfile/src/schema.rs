//! The schema of a table as Arrow sees it, and what may be in one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::ipc::convert::try_schema_from_flatbuffer_bytes;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use infino_format::schema::{ColumnId, IndexSet, TableSchema};
use infino_fts::Analyzer;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::{SuperfileError, key};

/// The column every superfile begins with: the row ids, `Decimal128(38, 0)`, field id 0.
pub const ID_COLUMN: &str = "_id";

/// Names with this prefix are infino's own.
pub const RESERVED_PREFIX: &str = "inf.";

const ID_TYPE: DataType = DataType::Decimal128(38, 0);

/// The dimensions a vector column may have.
const DIMS: std::ops::RangeInclusive<u32> = 16..=4096;

/// Gives the columns of `schema` field ids from 1 and checks that a superfile can carry and index them.
///
/// # Errors
/// `Invalid` naming the column: a name that is empty, taken twice, `_id`, reserved or holds control characters, a type
/// that Parquet does not carry, an index on a column that is missing or of another type.
pub fn table_schema(schema: &Schema, indexes: IndexSet) -> Result<TableSchema, SuperfileError> {
    if schema.fields().is_empty() {
        return Err(SuperfileError::invalid("a table needs at least one column"));
    }
    check_names(schema.fields(), "column")?;
    for field in schema.fields() {
        if field.name() == ID_COLUMN || field.name().starts_with(RESERVED_PREFIX) {
            return Err(SuperfileError::invalid(format!(
                "column name {:?} is reserved; rename the column",
                field.name()
            )));
        }
        check_type(field.data_type()).map_err(|problem| {
            SuperfileError::invalid(format!("column {:?}: {problem}", field.name()))
        })?;
    }
    check_indexes(schema, &indexes)?;
    let bare: Fields = schema.fields().iter().map(|field| without_field_id(field)).collect();
    let arrow_ipc = encode(&Schema::new_with_metadata(bare, schema.metadata().clone()));
    let columns: Vec<_> = (1..)
        .zip(schema.fields())
        .map(|(field_id, field)| ColumnId { name: field.name().clone(), field_id })
        .collect();
    let next_field_id = columns.len() as u32 + 1;
    Ok(TableSchema { columns, arrow_ipc, indexes, next_field_id })
}

/// The user's columns, each with its field id in the metadata that Parquet keeps it in.
///
/// # Errors
/// `Invalid` if the stored schema is not one.
pub fn arrow_schema(schema: &TableSchema) -> Result<SchemaRef, SuperfileError> {
    let stored = try_schema_from_flatbuffer_bytes(&schema.arrow_ipc)
        .map_err(|error| SuperfileError::invalid(format!("the table's Arrow schema: {error}")))?;
    if stored.fields().len() != schema.columns.len() {
        return Err(SuperfileError::invalid(format!(
            "the table names {} columns and its Arrow schema {}",
            schema.columns.len(),
            stored.fields().len()
        )));
    }
    let fields: Fields = stored
        .fields()
        .iter()
        .zip(&schema.columns)
        .map(|(field, column)| {
            with_field_id(field.as_ref().clone().with_name(&column.name), column.field_id)
        })
        .collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone())))
}

/// What [`crate::SuperfileBuilder::push`] takes: `_id`, then the user's columns, those that are not stored included.
///
/// # Errors
/// As [`arrow_schema`].
pub fn file_schema(schema: &TableSchema) -> Result<SchemaRef, SuperfileError> {
    let user = arrow_schema(schema)?;
    let id = with_field_id(Field::new(ID_COLUMN, ID_TYPE, false), 0);
    let fields: Fields =
        std::iter::once(Arc::new(id)).chain(user.fields().iter().cloned()).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, user.metadata().clone())))
}

/// What stands in the Parquet body: [`file_schema`] without the columns that are only indexed.
///
/// # Errors
/// As [`arrow_schema`].
pub fn body_schema(schema: &TableSchema) -> Result<SchemaRef, SuperfileError> {
    let all = file_schema(schema)?;
    let fields: Fields = all
        .fields()
        .iter()
        .filter(|field| is_stored(&schema.indexes, field.name()))
        .cloned()
        .collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, all.metadata().clone())))
}

/// Whether the values of `column` stand in the Parquet body.
pub(crate) fn is_stored(indexes: &IndexSet, column: &str) -> bool {
    !indexes.text.iter().any(|index| index.column == column && !index.stored)
        && !indexes.vectors.iter().any(|index| index.column == column && !index.stored)
}

/// The field id of a column; 0, which no column of the user has, if there is none of that name.
pub(crate) fn column_id(schema: &TableSchema, name: &str) -> u32 {
    let column = schema.columns.iter().find(|column| column.name == name);
    column.map_or(0, |column| column.field_id)
}

fn encode(schema: &Schema) -> Vec<u8> {
    IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
        )
        .ipc_message
}

fn without_field_id(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove(PARQUET_FIELD_ID_META_KEY);
    field.clone().with_metadata(metadata)
}

fn with_field_id(field: Field, field_id: u32) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(PARQUET_FIELD_ID_META_KEY.to_owned(), field_id.to_string());
    field.with_metadata(metadata)
}

fn check_names(fields: &Fields, what: &str) -> Result<(), SuperfileError> {
    let mut seen = HashSet::new();
    for field in fields {
        let name = field.name();
        let problem = if name.is_empty() {
            "is empty; give it one"
        } else if name.chars().any(char::is_control) {
            "holds a control character; rename it"
        } else if !seen.insert(name) {
            "is there twice; rename one of the two"
        } else {
            continue;
        };
        return Err(SuperfileError::invalid(format!("{what} name {name:?} {problem}")));
    }
    Ok(())
}

/// Whether values of the type come back from Parquet as they went in; says why not.
fn check_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::Union(..) => Err("Parquet has no unions; use a struct of nullable fields".into()),
        DataType::RunEndEncoded(_, values) => {
            Err(format!("Parquet has no run-end arrays; cast it to {}", values.data_type()))
        }
        DataType::Time32(TimeUnit::Microsecond | TimeUnit::Nanosecond)
        | DataType::Time64(TimeUnit::Second | TimeUnit::Millisecond) => {
            Err(format!("{data_type} is not a type that Arrow defines"))
        }
        // Parquet's intervals are unsigned, have no nanoseconds, and some readers refuse every file that holds one.
        DataType::Interval(_) => {
            Err("Parquet carries no signed intervals; use a duration, or a struct of months, days \
                 and nanoseconds"
                .into())
        }
        DataType::Struct(fields) if fields.is_empty() => {
            Err("Parquet has no structs without fields; add one or leave the column out".into())
        }
        DataType::Struct(fields) => {
            check_names(fields, "field").map_err(|error| error.to_string())?;
            fields.iter().try_for_each(|field| check_type(field.data_type()))
        }
        DataType::FixedSizeList(item, len) => {
            if *len < 1 {
                return Err("a fixed-size list needs at least one item".into());
            }
            check_type(item.data_type())
        }
        DataType::FixedSizeBinary(len) if *len < 1 => {
            Err("a fixed-size binary needs at least one byte".into())
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => check_type(item.data_type()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                fields.iter().try_for_each(|field| check_type(field.data_type()))
            }
            other => Err(format!("a map's entries are a struct of key and value, not {other}")),
        },
        DataType::Dictionary(keys, values) => {
            if !keys.is_dictionary_key_type() || values.is_nested() {
                return Err(format!("cast the dictionary to {values}"));
            }
            check_type(values)
        }
        _ => Ok(()),
    }
}

fn check_indexes(schema: &Schema, indexes: &IndexSet) -> Result<(), SuperfileError> {
    let column = |kind: &str, name: &str| match schema.column_with_name(name) {
        Some((_, field)) => Ok(field.data_type().clone()),
        None => Err(SuperfileError::invalid(format!(
            "{kind} index on {name:?}: there is no such column; the columns are {}",
            names(schema)
        ))),
    };
    let mut seen = HashSet::new();
    for index in &indexes.text {
        let name = &index.column;
        match column("text", name)? {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {}
            other => {
                return Err(SuperfileError::invalid(format!(
                    "text index on {name:?}: it is {other}; cast it to Utf8"
                )));
            }
        }
        if !seen.insert(name) {
            return Err(SuperfileError::invalid(format!("two text indexes on {name:?}; keep one")));
        }
        Analyzer::named(&index.analyzer).map_err(|error| SuperfileError::Text(Arc::new(error)))?;
    }
    seen.clear();
    for index in &indexes.vectors {
        let (name, dim) = (&index.column, index.dim);
        if !DIMS.contains(&dim) {
            return Err(SuperfileError::invalid(format!(
                "vector index on {name:?}: dimension {dim} is not in {} to {}",
                DIMS.start(),
                DIMS.end()
            )));
        }
        let found = column("vector", name)?;
        let fits = matches!(&found, DataType::FixedSizeList(item, len)
            if *item.data_type() == DataType::Float32 && i64::from(*len) == i64::from(dim));
        if !fits {
            return Err(SuperfileError::invalid(format!(
                "vector index on {name:?}: it is {found}; cast it to FixedSizeList<Float32> of {dim}"
            )));
        }
        if !seen.insert(name) {
            return Err(SuperfileError::invalid(format!(
                "two vector indexes on {name:?}; keep one"
            )));
        }
    }
    seen.clear();
    for name in &indexes.key {
        let found = column("key", name)?;
        if !key::can_be_key(&found) {
            return Err(SuperfileError::invalid(format!(
                "key on {name:?}: it is {found}; a key is made of integers, booleans, text, bytes, dates, times or \
                 decimals"
            )));
        }
        if !is_stored(indexes, name) {
            return Err(SuperfileError::invalid(format!("key on {name:?}: it must be stored")));
        }
        if !seen.insert(name) {
            return Err(SuperfileError::invalid(format!("{name:?} is in the key twice; keep one")));
        }
    }
    Ok(())
}

/// The column names, for messages.
pub(crate) fn names(schema: &Schema) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}

/// The field id that a field of [`file_schema`] carries.
pub fn field_id(field: &Field) -> Option<u32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

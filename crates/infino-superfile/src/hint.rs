//! The Arrow schema that other readers of the file are told.
//!
//! Parquet has lists, not fixed-size ones; a writer of Arrow notes the difference in the footer, and readers of Arrow
//! undo it. Many of them fail on a fixed-size list that is null. So a column in which one is null is noted as a list:
//! other readers get the same values in a list, infino reads the true schema from a key of its own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::file::metadata::KeyValue;

use crate::layout::ARROW_KEY;

/// Replaces the hint among `keys` by one without fixed-size lists in the columns of `schema` that `relax` says, and keeps
/// the true one beside it.
pub(crate) fn relax(keys: &mut Vec<KeyValue>, schema: &Schema, relax: impl Fn(usize) -> bool) {
    let shown = schema.fields().iter().enumerate().map(|(at, field)| match relax(at) {
        true => as_lists(field),
        false => Arc::clone(field),
    });
    let shown = Schema::new_with_metadata(shown.collect::<Vec<_>>(), schema.metadata().clone());
    if shown == *schema {
        return;
    }
    if let Some(hint) = keys.iter_mut().find(|pair| pair.key == ARROW_SCHEMA_META_KEY) {
        let truth = hint.value.replace(encode_arrow_schema(&shown));
        keys.push(KeyValue::new(ARROW_KEY.to_owned(), truth));
    }
}

/// Puts the true hint back and drops what is infino's own.
pub(crate) fn restore(mut keys: Vec<KeyValue>) -> Vec<KeyValue> {
    if let Some(truth) = keys.iter().find(|pair| pair.key == ARROW_KEY).cloned() {
        keys.retain(|pair| pair.key != ARROW_SCHEMA_META_KEY);
        keys.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), truth.value));
    }
    keys.retain(|pair| !pair.key.starts_with(crate::schema::RESERVED_PREFIX));
    keys
}

/// The keys that another file of the same columns begins its own with.
pub(crate) fn arrow_keys<'a>(keys: impl Iterator<Item = &'a KeyValue>) -> Vec<KeyValue> {
    let is_own = |key: &str| key.starts_with(crate::schema::RESERVED_PREFIX) && key != ARROW_KEY;
    keys.filter(|pair| !is_own(&pair.key)).cloned().collect()
}

/// Whether a fixed-size list in the column is null.
pub(crate) fn holds_null_list(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::FixedSizeList(..) => {
            values.null_count() > 0 || holds_null_list(values.as_fixed_size_list().values())
        }
        // A null around a fixed-size list makes that one null as well.
        data_type => data_type.is_nested() && has_fixed_lists(data_type),
    }
}

fn has_fixed_lists(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => has_fixed_lists(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_fixed_lists(field.data_type())),
        _ => false,
    }
}

/// The field with lists for fixed-size lists, at any depth.
fn as_lists(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::FixedSizeList(item, _) | DataType::List(item) => DataType::List(as_lists(item)),
        DataType::LargeList(item) => DataType::LargeList(as_lists(item)),
        DataType::ListView(item) => DataType::ListView(as_lists(item)),
        DataType::LargeListView(item) => DataType::LargeListView(as_lists(item)),
        DataType::Map(entries, sorted) => DataType::Map(as_lists(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_lists).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

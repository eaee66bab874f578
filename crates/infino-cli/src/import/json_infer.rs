//! The columns of JSON objects, from the first of them.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    datatypes::{DataType, Field, Fields, Schema, SchemaRef},
    error::ArrowError,
    json::reader::infer_json_schema_from_iterator,
};
use serde_json::Value;

use super::{
    feed::{Options, Sample},
    json::objects,
};
use crate::{CliError, args::FileFormat};

/// The columns that the objects of `samples` have, in the order in which they come up.
///
/// Whole numbers and others together are floats; a column of nulls alone is text; anything else that does not go together
/// is text as well.
pub(super) fn schema(samples: &[Sample], options: &Options) -> Result<SchemaRef, CliError> {
    let mut order: Vec<String> = Vec::new();
    let mut dims: HashMap<String, usize> = HashMap::new();
    let mut problem = None;
    let mut left = options.infer_rows;
    let mut values = samples.iter().flat_map(values).map_while(|value| {
        left = left.checked_sub(1)?;
        match value {
            Ok((keys, value)) => {
                for key in keys {
                    if !order.contains(&key) {
                        order.push(key);
                    }
                }
                for (column, _) in options.vectors.iter().filter(|(_, dim)| dim.is_none()) {
                    if let Some(items) = value.get(column).and_then(Value::as_array) {
                        dims.entry(column.clone()).or_insert(items.len());
                    }
                }
                Some(Ok(value))
            }
            Err(error) => {
                problem = Some(error);
                None
            }
        }
    });
    let inferred = infer_json_schema_from_iterator(&mut values);
    if let Some(problem) = problem {
        return Err(problem);
    }
    let name = samples.first().map_or("", |sample| &sample.name);
    let inferred = inferred
        .map_err(|error: ArrowError| CliError::Source(format!("{name}: its columns: {error}")))?;
    let field = |column: &String| {
        let found = inferred.field_with_name(column).ok()?;
        let dim = options.vectors.get(column);
        let dim = dim.and_then(|dim| dim.or_else(|| dims.get(column).copied()));
        let data_type = match dim.and_then(|dim| i32::try_from(dim).ok()).filter(|&dim| dim > 0) {
            Some(dim) => {
                let item = Arc::new(Field::new("item", DataType::Float32, true));
                DataType::FixedSizeList(item, dim)
            }
            None => settled(found.data_type()),
        };
        Some(Field::new(column, data_type, true))
    };
    Ok(Arc::new(Schema::new(order.iter().filter_map(field).collect::<Vec<_>>())))
}

/// A type that a column can have: nothing is known of a value that was always null, so it is text.
fn settled(data_type: &DataType) -> DataType {
    let inner = |field: &Field| {
        Arc::new(Field::new(field.name(), settled(field.data_type()), field.is_nullable()))
    };
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(inner(item)),
        // Parquet has no struct without fields.
        DataType::Struct(fields) if fields.is_empty() => DataType::Utf8,
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| inner(field)).collect::<Fields>())
        }
        other => other.clone(),
    }
}

type Found = Result<(Vec<String>, Value), CliError>;

/// The objects of a sample, each with its keys in order.
fn values(sample: &Sample) -> impl Iterator<Item = Found> + '_ {
    let lines = sample.format == FileFormat::Ndjson;
    let bytes = sample.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sample.bytes);
    let mut ranges = objects(bytes, lines);
    if !sample.whole {
        // It is cut somewhere in the last one.
        ranges.pop();
    }
    ranges.into_iter().map(move |range| {
        let object = &bytes[range.clone()];
        let wrong = |problem: String| {
            let line = 1 + bytes[..range.start].iter().filter(|&&byte| byte == b'\n').count();
            CliError::Source(format!("{}:{line}: {problem}", sample.name))
        };
        let value: Value = serde_json::from_slice(object).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.split(" at line ").next().unwrap_or_default();
            wrong(format!("{problem}, at character {}", error.column()))
        })?;
        if !value.is_object() {
            return Err(wrong("a row is a JSON object".to_owned()));
        }
        Ok((keys(object), value))
    })
}

/// The keys of an object that is known to be sound, in order.
fn keys(object: &[u8]) -> Vec<String> {
    let (mut found, mut depth, mut at, mut is_key) = (Vec::new(), 0, 0, false);
    while at < object.len() {
        match object[at] {
            b'{' | b'[' => {
                depth += 1;
                is_key = depth == 1;
            }
            b'}' | b']' => depth -= 1,
            b',' => is_key = depth == 1,
            b'"' => {
                let start = at;
                at += 1;
                while object[at] != b'"' {
                    at += if object[at] == b'\\' { 2 } else { 1 };
                }
                if is_key {
                    found.extend(serde_json::from_slice::<String>(&object[start..=at]));
                    is_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(text: &str, whole: bool) -> Result<String, String> {
        let format = FileFormat::Ndjson;
        let sample = Sample { name: "f".into(), format, bytes: text.as_bytes().to_vec(), whole };
        let options = Options {
            table: None,
            vectors: HashMap::from([("v".to_owned(), None)]),
            ignore_unknown: false,
            infer_rows: 3,
            delimiter: None,
            header: true,
        };
        let schema = schema(&[sample], &options).map_err(|error| error.to_string())?;
        let shown = schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type()));
        Ok(shown.collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn columns_come_in_order_with_a_type_for_each() {
        let text = "{\"z\":1,\"a\":\"x\",\"v\":[1,2]}\n{\"a\":null,\"z\":1.5,\"n\":null,\"\\u00fc\":[true]}\n";
        let want = "z: Float64; a: Utf8; v: FixedSizeList(2 x Float32); n: Utf8; ü: List(Boolean)";
        assert_eq!(infer(text, true).map(|shown| shown.replace("nullable ", "")), Ok(want.into()));
        // Cut in the last object, and past the rows that are looked at.
        assert_eq!(infer("{\"a\":1}\n{\"a\":\"", false), Ok("a: Int64".to_owned()));
        assert_eq!(infer("{\"a\":1}\n{}\n{}\n{\"a\":1.5}\n", true), Ok("a: Int64".to_owned()));
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        for (text, says) in
            [("{\"a\":1}\n{\"a\":1,}\n", "f:2: "), ("\n[1]\n", "f:2: a row is a JSON object")]
        {
            let error = infer(text, true).expect_err(text);
            assert!(error.starts_with(says), "{error}");
        }
    }
}

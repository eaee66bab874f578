//! Rows of CSV and TSV.

use std::{
    io::{BufRead, BufReader, Cursor, Read},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    csv::reader::{BufReader as CsvReader, Format, ReaderBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};

use super::{
    feed::{BATCH_ROWS, Options, Rows, Sample},
    open::Input,
    source::Source,
};
use crate::{CliError, args::FileFormat};

/// A longer line is no header.
const HEADER_BYTES_MAX: u64 = 1 << 20;

fn delimiter(format: FileFormat, options: &Options) -> u8 {
    let usual = if format == FileFormat::Tsv { '\t' } else { ',' };
    // Checked to be ASCII.
    options.delimiter.unwrap_or(usual) as u8
}

fn layout(format: FileFormat, options: &Options) -> Format {
    Format::default().with_header(options.header).with_delimiter(delimiter(format, options))
}

/// The columns that the first of `samples` names, with types that fit the values of all.
pub(super) fn infer(samples: &[Sample], options: &Options) -> Result<SchemaRef, CliError> {
    let mut schemas = Vec::new();
    let mut left = options.infer_rows;
    for sample in samples.iter().filter(|sample| !sample.bytes.is_empty()) {
        let end = match sample.whole {
            true => sample.bytes.len(),
            false => sample.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |n| n + 1),
        };
        let bytes = &sample.bytes[..end];
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        // A sample that is cut inside of quotes ends in a row that is too short.
        let layout = layout(sample.format, options).with_truncated_rows(true);
        let (schema, rows) = layout
            .infer_schema(Cursor::new(bytes), Some(left))
            .map_err(|error| wrong(&sample.name, &error))?;
        schemas.push(schema);
        left -= rows.min(left);
        if left == 0 {
            break;
        }
    }
    let Some((first, others)) = schemas.split_first() else {
        return Ok(Arc::new(Schema::empty()));
    };
    let field = |field: &Arc<Field>| {
        let same = others.iter().filter_map(|other| other.field_with_name(field.name()).ok());
        let data_type =
            same.fold(field.data_type().clone(), |one, other| together(one, other.data_type()));
        let data_type = if data_type == DataType::Null { DataType::Utf8 } else { data_type };
        Field::new(field.name(), data_type, true)
    };
    Ok(Arc::new(Schema::new(first.fields().iter().map(field).collect::<Vec<_>>())))
}

/// A type for values of two.
fn together(one: DataType, other: &DataType) -> DataType {
    match (one, other) {
        (one, other) if one == *other => one,
        (DataType::Null, other) => other.clone(),
        (one, DataType::Null) => one,
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => {
            DataType::Float64
        }
        _ => DataType::Utf8,
    }
}

/// The rows of a source, whose header picks columns of `schema`; one without a header has all of them.
pub(super) fn rows(
    input: Input,
    source: &Source,
    schema: &Schema,
    options: &Options,
) -> Result<Box<dyn Rows>, CliError> {
    let failed = |error: std::io::Error| CliError::Source(format!("{}: {error}", source.name));
    let mut input = BufReader::with_capacity(1 << 20, input);
    let mut start = input.fill_buf().map_err(failed)?;
    if start.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
        start = input.fill_buf().map_err(failed)?;
    }
    if start.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let mut header = Vec::new();
    if options.header {
        let line = input.by_ref().take(HEADER_BYTES_MAX).read_until(b'\n', &mut header);
        line.map_err(failed)?;
    }
    let names = match options.header {
        false => None,
        true => {
            let (found, _) = layout(source.format, options)
                .infer_schema(Cursor::new(&header), Some(0))
                .map_err(|error| wrong(&source.name, &error))?;
            Some(found)
        }
    };
    let field = |name: &String| match schema.field_with_name(name) {
        // Lists and structs stand in CSV as JSON; the table's shape makes values of it.
        Ok(field) if field.data_type().is_nested() => Field::new(name, DataType::Utf8, true),
        Ok(field) => field.clone().with_nullable(true),
        // The table refuses it, or it is left out.
        Err(_) => Field::new(name, DataType::Utf8, true),
    };
    let fields: Vec<Field> = match names {
        Some(names) => names.fields().iter().map(|found| field(found.name())).collect(),
        None => schema.fields().iter().map(|found| field(found.name())).collect(),
    };
    let whole = Cursor::new(header).chain(input);
    let csv = ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_format(layout(source.format, options))
        .with_batch_size(BATCH_ROWS)
        .build_buffered(BufReader::with_capacity(1 << 20, Box::new(whole) as Input))
        .map_err(|error| wrong(&source.name, &error))?;
    let empty = Some(RecordBatch::new_empty(csv.schema()));
    Ok(Box::new(CsvRows { csv, name: source.name.clone(), empty }))
}

/// A source without a byte.
struct Nothing;

impl Rows for Nothing {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError> {
        Ok(None)
    }
}

struct CsvRows {
    csv: CsvReader<BufReader<Input>>,
    name: String,
    /// What says the columns, given if there is nothing else.
    empty: Option<RecordBatch>,
}

impl Rows for CsvRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError> {
        let batch = self.csv.next().transpose().map_err(|error| wrong(&self.name, &error))?;
        let empty = self.empty.take();
        Ok(batch.or(empty))
    }
}

fn wrong(name: &str, error: &ArrowError) -> CliError {
    let text = match error {
        ArrowError::CsvError(text) | ArrowError::ParseError(text) => text.clone(),
        other => other.to_string(),
    };
    CliError::Source(format!("{name}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_differ_between_files_meet() {
        use DataType::*;
        assert_eq!(together(Int64, &Float64), Float64);
        assert_eq!(together(Null, &Date32), Date32);
        assert_eq!(together(Boolean, &Int64), Utf8);
    }
}

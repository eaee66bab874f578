//! Results on a terminal or in a pipe.

mod table;
mod values;

use std::io::{self, Write};

use arrow::{
    csv,
    datatypes::{Schema, SchemaRef},
    error::ArrowError,
    ipc::writer::StreamWriter,
    json::{
        Writer as JsonWriter, WriterBuilder,
        writer::{JsonArray, LineDelimited},
    },
    record_batch::RecordBatch,
};
use futures::{Stream, StreamExt};

use crate::CliError;
pub use table::{Table, cut, one_line, write as write_table};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns side by side, cut to the width of the terminal
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    #[value(alias = "jsonl")]
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
    /// A stream of Arrow's IPC format
    Arrow,
}

impl Format {
    /// The names, for messages.
    pub fn names() -> String {
        let known = <Self as clap::ValueEnum>::value_variants().iter();
        let names = known.filter_map(clap::ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    }
}

/// Rows on their way out, a batch at a time.
pub struct Sink<W: Write> {
    to: To<W>,
}

enum To<W: Write> {
    Table(Table<W>),
    Json(JsonWriter<W, JsonArray>),
    Ndjson(JsonWriter<W, LineDelimited>),
    Csv(Box<csv::Writer<W>>),
    Arrow(StreamWriter<W>),
}

impl<W: Write> Sink<W> {
    /// Rows of `schema`, to be written to `out`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, schema: &Schema, format: Format) -> io::Result<Self> {
        let json = WriterBuilder::new().with_explicit_nulls(true);
        Ok(Self {
            to: match format {
                Format::Table => To::Table(Table::new(out, width())),
                Format::Json => To::Json(json.build(out)),
                Format::Ndjson => To::Ndjson(json.build(out)),
                Format::Csv => To::Csv(Box::new(csv::Writer::new(out))),
                Format::Arrow => To::Arrow(StreamWriter::try_new(out, schema).map_err(into_io)?),
            },
        })
    }

    /// Writes the rows of a batch; a table may hold the first of them back.
    ///
    /// # Errors
    /// What the writer says; a value that cannot be shown.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match &mut self.to {
            To::Table(table) => table.push(batch),
            To::Json(json) => {
                json.write(&values::for_json(batch).map_err(into_io)?).map_err(into_io)
            }
            To::Ndjson(json) => {
                json.write(&values::for_json(batch).map_err(into_io)?).map_err(into_io)
            }
            To::Csv(csv) => csv.write(&values::for_csv(batch).map_err(into_io)?).map_err(into_io),
            To::Arrow(arrow) => arrow.write(batch).map_err(into_io),
        }
    }

    /// Writes what is left and the end.
    ///
    /// # Errors
    /// Those of what it was made on.
    pub fn finish(self) -> io::Result<()> {
        match self.to {
            To::Table(table) => table.finish(),
            To::Json(mut json) => {
                json.finish().map_err(into_io)?;
                let mut out = json.into_inner();
                writeln!(out)?;
                out.flush()
            }
            To::Ndjson(mut json) => {
                json.finish().map_err(into_io)?;
                json.into_inner().flush()
            }
            To::Csv(csv) => csv.into_inner().flush(),
            To::Arrow(mut arrow) => {
                arrow.finish().map_err(into_io)?;
                arrow.into_inner().map_err(into_io)?.flush()
            }
        }
    }
}

/// Writes the rows of `batches`, which have one schema.
///
/// # Errors
/// What the writer says; a value that cannot be shown.
pub fn write(out: &mut impl Write, batches: &[RecordBatch], format: Format) -> io::Result<()> {
    let schema = batches.first().map_or_else(|| Schema::empty().into(), RecordBatch::schema);
    let mut sink = Sink::new(out, &schema, format)?;
    for batch in batches {
        sink.write(batch)?;
    }
    sink.finish()
}

/// Writes rows as they come, which have the schema `schema`.
///
/// # Errors
/// What the rows fail with, what the writer says.
pub async fn write_stream(
    out: &mut impl Write,
    schema: &SchemaRef,
    mut rows: impl Stream<Item = Result<RecordBatch, infino::Error>> + Unpin,
    format: Format,
) -> Result<(), CliError> {
    let mut sink = Sink::new(io::BufWriter::with_capacity(64 << 10, out), schema, format)?;
    let mut none = true;
    while let Some(batch) = rows.next().await {
        sink.write(&batch?)?;
        none = false;
    }
    if none {
        sink.write(&RecordBatch::new_empty(schema.clone()))?;
    }
    Ok(sink.finish()?)
}

/// The rows of a batch as values that stand in one field each.
///
/// # Errors
/// A value that cannot be shown.
pub(crate) fn flat(batch: &RecordBatch) -> io::Result<RecordBatch> {
    values::for_csv(batch).map_err(into_io)
}

/// Columns of the terminal; `None` in a pipe, where nothing should be cut.
pub fn width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1).max(40))
}

/// The error that a writer had, so that a closed pipe is known as one.
pub(crate) fn into_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Float32Array, Int64Array, ListArray};
    use arrow::datatypes::Float32Type;
    use arrow::ipc::reader::StreamReader;

    use super::*;

    fn batch() -> RecordBatch {
        let id = Decimal128Array::from(vec![10_i128.pow(37) + 1]).with_precision_and_scale(38, 0);
        let list = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(0.5), None])]);
        RecordBatch::try_from_iter([
            ("_id", Arc::new(id.expect("38 digits")) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![None::<i64>]))),
            ("x", Arc::new(Float32Array::from(vec![1.5]))),
            ("v", Arc::new(list)),
        ])
        .expect("columns of one length")
    }

    fn check(format: Format, want: &str) {
        let mut out = Vec::new();
        write(&mut out, &[batch()], format).expect("it is sound");
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }

    #[test]
    fn every_digit_and_every_key_is_kept() {
        let object = "{\"_id\":\"10000000000000000000000000000000000001\",\"n\":null,\"x\":1.5,\"v\":[0.5,null]}";
        check(Format::Ndjson, &format!("{object}\n"));
        check(Format::Json, &format!("[{object}]\n"));
        check(
            Format::Csv,
            "_id,n,x,v\n10000000000000000000000000000000000001,,1.5,\"[0.5,null]\"\n",
        );
    }

    #[test]
    fn arrow_is_read_back() {
        let mut out = Vec::new();
        write(&mut out, &[batch()], Format::Arrow).expect("it is sound");
        let mut read = StreamReader::try_new(&out[..], None).expect("a stream");
        assert_eq!(read.next().expect("a batch").expect("it is sound"), batch());
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        let mut out = Vec::new();
        write(&mut out, &[batch().slice(0, 0)], Format::Json).expect("it is sound");
        assert_eq!(String::from_utf8(out).expect("text"), "[]\n");
    }
}

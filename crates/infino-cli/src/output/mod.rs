//! Results on a terminal or in a pipe.

mod table;

use std::io::{self, Write};

use arrow::{
    compute::cast,
    csv,
    datatypes::DataType,
    error::ArrowError,
    json::{WriterBuilder, writer::LineDelimited},
    record_batch::RecordBatch,
};

pub use table::{cut, one_line, write as write_table};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns side by side, cut to the width of the terminal.
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// Writes the rows of `batches`, which have one schema.
///
/// # Errors
/// What the writer says; a value that cannot be shown.
pub fn write(out: &mut impl Write, batches: &[RecordBatch], format: Format) -> io::Result<()> {
    match format {
        Format::Table => table::write(out, batches, width()),
        Format::Json => {
            let mut writer =
                WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(out);
            for batch in batches {
                writer.write(&exact_numbers(batch).map_err(into_io)?).map_err(into_io)?;
            }
            writer.finish().map_err(into_io)
        }
        Format::Csv => {
            let mut writer = csv::Writer::new(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(into_io)
        }
    }
}

/// Decimals, row ids among them, as text: most readers of JSON keep 53 bits of a number.
fn exact_numbers(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column = match field.data_type() {
            DataType::Decimal128(..) | DataType::Decimal256(..) => cast(column, &DataType::Utf8)?,
            _ => column.clone(),
        };
        Ok((field.name(), column, true))
    });
    let columns: Vec<_> = columns.collect::<Result<_, ArrowError>>()?;
    if columns.is_empty() {
        return Ok(batch.clone());
    }
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// Columns of the terminal; `None` in a pipe, where nothing should be cut.
pub fn width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| usize::from(terminal.size().1).max(40))
}

fn into_io(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array};

    use super::*;

    #[test]
    fn json_keeps_every_digit_and_every_key() {
        let id = Decimal128Array::from(vec![10_i128.pow(37) + 1]).with_precision_and_scale(38, 0);
        let batch = RecordBatch::try_from_iter([
            ("_id", Arc::new(id.expect("38 digits")) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![None::<i64>]))),
        ]);
        let mut out = Vec::new();
        write(&mut out, &[batch.expect("columns of one length")], Format::Json)
            .expect("it is sound");
        let want = "{\"_id\":\"10000000000000000000000000000000000001\",\"n\":null}\n";
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }
}

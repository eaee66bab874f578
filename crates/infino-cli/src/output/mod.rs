//! Results on a terminal or in a pipe.

mod table;

use std::io::{self, Write};

use arrow::{csv, error::ArrowError, json::LineDelimitedWriter, record_batch::RecordBatch};

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
            let mut writer = LineDelimitedWriter::new(out);
            let batches: Vec<&RecordBatch> = batches.iter().collect();
            writer.write_batches(&batches).and_then(|()| writer.finish()).map_err(into_io)
        }
        Format::Csv => {
            let mut writer = csv::Writer::new(out);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(into_io)
        }
    }
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

//! `infino export`: a table's rows as a file, or on standard output.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use arrow::{
    csv::WriterBuilder as CsvBuilder, datatypes::SchemaRef, ipc::writer::FileWriter,
    record_batch::RecordBatch,
};
use futures::{Stream, StreamExt};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use crate::{
    CliError,
    args::{self, FileFormat},
    import::format_of,
    output::{Format, Sink, into_io},
    settings::Settings,
    stopwatch::count,
};

/// Parquet rows wait in memory, encoded, for no more than about this much.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes the rows. A file appears whole or not at all: it has another name until its last byte is written.
///
/// # Errors
/// A table or column that is not there; a condition that does not fit; a file that is there already.
pub async fn run(
    args: &args::Export,
    settings: &Settings,
    out: &mut (impl Write + Send),
) -> Result<(), CliError> {
    let to_stdout = args.target == Path::new("-");
    let format = match (args.format, to_stdout) {
        (Some(format), _) => format,
        (None, true) => match settings.output_if_said() {
            None | Some(Format::Csv | Format::Table) => FileFormat::Csv,
            Some(Format::Json) => FileFormat::Json,
            Some(Format::Ndjson) => FileFormat::Ndjson,
            Some(Format::Arrow) => FileFormat::Arrow,
        },
        (None, false) => format_of(&args.target.to_string_lossy())
            .filter(|(_, packed)| packed.is_none())
            .map(|(format, _)| format)
            .ok_or_else(|| {
                CliError::Usage(format!(
                    "{}: its name does not say how to lay out the rows; give --format",
                    args.target.display()
                ))
            })?,
    };
    if !to_stdout && !args.force && args.target.exists() {
        let shown = args.target.display();
        return Err(CliError::Usage(format!("{shown} is there already; --force replaces it")));
    }
    let db = settings.connect().await?;
    let table = db.open_table(&args.table).await?;
    let columns: Vec<String> = match args.columns.is_empty() {
        true => table.schema()?.fields().iter().map(|field| field.name().clone()).collect(),
        false => args.columns.clone(),
    };
    let (schema, rows) = db.query_sql(statement(args, &columns)).stream_with_schema().await?;
    let rows = rows.boxed();
    if to_stdout {
        write(BufWriter::with_capacity(1 << 20, out), &schema, rows, format, true).await?;
        return Ok(());
    }
    let partial = Partial::beside(&args.target)?;
    let file = File::create(&partial.path)
        .map_err(|error| CliError::Usage(format!("{}: {error}", partial.path.display())))?;
    let rows = write(BufWriter::with_capacity(1 << 20, file), &schema, rows, format, false).await?;
    partial.name(&args.target)?;
    if !settings.quiet {
        writeln!(io::stderr(), "{} rows in {}", count(rows), args.target.display())?;
    }
    Ok(())
}

/// The statement whose rows are written.
fn statement(args: &args::Export, columns: &[String]) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let mut sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&args.table));
    if let Some(predicate) = &args.predicate {
        // On lines of its own, so that a comment at its end ends there.
        sql.push_str(&format!(" WHERE (\n{predicate}\n)"));
    }
    if let Some(limit) = args.limit {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    sql
}

/// Writes the rows as they come and says how many they were.
async fn write<W: Write + Send>(
    out: W,
    schema: &SchemaRef,
    mut rows: impl Stream<Item = Result<RecordBatch, infino::Error>> + Unpin,
    format: FileFormat,
    streams: bool,
) -> Result<u64, CliError> {
    let mut to = To::new(out, schema, format, streams)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        to.write(&batch)?;
    }
    if count == 0 {
        to.write(&RecordBatch::new_empty(schema.clone()))?;
    }
    to.finish()?;
    Ok(count)
}

/// A file on its way.
enum To<W: Write + Send> {
    Rows(Sink<W>),
    Tsv(arrow::csv::Writer<W>),
    Arrow(FileWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> To<W> {
    fn new(out: W, schema: &SchemaRef, format: FileFormat, streams: bool) -> io::Result<Self> {
        let sink = |out, format| Ok(Self::Rows(Sink::new(out, schema, format)?));
        match format {
            FileFormat::Csv => sink(out, Format::Csv),
            FileFormat::Ndjson => sink(out, Format::Ndjson),
            FileFormat::Json => sink(out, Format::Json),
            FileFormat::Arrow if streams => sink(out, Format::Arrow),
            FileFormat::Arrow => {
                Ok(Self::Arrow(FileWriter::try_new(out, schema).map_err(into_io)?))
            }
            FileFormat::Tsv => Ok(Self::Tsv(CsvBuilder::new().with_delimiter(b'\t').build(out))),
            FileFormat::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(of_parquet)?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Ok(Self::Parquet(Box::new(writer.map_err(of_parquet)?)))
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match self {
            Self::Rows(sink) => sink.write(batch),
            Self::Tsv(csv) => csv.write(&crate::output::flat(batch)?).map_err(into_io),
            Self::Arrow(writer) => writer.write(batch).map_err(into_io),
            Self::Parquet(writer) => {
                writer.write(batch).map_err(of_parquet)?;
                match writer.in_progress_size() >= ROW_GROUP_BYTES {
                    true => writer.flush().map_err(of_parquet),
                    false => Ok(()),
                }
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Rows(sink) => sink.finish(),
            Self::Tsv(csv) => csv.into_inner().flush(),
            Self::Arrow(mut writer) => {
                writer.finish().map_err(into_io)?;
                writer.into_inner().map_err(into_io)?.flush()
            }
            Self::Parquet(writer) => writer.into_inner().map_err(of_parquet)?.flush(),
        }
    }
}

fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

/// A file that is being written, and is gone if it never gets its name.
struct Partial {
    path: PathBuf,
    named: bool,
}

impl Partial {
    fn beside(target: &Path) -> Result<Self, CliError> {
        let Some(name) = target.file_name() else {
            return Err(CliError::Usage(format!("{} is no file", target.display())));
        };
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        Ok(Self { path: target.with_file_name(name), named: false })
    }

    fn name(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named {
            // Best effort: it may never have been made.
            let _ = fs::remove_file(&self.path);
        }
    }
}

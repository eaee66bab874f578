//! Batches of all sources, read on a thread of its own a few ahead of the table.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    columnar, delimited, json, json_infer,
    open::{Input, open},
    source::{Place, Source},
};
use crate::{
    CliError,
    args::{self, FileFormat},
};

/// Rows of a batch at most.
pub(super) const BATCH_ROWS: usize = 8192;
/// Text of a batch, about.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// Batches read ahead; with those that are staged, what bounds the memory of reading.
const BATCHES_AHEAD: usize = 2;
/// Text of all sources that is looked at to infer types.
const SAMPLE_BYTES: u64 = 8 << 20;
/// Text of one source that is.
const SAMPLE_BYTES_EACH: u64 = 4 << 20;

/// Rows of one source, in order.
pub(super) trait Rows: Send {
    /// The next rows; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError>;

    /// How much of the source's stored length has been read, if its reader does not go through it byte by byte.
    fn position(&self) -> Option<u64> {
        None
    }
}

/// Some rows and where they are from.
pub(super) struct Chunk {
    pub(super) batch: RecordBatch,
    /// Which source.
    pub(super) source: usize,
    name: Arc<str>,
    /// Rows of it before these.
    pub(super) row: u64,
    /// Bytes of all sources that were read for the rows so far.
    pub(super) position: u64,
}

impl Chunk {
    /// Says where the rows are that an error is about.
    pub(super) fn place(&self, error: CliError) -> CliError {
        match error {
            CliError::Infino(error) if error.kind() != infino::ErrorKind::Unavailable => {
                let (from, to) = (self.row + 1, self.row + self.batch.num_rows() as u64);
                CliError::Source(format!("{}, rows {from} to {to}: {error}", self.name))
            }
            other => other,
        }
    }
}

/// Chunks as they come.
pub(super) struct Receiver {
    chunks: mpsc::Receiver<Result<Chunk, CliError>>,
}

impl Receiver {
    /// The next chunk; `None` at the end of the last source.
    pub(super) async fn next(&mut self) -> Option<Result<Chunk, CliError>> {
        self.chunks.recv().await
    }
}

/// What readers need to know.
#[derive(Clone)]
pub(super) struct Options {
    /// The columns of the table, if there is one.
    pub(super) table: Option<SchemaRef>,
    /// Vector columns and, where it was said, their dimension.
    pub(super) vectors: HashMap<String, Option<usize>>,
    pub(super) ignore_unknown: bool,
    pub(super) infer_rows: usize,
    pub(super) delimiter: Option<char>,
    pub(super) header: bool,
}

/// Starts to read; a dropped receiver ends it.
pub(super) async fn start(
    args: &args::Import,
    sources: Vec<Source>,
    table: Option<SchemaRef>,
    vectors: HashMap<String, Option<usize>>,
) -> Result<Receiver, CliError> {
    let options = Options {
        table,
        vectors,
        ignore_unknown: args.ignore_unknown,
        infer_rows: args.infer_rows as usize,
        delimiter: args.delimiter,
        header: !args.no_header,
    };
    if let Some(wide) = args.delimiter.filter(|ch| !ch.is_ascii()) {
        return Err(CliError::Usage(format!(
            "{wide:?} cannot stand between values: it is no ASCII"
        )));
    }
    let (sender, chunks) = mpsc::channel(BATCHES_AHEAD);
    let runtime = Handle::current();
    std::thread::Builder::new().name("import".to_owned()).spawn(move || {
        let mut feed = Feed { sources, options, runtime, read: Arc::default(), opened: None };
        if let Err(error) = feed.run(&sender) {
            // Nobody waits for it if the receiver is gone.
            let _ = sender.blocking_send(Err(error));
        }
    })?;
    Ok(Receiver { chunks })
}

struct Feed {
    sources: Vec<Source>,
    options: Options,
    runtime: Handle,
    /// Bytes read of all sources, as stored.
    read: Arc<AtomicU64>,
    /// The first source, if it had to be opened to infer types: what was read then comes again.
    opened: Option<Input>,
}

impl Feed {
    fn run(&mut self, sender: &mpsc::Sender<Result<Chunk, CliError>>) -> Result<(), CliError> {
        let inferred = self.infer()?;
        let mut before = 0;
        for at in 0..self.sources.len() {
            let source = self.sources[at].clone();
            let mut rows = self.rows(&source, inferred.as_ref())?;
            let name: Arc<str> = source.name.as_str().into();
            let mut row = 0;
            while let Some(batch) = rows.next_batch()? {
                let count = batch.num_rows() as u64;
                let position = match rows.position() {
                    Some(position) => before + position,
                    None => self.read.load(Ordering::Relaxed),
                };
                let chunk = Chunk { batch, source: at, name: name.clone(), row, position };
                if sender.blocking_send(Ok(chunk)).is_err() {
                    return Ok(());
                }
                row += count;
            }
            before += source.len.unwrap_or(0);
            self.read.store(before, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The columns that texts of the sources have, where there is no table that says it.
    fn infer(&mut self) -> Result<Option<SchemaRef>, CliError> {
        if self.options.table.is_some() {
            return Ok(None);
        }
        // Of standard input what is read to learn the types comes again only if it is the first source.
        let can_look = |(at, source): &(usize, &Source)| {
            let columnar = matches!(source.format, FileFormat::Parquet | FileFormat::Arrow);
            !columnar && (*at == 0 || !matches!(source.place, Place::Stdin))
        };
        let texts = self.sources.iter().enumerate().filter(can_look);
        let texts: Vec<Source> = texts.map(|(_, source)| source.clone()).collect();
        let Some(first) = texts.first() else { return Ok(None) };
        let is_json = matches!(first.format, FileFormat::Json | FileFormat::Ndjson);
        let mut samples = Vec::new();
        let mut left = SAMPLE_BYTES;
        for source in &texts {
            let same = matches!(source.format, FileFormat::Json | FileFormat::Ndjson) == is_json;
            if left == 0 || !same {
                break;
            }
            let sample = self.sample(source, left.min(SAMPLE_BYTES_EACH))?;
            left -= sample.bytes.len() as u64;
            samples.push(sample);
        }
        let schema = match is_json {
            true => json_infer::schema(&samples, &self.options)?,
            false => delimited::infer(&samples, &self.options)?,
        };
        Ok(Some(schema))
    }

    fn sample(&mut self, source: &Source, most: u64) -> Result<Sample, CliError> {
        let failed = |error: std::io::Error| CliError::Source(format!("{}: {error}", source.name));
        let is_first = self.sources.first().is_some_and(|first| first.name == source.name);
        // The bytes that are read twice count once.
        let read = if is_first { self.read.clone() } else { Arc::default() };
        let mut input = open(source, &read, &self.runtime).map_err(failed)?;
        let mut bytes = Vec::new();
        input.by_ref().take(most).read_to_end(&mut bytes).map_err(failed)?;
        let whole = (bytes.len() as u64) < most;
        if is_first {
            self.opened = Some(Box::new(Cursor::new(bytes.clone()).chain(input)));
        }
        Ok(Sample { name: source.name.clone(), format: source.format, bytes, whole })
    }

    fn rows(
        &mut self,
        source: &Source,
        inferred: Option<&SchemaRef>,
    ) -> Result<Box<dyn Rows>, CliError> {
        let failed = |error: std::io::Error| CliError::Source(format!("{}: {error}", source.name));
        if source.format == FileFormat::Parquet {
            return columnar::parquet(source, &self.runtime);
        }
        let input = match self.opened.take() {
            Some(input) => input,
            None => open(source, &self.read, &self.runtime).map_err(failed)?,
        };
        let schema = self.options.table.clone().or_else(|| inferred.cloned());
        let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
        Ok(match source.format {
            FileFormat::Json | FileFormat::Ndjson => {
                let lines = source.format == FileFormat::Ndjson;
                let schema = self.json_schema(&schema);
                let ignore = self.options.ignore_unknown;
                Box::new(json::JsonRows::new(input, &source.name, schema, lines, ignore)?)
            }
            FileFormat::Csv | FileFormat::Tsv => {
                delimited::rows(input, source, &schema, &self.options)?
            }
            FileFormat::Arrow => columnar::arrow(source, input)?,
            FileFormat::Parquet => unreachable!("it is not read from its start"),
        })
    }

    /// Vector columns of a table come as lists of numbers, whose length is checked where the line is known.
    fn json_schema(&self, schema: &SchemaRef) -> SchemaRef {
        let field = |field: &Arc<Field>| match (field.data_type(), field.is_nullable()) {
            // A field that is left out would be an error without a line, so the table sees to it.
            (DataType::FixedSizeList(item, len), _) => {
                let item = Field::new(item.name(), item.data_type().clone(), true);
                Arc::new(Field::new(
                    field.name(),
                    DataType::FixedSizeList(Arc::new(item), *len),
                    true,
                ))
            }
            _ => field.clone(),
        };
        Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
    }
}

/// The beginning of a source.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) format: FileFormat,
    pub(super) bytes: Vec<u8>,
    /// Whether it is all of it.
    pub(super) whole: bool,
}

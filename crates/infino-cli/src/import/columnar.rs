//! Rows of Parquet and of Arrow's IPC format, which say themselves what their columns are.

use std::{
    fs::File,
    io::{BufReader, Read},
};

use arrow::{
    array::{RecordBatch, RecordBatchReader},
    ipc::reader::{FileReader, StreamReader},
};
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    file::reader::ChunkReader,
};
use tokio::runtime::Handle;

use super::{
    feed::{BATCH_BYTES, BATCH_ROWS, Rows},
    open::Input,
    remote::RemoteFile,
    source::{Place, Source},
};
use crate::CliError;

fn wrong(name: &str, problem: impl std::fmt::Display) -> CliError {
    CliError::Source(format!("{name}: {problem}"))
}

/// The rows of a Parquet file; pages are read one by one, so a row group may be large.
pub(super) fn parquet(source: &Source, runtime: &Handle) -> Result<Box<dyn Rows>, CliError> {
    match &source.place {
        Place::Local(path) => {
            let file = File::open(path).map_err(|error| wrong(&source.name, error))?;
            parquet_of(source, file)
        }
        Place::Remote { store, path } => {
            let len = source.len.unwrap_or(0);
            parquet_of(source, RemoteFile::new(store.clone(), path, len, runtime.clone()))
        }
        Place::Stdin => Err(CliError::Usage(
            "Parquet is read from its end, so it cannot come on standard input: name the file"
                .to_owned(),
        )),
    }
}

fn parquet_of(
    source: &Source,
    file: impl ChunkReader + 'static,
) -> Result<Box<dyn Rows>, CliError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| wrong(&source.name, error))?;
    let metadata = builder.metadata();
    let total = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size()).sum();
    let a_row =
        (usize::try_from(bytes).unwrap_or(0) / usize::try_from(total.max(1)).unwrap_or(1)).max(1);
    let rows = (BATCH_BYTES / a_row).clamp(1, BATCH_ROWS);
    let reader =
        builder.with_batch_size(rows).build().map_err(|error| wrong(&source.name, error))?;
    let (name, len) = (source.name.clone(), source.len.unwrap_or(0));
    Ok(Box::new(ParquetRows { reader, name, len, total, read: 0, begun: false }))
}

struct ParquetRows {
    reader: ParquetRecordBatchReader,
    name: String,
    len: u64,
    total: u64,
    read: u64,
    /// Whether something was given: what has no rows says what its columns are with an empty batch.
    begun: bool,
}

impl Rows for ParquetRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError> {
        let batch = self.reader.next().transpose();
        let batch = batch
            .map_err(|error| wrong(&self.name, format!("behind row {}: {error}", self.read)))?;
        self.read += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        let first = !std::mem::replace(&mut self.begun, true);
        Ok(batch.or_else(|| first.then(|| RecordBatch::new_empty(self.reader.schema()))))
    }

    fn position(&self) -> Option<u64> {
        let share = self.read as f64 / self.total.max(1) as f64;
        Some((share * self.len as f64) as u64)
    }
}

/// The rows of a file or a stream of Arrow's IPC format.
pub(super) fn arrow(source: &Source, input: Input) -> Result<Box<dyn Rows>, CliError> {
    let name = source.name.clone();
    if let Place::Local(path) = &source.place {
        let mut magic = [0; 6];
        let mut file = File::open(path).map_err(|error| wrong(&name, error))?;
        if file.read_exact(&mut magic).is_ok() && &magic == b"ARROW1" {
            let reader = FileReader::try_new_buffered(file, None);
            let reader = reader.map_err(|error| wrong(&name, error))?;
            let empty = Some(RecordBatch::new_empty(reader.schema()));
            return Ok(Box::new(ArrowRows { batches: Box::new(reader), name, left: None, empty }));
        }
    }
    let reader = StreamReader::try_new(BufReader::with_capacity(1 << 20, input), None);
    let reader = reader.map_err(|error| wrong(&name, error))?;
    let empty = Some(RecordBatch::new_empty(reader.schema()));
    Ok(Box::new(ArrowRows { batches: Box::new(reader), name, left: None, empty }))
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>> + Send>;

struct ArrowRows {
    batches: Batches,
    name: String,
    /// What is left of a batch that was larger than is wanted at a time.
    left: Option<RecordBatch>,
    /// What says the columns, given if there is nothing else.
    empty: Option<RecordBatch>,
}

impl Rows for ArrowRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, CliError> {
        let batch = match self.left.take() {
            Some(batch) => Some(batch),
            None => self.batches.next().transpose().map_err(|error| wrong(&self.name, error))?,
        };
        let Some(batch) = batch else { return Ok(self.empty.take()) };
        self.empty = None;
        if batch.num_rows() <= BATCH_ROWS {
            return Ok(Some(batch));
        }
        self.left = Some(batch.slice(BATCH_ROWS, batch.num_rows() - BATCH_ROWS));
        Ok(Some(batch.slice(0, BATCH_ROWS)))
    }
}

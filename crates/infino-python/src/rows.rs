//! Rows in and out, as Arrow.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use futures::channel::mpsc::{self, Receiver};
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use infino::Error;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader, PySchema, PyTable};
use tokio::sync::Mutex;

use crate::errors;
use crate::job::Job;
use crate::process::{Owned, Process};

/// Batches that are read ahead of who asks for them.
const AHEAD: usize = 2;

/// Rows from Python: whatever has Arrow's `__arrow_c_stream__` or `__arrow_c_array__`.
pub(crate) struct RowsIn {
    reader: Box<dyn RecordBatchReader + Send>,
}

impl<'py> FromPyObject<'_, 'py> for RowsIn {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self { reader: object.extract::<AnyRecordBatch>()?.into_reader()? })
    }
}

impl RowsIn {
    /// The next batch. It is asked for on a thread that may block: the rows may be made in Python.
    pub(crate) async fn next(self) -> Result<(Self, Option<RecordBatch>), Error> {
        let Self { mut reader } = self;
        let read = tokio::task::spawn_blocking(move || {
            let batch = reader.next().transpose();
            (reader, batch)
        });
        let (reader, batch) = read.await.map_err(|error| {
            Error::from(ArrowError::ExternalError(format!("reading rows: {error}").into()))
        })?;
        Ok((Self { reader }, batch?))
    }

    /// All rows as one batch.
    pub(crate) async fn whole(self) -> Result<RecordBatch, Error> {
        let schema = self.reader.schema();
        let mut batches = Vec::new();
        let mut rows = self;
        loop {
            let batch;
            (rows, batch) = rows.next().await?;
            match batch {
                Some(batch) => batches.push(batch),
                None => return Ok(arrow::compute::concat_batches(&schema, &batches)?),
            }
        }
    }
}

/// Batches as one `pyarrow.Table`.
pub(crate) fn table(py: Python<'_>, batches: Vec<RecordBatch>) -> PyResult<Bound<'_, PyAny>> {
    let none = || Arc::new(Schema::empty());
    let schema = batches.first().map_or_else(none, RecordBatch::schema);
    PyTable::try_new(alike(&schema, batches), schema)?.into_pyarrow(py)
}

/// A schema as `pyarrow.Schema`.
pub(crate) fn schema(py: Python<'_>, schema: SchemaRef) -> PyResult<Bound<'_, PyAny>> {
    PySchema::new(schema).into_pyarrow(py)
}

/// The same batches under one schema, where they differ in what is said about columns and not in the columns.
fn alike(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    batches.into_iter().map(|batch| under(schema, batch)).collect()
}

fn under(schema: &SchemaRef, batch: RecordBatch) -> RecordBatch {
    if batch.schema_ref() == schema {
        return batch;
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
        .unwrap_or(batch)
}

/// Batches as they come.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// Rows that are read as they are asked for.
#[pyclass(frozen, module = "infino._infino")]
pub(crate) struct Rows {
    schema: SchemaRef,
    stream: Owned<Arc<Mutex<Option<Batches>>>>,
}

impl Rows {
    pub(crate) fn new(process: &Process, schema: SchemaRef, stream: Batches) -> Self {
        let stream = Arc::new(Mutex::new(Some(stream)));
        Self { schema, stream: Owned::new(process.clone(), stream) }
    }
}

#[pymethods]
impl Rows {
    /// The columns, as `pyarrow.Schema`.
    fn schema<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        schema(py, self.schema.clone())
    }

    /// The next batch as `pyarrow.RecordBatch`, None at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Job> {
        let process = self.stream.process();
        process.check(py)?;
        let (stream, schema) = (Arc::clone(&self.stream), self.schema.clone());
        let read = async move {
            let mut stream = stream.lock().await;
            let Some(rows) = stream.as_mut() else { return Ok(None) };
            let batch = rows.next().await.transpose()?;
            if batch.is_none() {
                *stream = None;
            }
            Ok(batch.map(|batch| under(&schema, batch)))
        };
        Ok(Job::new(process, read, |py, batch| match batch {
            Some(batch) => PyRecordBatch::new(batch).into_pyarrow(py),
            None => Ok(py.None().into_bound(py)),
        }))
    }

    /// What is left as `pyarrow.RecordBatchReader`.
    fn reader<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let process = self.stream.process();
        process.check(py)?;
        let stream = self.stream.try_lock().ok().and_then(|mut stream| stream.take());
        let stream = stream.ok_or_else(|| errors::invalid(py, "these rows were read already"))?;
        let reader = Waiting::new(process, self.schema.clone(), stream);
        PyRecordBatchReader::new(Box::new(reader)).into_pyarrow(py)
    }
}

/// A stream as a reader whose callers wait, on whatever thread they are.
struct Waiting {
    schema: SchemaRef,
    batches: Owned<Receiver<Result<RecordBatch, Error>>>,
}

impl Waiting {
    fn new(process: &Process, schema: SchemaRef, mut stream: Batches) -> Self {
        let (mut send, batches) = mpsc::channel(AHEAD);
        process.spawn(async move {
            while let Some(batch) = stream.next().await {
                if send.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Self { schema, batches: Owned::new(process.clone(), batches) }
    }
}

impl Iterator for Waiting {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = futures::executor::block_on(self.batches.next())?;
        Some(match batch {
            Ok(batch) => Ok(under(&self.schema, batch)),
            Err(error) => Err(ArrowError::ExternalError(Box::new(error))),
        })
    }
}

impl RecordBatchReader for Waiting {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

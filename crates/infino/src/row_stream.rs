//! Rows as they come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use futures::stream::BoxStream;

use crate::Error;

/// Batches of rows as they are read, of a schema that is known before the first.
///
/// What it reads was decided when it was made: commits that land meanwhile do not show. Dropping it stops the reading.
pub struct RowStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, Error>>,
}

impl RowStream {
    pub(crate) fn new(
        schema: SchemaRef,
        batches: BoxStream<'static, Result<RecordBatch, Error>>,
    ) -> Self {
        Self { schema, batches }
    }

    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RecordBatch, Error>>> {
        self.batches.as_mut().poll_next(context)
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

//! All rows, or a set of them, as a stream.

use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt};
use infino_format::DocSet;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use crate::SuperfileError;
use crate::body::decode_failed;
use crate::reader::Superfile;

/// Rows of a batch of a scan.
const BATCH_ROWS: usize = 8192;

impl Superfile {
    /// The rows of `keep`, or all of them, in file order: the columns named, in the order named, or all stored ones.
    ///
    /// A row group is read at a time, only the pages that hold rows of `keep`.
    ///
    /// # Errors
    /// `UnknownColumn`; `Invalid` if `keep` is of a file of another length. The stream: `Corrupt`, `Storage`.
    pub async fn scan(
        &self,
        columns: Option<&[&str]>,
        keep: Option<&DocSet>,
    ) -> Result<
        impl Stream<Item = Result<RecordBatch, SuperfileError>> + Send + Unpin + use<>,
        SuperfileError,
    > {
        let asked = match columns {
            Some(columns) => self.columns(columns)?,
            None => (0..self.schema().fields().len()).collect(),
        };
        let mut roots = asked.clone();
        roots.sort_unstable();
        roots.dedup();
        let order: Vec<usize> = asked
            .iter()
            .map(|at| roots.binary_search(at).expect("every column asked for is a root"))
            .collect();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            self.range_reader(),
            self.arrow.clone(),
        )
        .with_projection(self.mask(&roots))
        .with_batch_size(BATCH_ROWS);
        if let Some(keep) = keep {
            if keep.rows() != self.row_count() {
                return Err(SuperfileError::invalid(format!(
                    "{} has {} rows, the set of rows is of {}",
                    self.path,
                    self.row_count(),
                    keep.rows()
                )));
            }
            builder = builder.with_row_selection(selection(keep));
        }
        let (path, covered) = (self.path.clone(), self.body.covered());
        let stream = builder.build().map_err(|error| decode_failed(&path, covered, error))?;
        Ok(stream.map(move |batch| {
            let batch = batch.map_err(|error| decode_failed(&path, covered, error))?;
            Ok(batch.project(&order)?)
        }))
    }
}

/// The rows of `keep` as Parquet's reader takes them.
pub fn selection(keep: &DocSet) -> RowSelection {
    let words = Buffer::from_vec(keep.words().to_vec());
    RowSelection::from_boolean_buffer(BooleanBuffer::new(words, 0, keep.rows() as usize))
}

//! Named columns at given rows.
//!
//! The offset index says which page holds a row, so all pages of all columns are known before the first byte is read:
//! they are fetched in one round trip, near ones together, then decoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Decimal128Type, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Buf, Bytes};
use infino_format::{DocId, FormatError, RowId};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::SuperfileError;
use crate::body::decode_failed;
use crate::reader::Superfile;
use crate::schema::{ID_COLUMN, names};

impl Superfile {
    /// The named columns at the given rows, in the order given; `_id` is one of the columns.
    ///
    /// One round trip, none if nothing but `_id` is asked for and the ids follow each other.
    ///
    /// # Errors
    /// `UnknownColumn`; `Invalid` if the file has no such row; `Corrupt`; `Storage`.
    pub async fn rows(
        &self,
        docs: &[DocId],
        columns: &[&str],
    ) -> Result<RecordBatch, SuperfileError> {
        let asked = self.columns(columns)?;
        let fields: Vec<_> = asked.iter().map(|&at| self.schema().field(at).clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        if let Some(doc) = docs.iter().find(|&&doc| doc >= self.row_count()) {
            return Err(SuperfileError::invalid(format!(
                "{}: there is no row {doc}, the file has {}",
                self.path,
                self.row_count()
            )));
        }
        let dense_id = self.dense_ids().filter(|_| asked.contains(&0));
        let mut read: Vec<usize> =
            asked.iter().copied().filter(|&at| at != 0 || dense_id.is_none()).collect();
        read.sort_unstable();
        read.dedup();
        let mut sorted = docs.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let decoded = match read.is_empty() || docs.is_empty() {
            true => None,
            false => Some(self.decode(&sorted, &read).await?),
        };
        let order: UInt32Array =
            docs.iter().map(|doc| sorted.partition_point(|other| other < doc) as u32).collect();
        let column = |&at: &usize| -> Result<ArrayRef, SuperfileError> {
            if at == 0
                && let Some(min) = dense_id
            {
                return Ok(Arc::new(id_array(docs.iter().map(|&doc| min + u128::from(doc)))?));
            }
            let Some(decoded) = &decoded else {
                return Ok(arrow::array::new_empty_array(self.schema().field(at).data_type()));
            };
            let position = read.binary_search(&at).expect("every column asked for is read");
            Ok(take(decoded.column(position), &order, None)?)
        };
        let arrays = asked.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(docs.len()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }

    /// The row ids of the given rows, in the order given; reads nothing if the ids of the file follow each other.
    ///
    /// # Errors
    /// As [`Superfile::rows`].
    pub async fn row_ids(&self, docs: &[DocId]) -> Result<Vec<RowId>, SuperfileError> {
        let batch = self.rows(docs, &[ID_COLUMN]).await?;
        let ids = batch.column(0).as_primitive::<Decimal128Type>();
        Ok(ids.values().iter().map(|&id| RowId(id as u128)).collect())
    }

    /// The row whose id is `id`, if ids of this file follow each other; `None` if they do not or none is it.
    pub fn doc_of_dense(&self, id: RowId) -> Option<DocId> {
        let doc = id.0.checked_sub(self.dense_ids()?)?;
        u32::try_from(doc).ok().filter(|&doc| doc < self.row_count())
    }

    /// The first id, if each row's is one more than the one before. Ids ascend, so the ends tell.
    pub(crate) fn dense_ids(&self) -> Option<u128> {
        let (min, max) = (self.summary.min_row_id.0, self.summary.max_row_id.0);
        let rows = u128::from(self.row_count());
        (rows > 0 && max.checked_sub(min) == Some(rows - 1)).then_some(min)
    }

    /// Positions of named columns in the body.
    pub(crate) fn columns(&self, columns: &[&str]) -> Result<Vec<usize>, SuperfileError> {
        let position = |&name: &&str| {
            self.schema().index_of(name).map_err(|_| SuperfileError::UnknownColumn {
                superfile: self.path.to_string(),
                column: name.to_owned(),
                columns: names(self.schema()),
            })
        };
        columns.iter().map(position).collect()
    }

    pub(crate) fn mask(&self, roots: &[usize]) -> ProjectionMask {
        ProjectionMask::roots(self.arrow.parquet_schema(), roots.iter().copied())
    }

    /// The columns `roots`, ascending, at the rows `docs`, ascending.
    async fn decode(&self, docs: &[DocId], roots: &[usize]) -> Result<RecordBatch, SuperfileError> {
        let mask = self.mask(roots);
        let PagePlan { groups, selection, pages } = self.pages(docs, &mask)?;
        let bytes = self.body.read(&pages).await?;
        let failed = |error| decode_failed(&self.path, self.body.covered(), error);
        let pages = Pages { pages: pages.into_iter().zip(bytes).collect() };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, self.arrow.clone())
            .with_projection(mask)
            .with_row_groups(groups)
            .with_row_selection(selection)
            // The other policy reads whole row groups, of which only pages are here.
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_batch_size(docs.len())
            .build()
            .map_err(failed)?;
        let schema = Arc::new(self.schema().project(roots)?);
        let batches = reader
            .map(|batch| batch.map_err(|error| failed(ParquetError::from(error))))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = concat_batches(&schema, &batches)?;
        if batch.num_rows() == docs.len() {
            return Ok(batch);
        }
        let problem = format!("gave {} rows for {}", batch.num_rows(), docs.len());
        Err(failed(ParquetError::General(problem)))
    }

    /// What is read to decode the columns of `mask` at `docs`, which ascend.
    fn pages(&self, docs: &[DocId], mask: &ProjectionMask) -> Result<PagePlan, SuperfileError> {
        let metadata = self.arrow.metadata();
        let Some(offsets) = metadata.offset_index() else {
            let source = FormatError::invalid("parquet footer", "has no offset index");
            return Err(self.corrupt("footer", self.body.covered()..self.summary.file_len, source));
        };
        let (mut groups, mut spans, mut pages) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first, mut rows_before, mut left) = (0u64, 0usize, docs);
        for (group, columns) in metadata.row_groups().iter().enumerate() {
            let rows = group_rows(columns.num_rows());
            let here = left.partition_point(|&doc| u64::from(doc) < first + rows as u64);
            let (now, later) = left.split_at(here);
            if !now.is_empty() {
                let local: Vec<_> = runs(now.iter().map(|&doc| (u64::from(doc) - first) as usize));
                let selection = RowSelection::from_consecutive_ranges(local.iter().cloned(), rows);
                for (leaf, column) in columns.columns().iter().enumerate() {
                    if mask.leaf_included(leaf) {
                        let locations = &offsets[group][leaf].page_locations;
                        let start = column.byte_range().0;
                        if let Some(page) =
                            locations.first().filter(|page| page.offset as u64 != start)
                        {
                            pages.push(start..page.offset as u64);
                        }
                        pages.extend(selection.scan_ranges(locations));
                    }
                }
                spans
                    .extend(local.iter().map(|run| run.start + rows_before..run.end + rows_before));
                rows_before += rows;
                groups.push(group);
            }
            first += rows as u64;
            left = later;
        }
        pages.sort_unstable_by_key(|page| page.start);
        let selection = RowSelection::from_consecutive_ranges(spans.into_iter(), rows_before);
        Ok(PagePlan { groups, selection, pages })
    }
}

/// What is read to decode some rows.
struct PagePlan {
    /// The row groups that hold them.
    groups: Vec<usize>,
    /// Which rows of those groups they are.
    selection: RowSelection,
    /// Where their pages, and the dictionaries of those, stand; ascending.
    pages: Vec<Range<u64>>,
}

fn group_rows(rows: i64) -> usize {
    usize::try_from(rows).unwrap_or(0)
}

/// Ascending numbers as runs of neighbours.
fn runs(numbers: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

/// Row ids as the body types them.
pub(crate) fn id_array(ids: impl Iterator<Item = u128>) -> Result<Decimal128Array, SuperfileError> {
    let ids: Decimal128Array = ids.map(|id| Some(id as i128)).collect();
    let ids = ids.with_precision_and_scale(38, 0)?;
    debug_assert_eq!(*ids.data_type(), DataType::Decimal128(38, 0));
    Ok(ids)
}

/// The pages of a file that were fetched, by where they stand.
struct Pages {
    pages: Vec<(Range<u64>, Bytes)>,
}

impl Pages {
    fn from(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let at = self.pages.partition_point(|(page, _)| page.start <= start);
        let page = at.checked_sub(1).map(|at| &self.pages[at]);
        match page.filter(|(page, _)| start < page.end) {
            Some((page, bytes)) => Ok(bytes.slice((start - page.start) as usize..)),
            None => Err(ParquetError::General(format!("byte {start} belongs to no page"))),
        }
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.pages.last().map_or(0, |(page, _)| page.end)
    }
}

impl ChunkReader for Pages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            let problem = format!("{length} bytes at {start} pass the end of the page");
            return Err(ParquetError::General(problem));
        }
        Ok(bytes.slice(..length))
    }
}

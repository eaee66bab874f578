//! Rows in, one superfile out.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use infino_format::checksum::crc32c;
use infino_format::schema::{Metric, TableSchema, VectorIndex};
use infino_format::summary::{ColumnStats, SectionKind, SectionRef, SuperfileSummary};
use infino_format::{KeyFilter, RowId, SuperfileId};
use parquet::file::metadata::{KeyValue, ParquetMetaDataWriter};
use parquet::file::writer::TrackedWrite;

use crate::checksums::{self, ChecksumWriter};
use crate::columns::{Body, BodyWriter};
use crate::hint;
use crate::indexes::{self, Carried, IndexBuilders, Indexes};
use crate::key::{self, KeyEncoder};
use crate::layout::{self, Placed};
use crate::schema::{self, ID_COLUMN};
use crate::statistics::StatsBuilder;
use crate::{SuperfileError, SuperfileOptions};

/// Turns batches into one superfile.
///
/// Row groups are encoded as rows come and wait in memory, then in a scratch file, until [`SuperfileBuilder::finish_to`]
/// writes the file from front to back. After `Invalid` the builder goes on as if the batch had not been offered; after
/// another error it is of no more use.
pub struct SuperfileBuilder {
    schema: TableSchema,
    input: SchemaRef,
    stored: Vec<usize>,
    body: BodyWriter,
    indexes: IndexBuilders,
    /// What reads the keys of rows, if the table has a key, and their hashes so far.
    keys: Option<(KeyEncoder, Vec<u64>)>,
    stats: Vec<StatsBuilder>,
    /// Per stored column, whether a fixed-size list in it is null.
    null_lists: Vec<bool>,
    rows: u32,
    ids: Option<(RowId, RowId)>,
}

impl SuperfileBuilder {
    /// A builder of one superfile of a table.
    ///
    /// # Errors
    /// `Invalid` if the schema or an option cannot be used; `Io` if a scratch file cannot be made.
    pub fn new(schema: &TableSchema, options: SuperfileOptions) -> Result<Self, SuperfileError> {
        let input = schema::file_schema(schema)?;
        let stored: Vec<_> = (0..input.fields().len())
            .filter(|&at| schema::is_stored(&schema.indexes, input.field(at).name()))
            .collect();
        let null_lists = vec![false; stored.len()];
        let body = BodyWriter::new(&schema::body_schema(schema)?, &schema.indexes, &options)?;
        let indexes = IndexBuilders::new(schema, &input, &options)?;
        let keys = KeyEncoder::of(schema, &input)?.map(|encoder| (encoder, Vec::new()));
        let stats = schema.columns.iter().map(|column| StatsBuilder::new(column.field_id));
        Ok(Self {
            schema: schema.clone(),
            input,
            stored,
            body,
            indexes,
            keys,
            stats: stats.collect(),
            null_lists,
            rows: 0,
            ids: None,
        })
    }

    /// Adds rows: `_id`, ascending over all batches, then the columns of the schema, those that are not stored included.
    ///
    /// # Errors
    /// `Invalid` naming the column and the row: a column that is missing or of another type, a null where none may be,
    /// row ids that do not ascend, a vector with a NaN or a null in it.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), SuperfileError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.check(batch)?;
        let rows = u32::try_from(batch.num_rows()).ok().and_then(|n| self.rows.checked_add(n));
        let rows = rows.ok_or_else(|| {
            SuperfileError::invalid("a superfile holds fewer than 2^32 rows; begin another")
        })?;
        let keys = self.keys.as_ref().map(|(encoder, _)| encoder.digests(&batch)).transpose()?;
        self.take_ids(&batch)?;
        if let (Some((_, hashes)), Some(keys)) = (&mut self.keys, keys) {
            hashes.extend(keys.iter().map(|key| key.hash()));
        }
        for (stats, column) in self.stats.iter_mut().zip(&batch.columns()[1..]) {
            stats.push(column)?;
        }
        self.indexes.push(&batch, self.rows)?;
        let stored = batch.project(&self.stored)?;
        for (null, column) in self.null_lists.iter_mut().zip(stored.columns()) {
            *null = *null || hint::holds_null_list(column);
        }
        self.body.push(&stored)?;
        self.rows = rows;
        Ok(())
    }

    /// Writes the file and describes it. The summary's id is new; the file does not hold it.
    ///
    /// # Errors
    /// `Invalid` if no row was pushed; `Io` if `out` or a scratch file fails.
    pub fn finish_to(
        self,
        out: &mut (dyn Write + Send),
    ) -> Result<SuperfileSummary, SuperfileError> {
        let Some((min_row_id, max_row_id)) = self.ids else {
            return Err(SuperfileError::invalid("a superfile needs at least one row"));
        };
        let body = self.body.finish()?;
        let mut keys =
            body.metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let body_schema = schema::body_schema(&self.schema)?;
        hint::relax(&mut keys, &body_schema, |at| self.null_lists[at]);
        let parts = Parts {
            schema: &self.schema,
            body,
            keys,
            indexes: self.indexes,
            carried: Vec::new(),
            key_hashes: self.keys.map(|(_, hashes)| hashes),
            rows: self.rows,
            ids: (min_row_id, max_row_id),
            columns: self.stats.into_iter().map(StatsBuilder::finish).collect(),
            ending: None,
        };
        parts.write_to(out)
    }

    /// The file in memory.
    ///
    /// # Errors
    /// As [`SuperfileBuilder::finish_to`].
    pub fn finish(self) -> Result<(Vec<u8>, SuperfileSummary), SuperfileError> {
        let mut out = Vec::new();
        let summary = self.finish_to(&mut out)?;
        Ok((out, summary))
    }

    /// The batch under the schema of the file, if it is one of it.
    fn check(&self, batch: &RecordBatch) -> Result<RecordBatch, SuperfileError> {
        if batch.num_columns() != self.input.fields().len() {
            return Err(SuperfileError::invalid(format!(
                "the batch has the columns {}; the table has {}",
                schema::names(batch.schema_ref()),
                schema::names(&self.input)
            )));
        }
        for ((expected, found), column) in
            self.input.fields().iter().zip(batch.schema_ref().fields()).zip(batch.columns())
        {
            let problem = if expected.name() != found.name() {
                format!("stands where the table has {:?}", expected.name())
            } else if expected.data_type() != column.data_type() {
                format!("is {}; cast it to {}", column.data_type(), expected.data_type())
            } else if !expected.is_nullable() && column.logical_null_count() > 0 {
                "may not be null, and is".to_owned()
            } else {
                continue;
            };
            return Err(SuperfileError::invalid(format!("column {:?} {problem}", found.name())));
        }
        for index in &self.schema.indexes.vectors {
            let (at, _) = self.input.column_with_name(&index.column).expect("checked in new");
            check_vectors(index, batch.column(at))?;
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.input), batch.columns().to_vec())?)
    }

    fn take_ids(&mut self, batch: &RecordBatch) -> Result<(), SuperfileError> {
        let ids = batch.column(0).as_primitive::<Decimal128Type>();
        let mut last = self.ids.map(|(_, max)| max);
        for (row, &id) in ids.values().iter().enumerate() {
            let id =
                u128::try_from(id).map(RowId).ok().filter(|&id| last.is_none_or(|last| id > last));
            last = Some(id.ok_or_else(|| {
                SuperfileError::invalid(format!(
                    "{ID_COLUMN} of row {row} is {}; row ids ascend within a superfile",
                    ids.value(row)
                ))
            })?);
        }
        let first = RowId(ids.value(0) as u128);
        self.ids = last.map(|last| (self.ids.map_or(first, |(min, _)| min), last));
        Ok(())
    }
}

/// What a file is put together from.
pub(crate) struct Parts<'a> {
    pub(crate) schema: &'a TableSchema,
    pub(crate) body: Body,
    /// Of the Arrow schema.
    pub(crate) keys: Vec<KeyValue>,
    pub(crate) indexes: IndexBuilders,
    pub(crate) carried: Vec<Carried>,
    /// Of the rows' keys, if the table has a key.
    pub(crate) key_hashes: Option<Vec<u64>>,
    pub(crate) rows: u32,
    pub(crate) ids: (RowId, RowId),
    pub(crate) columns: Vec<ColumnStats>,
    /// The end of a file that this one is to be, if all before it turns out to be the same.
    pub(crate) ending: Option<&'a Ending>,
}

/// How a file goes on behind its sections.
pub(crate) struct Ending {
    pub(crate) placed: Vec<Placed>,
    pub(crate) footer: Bytes,
    pub(crate) summary: SuperfileSummary,
}

impl Parts<'_> {
    /// Writes the file from front to back and describes it.
    pub(crate) fn write_to(
        self,
        out: &mut (dyn Write + Send),
    ) -> Result<SuperfileSummary, SuperfileError> {
        let Parts { schema, mut body, mut keys, indexes, carried, .. } = self;
        let unit_ends = checksums::unit_ends(&body.metadata, body.len);
        let mut file = ChecksumWriter::new(out, unit_ends);
        let mut tracked = TrackedWrite::new(&mut file);
        body.copy_to(&mut tracked)?;

        let offset = tracked.bytes_written() as u64;
        let vectors = schema.indexes.vectors.iter();
        let vectors: Vec<_> =
            vectors.map(|index| schema::column_id(schema, &index.column)).collect();
        let Indexes { mut placed, text, vectors } =
            indexes.finish_to(offset, &vectors, carried, &mut tracked)?;
        let keys_of_rows = self.key_hashes.as_deref();
        if let Some(hashes) = keys_of_rows {
            placed.push(key::write(schema, hashes, &mut tracked)?);
        }
        placed.push(write_checksums(&mut tracked)?);
        if let Some(ending) = self.ending.filter(|ending| ending.placed == placed) {
            tracked
                .write_all(&ending.footer)
                .and_then(|()| tracked.flush())
                .map_err(write_failed)?;
            return Ok(ending.summary.clone());
        }
        let mut summary = SuperfileSummary {
            id: SuperfileId::new(),
            file_len: 0,
            footer_len: 0,
            footer_crc: 0,
            row_count: self.rows,
            min_row_id: self.ids.0,
            max_row_id: self.ids.1,
            columns: self.columns,
            text,
            vectors,
            sections: placed.iter().map(|placed| placed.section.clone()).collect(),
            key: keys_of_rows.and_then(KeyFilter::of),
        };

        let footer_start = tracked.bytes_written() as u64;
        keys.extend(layout::key_values(schema, &placed, &summary));
        keys.push(layout::unsealed(footer_start));
        let metadata = layout::with_keys(body.metadata, keys);
        tracked.flush().map_err(write_failed)?;
        tracked.inner_mut().hold();
        ParquetMetaDataWriter::new_with_tracked(tracked, &metadata).finish()?;
        let footer = file.release(layout::seal).map_err(write_failed)?;
        summary.file_len = footer_start + footer.len() as u64;
        summary.footer_len = footer.len() as u64;
        summary.footer_crc = crc32c(&footer);
        Ok(summary)
    }
}

impl std::fmt::Debug for SuperfileBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SuperfileBuilder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn write_failed(error: std::io::Error) -> SuperfileError {
    SuperfileError::io("writing the superfile", error)
}

/// Refuses vectors that no distance can be taken to.
fn check_vectors(index: &VectorIndex, vectors: &dyn Array) -> Result<(), SuperfileError> {
    let lists = vectors.as_fixed_size_list();
    for row in (0..lists.len()).filter(|&row| lists.is_valid(row)) {
        let vector = indexes::vector(lists, row);
        let at = lists.value_offset(row) as usize;
        let bad =
            (0..vector.len()).find(|&i| lists.values().is_null(at + i) || !vector[i].is_finite());
        let problem = match bad {
            Some(i) if lists.values().is_null(at + i) => format!("item {i} of the vector is null"),
            Some(i) => format!("item {i} of the vector is {}", vector[i]),
            None if index.metric == Metric::Cosine && vector.iter().all(|&x| x == 0.0) => {
                "the vector is all zeros, which has no direction".to_owned()
            }
            None => continue,
        };
        return Err(SuperfileError::invalid(format!(
            "column {:?}, row {row} of the batch: {problem}",
            index.column
        )));
    }
    Ok(())
}

fn write_checksums(
    tracked: &mut TrackedWrite<&mut ChecksumWriter<'_>>,
) -> Result<Placed, SuperfileError> {
    let offset = tracked.bytes_written() as u64;
    tracked.flush().map_err(write_failed)?;
    let bytes = tracked.inner().checksums().encode();
    tracked.write_all(&bytes).map_err(write_failed)?;
    let len = bytes.len() as u64;
    let section = SectionRef {
        kind: SectionKind::BodyChecksums,
        version: checksums::VERSION,
        field_ids: Vec::new(),
        offset,
        len,
        open_len: len,
    };
    Ok(Placed { section, open_hash: layout::open_hash(&bytes) })
}

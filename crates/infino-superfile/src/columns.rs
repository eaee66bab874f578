//! The Parquet body: row groups, and how each column is encoded in them.
//!
//! Pages are cut so that a row is cheap to fetch: the offset index says which page holds it, so a reader takes one page
//! a column. Wide values (text, bytes, lists) get [`crate::SuperfileOptions::wide_page_bytes`], because a page is also
//! what compression sees at once; numbers get narrower ones.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use infino_format::schema::IndexSet;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression as Codec, Encoding, Type as Physical, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnDescriptor;

use crate::dictionary;
use crate::options::Compression;
use crate::schema::ID_COLUMN;
use crate::spool::Spool;
use crate::{SuperfileError, SuperfileOptions};

/// The analyzer under which a text column holds keys rather than prose.
const KEYWORD_ANALYZER: &str = "keyword-";

/// Steps in which a page of the widest column is filled.
const STEPS_A_PAGE: usize = 8;

/// Turns batches into row groups, held in a spool until the file's other parts are ready.
pub(crate) struct BodyWriter {
    schema: SchemaRef,
    indexes: IndexSet,
    options: SuperfileOptions,
    /// The first rows, until there are enough to judge columns by.
    first: Vec<RecordBatch>,
    writer: Option<ArrowWriter<Spool>>,
}

/// A finished body.
pub(crate) struct Body {
    spool: Spool,
    /// Bytes of it, Parquet's leading magic included.
    pub(crate) len: u64,
    /// Where its row groups and pages stand.
    pub(crate) metadata: ParquetMetaData,
}

impl BodyWriter {
    pub(crate) fn new(
        schema: &SchemaRef,
        indexes: &IndexSet,
        options: &SuperfileOptions,
    ) -> Result<Self, SuperfileError> {
        // Refuses options that cannot be used before any row comes.
        properties(schema, indexes, options, &[])?;
        Ok(Self {
            schema: Arc::clone(schema),
            indexes: indexes.clone(),
            options: options.clone(),
            first: Vec::new(),
            writer: None,
        })
    }

    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), SuperfileError> {
        if let Some(writer) = &mut self.writer {
            return write_in_steps(writer, batch, self.options.wide_page_bytes);
        }
        self.first.push(batch.clone());
        let rows: usize = self.first.iter().map(RecordBatch::num_rows).sum();
        if rows < dictionary::SAMPLE_ROWS {
            return Ok(());
        }
        self.start()
    }

    /// Judges the columns by the first rows, then writes those.
    fn start(&mut self) -> Result<(), SuperfileError> {
        let first = concat_batches(&self.schema, &std::mem::take(&mut self.first))?;
        let sample = first.slice(0, first.num_rows().min(dictionary::SAMPLE_ROWS));
        let pays = dictionary::pays(&sample, self.options.dictionary_bytes)?;
        let properties = properties(&self.schema, &self.indexes, &self.options, &pays)?;
        let spool = Spool::new(self.options.memory_bytes / 4, self.options.scratch_dir.clone());
        let options = ArrowWriterOptions::new().with_properties(properties);
        let mut writer =
            ArrowWriter::try_new_with_options(spool, Arc::clone(&self.schema), options)?;
        write_in_steps(&mut writer, &first, self.options.wide_page_bytes)?;
        self.writer = Some(writer);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Body, SuperfileError> {
        if self.writer.is_none() {
            self.start()?;
        }
        let mut writer = self.writer.expect("made above");
        writer.flush()?;
        writer.sync().map_err(|error| SuperfileError::io("writing a scratch file", error))?;
        let len = writer.bytes_written() as u64;
        // Parquet's own footer goes behind `len` and is dropped: sections will stand there.
        let metadata = writer.finish()?;
        writer.sync().map_err(|error| SuperfileError::io("writing a scratch file", error))?;
        let spool = std::mem::replace(writer.inner_mut(), Spool::new(0, None));
        Ok(Body { spool, len, metadata })
    }
}

impl Body {
    /// The first `len` bytes of `spool`, which another file begins with.
    pub(crate) fn copied(spool: Spool, len: u64, metadata: ParquetMetaData) -> Self {
        Self { spool, len, metadata }
    }

    pub(crate) fn copy_to(
        &mut self,
        out: &mut (dyn std::io::Write + Send),
    ) -> Result<(), SuperfileError> {
        self.spool.copy_to(self.len, out)
    }
}

/// Writes a batch in steps of which the widest column takes a small part of a page: the writer looks only after a step
/// whether a page is full.
fn write_in_steps(
    writer: &mut ArrowWriter<Spool>,
    batch: &RecordBatch,
    page_bytes: usize,
) -> Result<(), SuperfileError> {
    let mut widest = 1;
    for column in batch.columns() {
        widest = widest.max(column.to_data().get_slice_memory_size()?);
    }
    let rows = batch.num_rows();
    let step = (rows as u128 * (page_bytes / STEPS_A_PAGE) as u128 / widest as u128).max(1);
    let step = usize::try_from(step).unwrap_or(rows);
    for at in (0..rows).step_by(step) {
        writer.write(&batch.slice(at, step.min(rows - at)))?;
    }
    Ok(())
}

fn properties(
    schema: &SchemaRef,
    indexes: &IndexSet,
    options: &SuperfileOptions,
    dictionary_pays: &[bool],
) -> Result<WriterProperties, SuperfileError> {
    let compression = match options.compression {
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level.into())?),
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Uncompressed => Codec::UNCOMPRESSED,
    };
    let group_bytes = options.row_group_bytes.min(options.memory_bytes / 2).max(1);
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("infino version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(group_bytes))
        .set_dictionary_page_size_limit(options.dictionary_bytes.max(1))
        .set_data_page_size_limit(options.narrow_page_bytes.max(1));
    let parquet = ArrowSchemaConverter::new().convert(schema)?;
    for (leaf, column) in parquet.columns().iter().enumerate() {
        let at = parquet.get_column_root_idx(leaf);
        let root = schema.field(at);
        builder = encode(builder, column, root.name(), root.data_type(), indexes, options);
        if dictionary_pays.get(leaf) == Some(&false) {
            builder = builder.set_column_dictionary_enabled(column.path().clone(), false);
        }
    }
    Ok(builder.build())
}

/// Says how one leaf column is written.
fn encode(
    mut builder: WriterPropertiesBuilder,
    column: &ColumnDescriptor,
    name: &str,
    data_type: &DataType,
    indexes: &IndexSet,
    options: &SuperfileOptions,
) -> WriterPropertiesBuilder {
    let path = column.path().clone();
    let text = indexes.text.iter().find(|index| index.column == name);
    let keyword = text.is_some_and(|index| index.analyzer.starts_with(KEYWORD_ANALYZER));
    let nested = data_type.is_nested();
    let bytes = column.physical_type() == Physical::BYTE_ARRAY;
    let floats = matches!(data_type, DataType::FixedSizeList(item, _) | DataType::List(item)
        if item.data_type().is_floating());
    if bytes || nested {
        // Floats gain nothing from being compressed with more of their kind.
        let page_bytes = options.wide_page_bytes / if floats { 2 } else { 1 };
        builder = builder
            .set_column_data_page_size_limit(path.clone(), page_bytes.max(1))
            // Bounds of every page of long values would outweigh what they prune.
            .set_column_statistics_enabled(
                path.clone(),
                if keyword { EnabledStatistics::Page } else { EnabledStatistics::Chunk },
            );
    }
    let float = matches!(column.physical_type(), Physical::FLOAT | Physical::DOUBLE);
    if float || *data_type == DataType::Float16 {
        // Parquet's bounds pass NaN by, SQL sorts it above all numbers: pruning by them would drop rows that match.
        builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
    }
    if float && options.byte_stream_split {
        builder = builder.set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT);
    }
    if name == ID_COLUMN || floats || (text.is_some() && !keyword) {
        // Values that do not repeat: a dictionary would be built, then given up.
        builder = builder.set_column_dictionary_enabled(path, false);
    }
    builder
}

//! An open superfile.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use infino_format::checksum;
use infino_format::summary::{SectionKind, SectionRef, SuperfileSummary};
use infino_format::{FormatError, KeyIndex, SuperfileId};
use infino_fts::FtsReader;
use infino_storage::Store;
use infino_vector::IvfIndex;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{
    KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
};

use crate::SuperfileError;
use crate::body::BodyReader;
use crate::checksums::Checksums;
use crate::hint;
use crate::layout::{self, Placed, with_keys};

/// What is read of the end of a file whose footer's length is not known.
const TAIL_BYTES: u64 = 64 << 10;

/// An open superfile: its footer and what opens its sections are in memory, the rest is read, and verified, as asked.
#[derive(Debug)]
pub struct Superfile {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) path: Arc<str>,
    pub(crate) summary: Arc<SuperfileSummary>,
    pub(crate) arrow: ArrowReaderMetadata,
    pub(crate) body: BodyReader,
    pub(crate) sections: Vec<OpenSection>,
    /// The keys that hold the Arrow schema, as they stand in the footer.
    pub(crate) arrow_keys: Vec<KeyValue>,
}

/// An index section and the bytes that open it.
#[derive(Debug)]
pub(crate) struct OpenSection {
    pub(crate) placed: Placed,
    pub(crate) open: Bytes,
    /// The section's reader, made when first asked for.
    pub(crate) text: OnceLock<FtsReader>,
    pub(crate) vector: OnceLock<IvfIndex>,
    pub(crate) key: OnceLock<Arc<KeyIndex>>,
}

impl Superfile {
    /// Opens the file at `path`, which is relative to the store's root.
    ///
    /// With its `summary` (the manifest has it) that is one round trip: the footer and what opens the sections, in
    /// parallel. Without, the footer is looked for first, and the summary's id is the one in the path, or 0.
    ///
    /// # Errors
    /// `Corrupt` if the footer, the checksums or an opening do not verify; `Newer`; `Storage`.
    pub async fn open(
        store: Arc<dyn Store>,
        path: &str,
        summary: Option<Arc<SuperfileSummary>>,
    ) -> Result<Arc<Self>, SuperfileError> {
        let opening = Opening { store, path: path.into() };
        let file = match summary {
            Some(summary) => opening.with_summary(summary).await?,
            None => opening.alone().await?,
        };
        Ok(Arc::new(file))
    }

    /// What the manifest knows of the file.
    pub fn summary(&self) -> &Arc<SuperfileSummary> {
        &self.summary
    }

    /// Rows of the file, dead ones included.
    pub fn row_count(&self) -> u32 {
        self.summary.row_count
    }

    /// Where the file is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Parquet's metadata, page index included.
    pub fn parquet_metadata(&self) -> Arc<ParquetMetaData> {
        Arc::clone(self.arrow.metadata())
    }

    /// The Arrow schema of the body: `_id`, then the stored columns.
    pub fn schema(&self) -> &SchemaRef {
        self.arrow.schema()
    }

    /// About how many bytes the open file holds in memory.
    pub fn memory_bytes(&self) -> usize {
        let open: usize = self.sections.iter().map(|section| section.open.len()).sum();
        // A section's reader holds what opened it and, decoded, about as much again.
        2 * open + self.arrow.metadata().memory_size()
    }

    /// A reader of the body's bytes, for readers of Parquet.
    pub fn range_reader(&self) -> BodyReader {
        self.body.clone()
    }

    pub(crate) fn corrupt(
        &self,
        part: impl Into<String>,
        range: Range<u64>,
        source: FormatError,
    ) -> SuperfileError {
        SuperfileError::corrupt(&self.path, part, range, source)
    }
}

/// Reads ranges of a file.
pub(crate) async fn read(
    store: &Arc<dyn Store>,
    path: &str,
    part: &str,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>, SuperfileError> {
    let failed = |error| SuperfileError::read(path, part, error);
    let bytes = store.get_ranges(path, ranges).await.map_err(failed)?;
    for (range, bytes) in ranges.iter().zip(&bytes) {
        if bytes.len() as u64 != range.end - range.start {
            let problem = format!("{} bytes came", bytes.len());
            let source = FormatError::invalid("object", problem);
            return Err(SuperfileError::corrupt(path, part, range.clone(), source));
        }
    }
    Ok(bytes)
}

/// A file on the way to being open.
pub(crate) struct Opening {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) path: Arc<str>,
}

/// A footer that has been verified and parsed.
pub(crate) struct Footer {
    pub(crate) range: Range<u64>,
    pub(crate) metadata: ParquetMetaData,
    pub(crate) placed: Vec<Placed>,
    stats: SuperfileSummary,
    crc: u32,
    pub(crate) arrow_keys: Vec<KeyValue>,
}

impl Footer {
    /// Whether it is that of the file that `summary` describes.
    pub(crate) fn is_of(&self, summary: &SuperfileSummary) -> bool {
        self.placed.iter().map(|placed| &placed.section).eq(&summary.sections)
            && self.stats.row_count == summary.row_count
    }
}

impl Opening {
    async fn with_summary(
        self,
        summary: Arc<SuperfileSummary>,
    ) -> Result<Superfile, SuperfileError> {
        let footer_start = summary.file_len.checked_sub(summary.footer_len);
        let (Some(footer_start), Some((last, indexes))) =
            (footer_start, summary.sections.split_last())
        else {
            return Err(self.contradicts(&summary));
        };
        let range_of = |section: &SectionRef| {
            let end = section.offset.checked_add(section.open_len)?;
            (end <= footer_start).then_some(section.offset..end)
        };
        let openings: Option<Vec<_>> = indexes.iter().map(range_of).collect();
        let (Some(mut ranges), Some(checksums)) = (openings, range_of(last)) else {
            return Err(self.contradicts(&summary));
        };
        if checksums.end != footer_start {
            return Err(self.contradicts(&summary));
        }
        // The checksums stand right before the footer: one range reads both.
        ranges.push(checksums.start..summary.file_len);
        let mut opens = read(&self.store, &self.path, "footer", &ranges).await?;
        let tail = opens.pop().expect("pushed above");
        let checksums_len = (footer_start - checksums.start) as usize;
        let bytes = tail.slice(checksums_len..);
        checksum::verify("footer", &bytes, summary.footer_crc)
            .map_err(|source| self.corrupt("footer", footer_start..summary.file_len, source))?;
        let footer = self.footer(footer_start..summary.file_len, bytes)?;
        if !footer.is_of(&summary) {
            return Err(self.contradicts(&summary));
        }
        opens.push(tail.slice(..checksums_len));
        self.finish(footer, opens, summary)
    }

    async fn alone(self) -> Result<Superfile, SuperfileError> {
        let info = self.store.head(&self.path).await?;
        let tail_start = info.len.saturating_sub(TAIL_BYTES);
        let mut tail = self.read_one(tail_start..info.len).await?;
        let start = layout::sealed_start(&tail)
            .map_err(|source| self.corrupt("footer", tail_start..info.len, source))?;
        if start >= info.len {
            let source = FormatError::invalid("superfile footer", "starts past the file's end");
            return Err(self.corrupt("footer", tail_start..info.len, source));
        }
        if start < tail_start {
            tail = self.read_one(start..info.len).await?;
        } else {
            tail = tail.slice((start - tail_start) as usize..);
        }
        let footer = self.footer(start..info.len, tail)?;
        let ranges: Vec<_> = footer.placed.iter().map(Placed::open_range).collect();
        let opens = read(&self.store, &self.path, "sections", &ranges).await?;
        let summary = SuperfileSummary {
            id: id_in(&self.path),
            file_len: info.len,
            footer_len: info.len - start,
            footer_crc: footer.crc,
            sections: footer.placed.iter().map(|placed| placed.section.clone()).collect(),
            ..footer.stats.clone()
        };
        self.finish(footer, opens, Arc::new(summary))
    }

    async fn read_one(&self, range: Range<u64>) -> Result<Bytes, SuperfileError> {
        let mut bytes = read(&self.store, &self.path, "footer", &[range]).await?;
        Ok(bytes.pop().expect("one range was asked for"))
    }

    /// Verifies a whole footer, then parses it.
    pub(crate) fn footer(&self, range: Range<u64>, bytes: Bytes) -> Result<Footer, SuperfileError> {
        let corrupt = |source| self.corrupt("footer", range.clone(), source);
        layout::check_seal(&bytes).map_err(corrupt)?;
        let crc = checksum::crc32c(&bytes);
        // In full, so that the footer of another file over the same rows says the same (`reindex`).
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let mut reader = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_metadata_options(Some(options));
        let parsed = reader.try_parse_sized(&bytes, range.end).and_then(|()| reader.finish());
        let invalid = |problem: String| FormatError::invalid("parquet footer", problem);
        let metadata = parsed.map_err(|error| corrupt(invalid(error.to_string())))?;
        let keys = metadata.file_metadata().key_value_metadata();
        let value = |key: &str| {
            let pair = keys.into_iter().flatten().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.as_deref())
                .ok_or_else(|| corrupt(invalid(format!("has no {key}"))))
        };
        match value(layout::VERSION_KEY)?.parse() {
            Ok(layout::VERSION) => {}
            Ok(found) => {
                return Err(corrupt(FormatError::Version {
                    what: "superfile",
                    found,
                    newest: layout::VERSION,
                }));
            }
            Err(_) => return Err(corrupt(invalid("its version is not a number".into()))),
        }
        let placed =
            layout::parse_sections(value(layout::SECTIONS_KEY)?, range.start).map_err(corrupt)?;
        let stats = layout::parse_stats(value(layout::STATS_KEY)?).map_err(corrupt)?;
        if i64::from(stats.row_count) != metadata.file_metadata().num_rows() {
            return Err(corrupt(invalid("its statistics are of another number of rows".into())));
        }
        let arrow_keys = hint::arrow_keys(keys.into_iter().flatten());
        Ok(Footer { range, metadata: for_readers(metadata), placed, stats, crc, arrow_keys })
    }

    /// Verifies what opens the sections; `opens` holds it in their order.
    fn finish(
        self,
        footer: Footer,
        opens: Vec<Bytes>,
        summary: Arc<SuperfileSummary>,
    ) -> Result<Superfile, SuperfileError> {
        for (placed, open) in footer.placed.iter().zip(&opens) {
            if layout::open_hash(open) != placed.open_hash {
                let source = FormatError::invalid("section", "opens otherwise than it was written");
                return Err(self.corrupt(part_name(&placed.section), placed.open_range(), source));
            }
        }
        let mut sections: Vec<_> = footer
            .placed
            .into_iter()
            .zip(opens)
            .map(|(placed, open)| OpenSection {
                placed,
                open,
                text: OnceLock::new(),
                vector: OnceLock::new(),
                key: OnceLock::new(),
            })
            .collect();
        let last = sections.pop().expect("the checksums, by `parse_sections`");
        let checksums = Checksums::decode_covering(&last.open, last.placed.section.offset)
            .map_err(|source| self.corrupt("checksums", last.placed.range(), source))?;
        let (range, metadata, keys) = (footer.range, footer.metadata, footer.arrow_keys);
        self.assemble(range, metadata, keys, checksums, sections, summary)
    }

    /// The open file, from what has been verified.
    pub(crate) fn assemble(
        self,
        footer_range: Range<u64>,
        metadata: ParquetMetaData,
        arrow_keys: Vec<KeyValue>,
        checksums: Checksums,
        sections: Vec<OpenSection>,
        summary: Arc<SuperfileSummary>,
    ) -> Result<Superfile, SuperfileError> {
        let metadata = Arc::new(metadata);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let arrow =
            ArrowReaderMetadata::try_new(Arc::clone(&metadata), options).map_err(|error| {
                let source = FormatError::invalid("parquet schema", error.to_string());
                self.corrupt("footer", footer_range.clone(), source)
            })?;
        let body = BodyReader::new(
            Arc::clone(&self.store),
            Arc::clone(&self.path),
            Arc::new(checksums),
            metadata,
        );
        let Self { store, path } = self;
        Ok(Superfile { store, path, summary, arrow, body, sections, arrow_keys })
    }

    pub(crate) fn corrupt(
        &self,
        part: impl Into<String>,
        range: Range<u64>,
        source: FormatError,
    ) -> SuperfileError {
        SuperfileError::corrupt(&self.path, part, range, source)
    }

    pub(crate) fn contradicts(&self, summary: &SuperfileSummary) -> SuperfileError {
        let source = FormatError::invalid("superfile summary", "is not that of this file");
        self.corrupt("footer", 0..summary.file_len, source)
    }
}

/// The metadata as readers of Parquet are to see it: without infino's keys, which would end up in the Arrow schema of
/// everything that is read, and with the true Arrow schema.
fn for_readers(metadata: ParquetMetaData) -> ParquetMetaData {
    let keys = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    with_keys(metadata, hint::restore(keys))
}

/// The superfile's name, if the object is named by it.
fn id_in(path: &str) -> SuperfileId {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".parquet").unwrap_or(name);
    SuperfileId::parse(stem).unwrap_or(SuperfileId(0))
}

/// How errors name a section.
pub(crate) fn part_name(section: &SectionRef) -> String {
    let fields: Vec<_> = section.field_ids.iter().map(u32::to_string).collect();
    match section.kind {
        SectionKind::Text => format!("text section of fields {}", fields.join(", ")),
        SectionKind::Vector => format!("vector section of field {}", fields.join(", ")),
        SectionKind::BodyChecksums => "checksums".to_owned(),
        SectionKind::Key => "key section".to_owned(),
    }
}

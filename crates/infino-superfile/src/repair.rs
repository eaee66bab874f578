//! A damaged file made whole: index sections built again from the columns, checksums taken again from the bytes.
//!
//! The footer and the rows must be sound; what stands between them follows from them. Since equal rows give equal sections,
//! what is built is as a rule, byte for byte, what was lost, and the footer, which holds a hash of how each section
//! opens, and the checksums over all sections prove it. Where they do not (another release built the section, by other
//! means), the outcome is a file of its own with the same rows in the same places.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use infino_format::FormatError;
use infino_format::checksum;
use infino_format::schema::{IndexSet, TableSchema};
use infino_format::summary::{SectionKind, SectionRef, SuperfileSummary};
use infino_storage::Store;
use parquet::file::metadata::ParquetMetaData;

use crate::builder::{Ending, Parts};
use crate::checksums::{self, ChecksumWriter, Checksums};
use crate::layout::{self, Placed};
use crate::reader::{Footer, Opening, Superfile, part_name, read};
use crate::{SuperfileError, SuperfileOptions, schema};

/// Bytes read at once.
const READ_BYTES: u64 = 8 << 20;

/// What became of a damaged file.
#[derive(Debug, Clone, PartialEq)]
pub enum Mended {
    /// Nothing is wrong with it, and nothing was written.
    Sound,
    /// The file as it was first written, byte for byte, to stand in its place.
    Restored {
        /// The sections that were damaged.
        damaged: Vec<String>,
    },
    /// Another file with the same rows in the same places, to be named in its stead.
    Replaced {
        /// The sections that were damaged.
        damaged: Vec<String>,
        /// The new file.
        summary: Box<SuperfileSummary>,
    },
}

impl Superfile {
    /// Writes the file at `path`, which `summary` describes, to `out` without its damage, if there is any.
    ///
    /// `schema` is the table's: it says how each index that the file has is built.
    ///
    /// # Errors
    /// `Corrupt` naming what nothing can be rebuilt from: the footer, the rows, the length of the file; `Invalid` if a
    /// damaged section indexes a column that is not stored; `Storage`; `Io` if `out` or a scratch file fails.
    pub async fn mend(
        store: Arc<dyn Store>,
        path: &str,
        summary: &Arc<SuperfileSummary>,
        schema: &TableSchema,
        options: SuperfileOptions,
        out: &mut (dyn Write + Send),
    ) -> Result<Mended, SuperfileError> {
        let opening = Opening { store, path: path.into() };
        let damaged = Damaged::survey(opening, summary).await?;
        if damaged.is_sound() {
            return Ok(Mended::Sound);
        }
        damaged.mend(summary, schema, &options, out).await
    }
}

/// A file whose footer is sound.
struct Damaged {
    file: Superfile,
    ending: Ending,
    /// Whether the checksums are those of the file, and not taken of what stands there now.
    checksums_hold: bool,
    /// Sections that are not what was written, or stand in a unit that is not.
    suspects: Vec<SectionRef>,
}

impl Damaged {
    async fn survey(
        opening: Opening,
        summary: &Arc<SuperfileSummary>,
    ) -> Result<Self, SuperfileError> {
        let (footer, bytes) = opening.sound_footer(summary).await?;
        let placed = footer.placed.clone();
        let (last, indexes) = placed.split_last().expect("the checksums, by `parse_sections`");
        let body_len = indexes.first().unwrap_or(last).section.offset;
        let (checksums, checksums_hold) =
            opening.checksums(last, &footer.metadata, body_len).await?;
        let ending = Ending { placed: placed.clone(), footer: bytes, summary: (**summary).clone() };
        let file = opening.past_sections(footer, checksums, summary)?;
        // Nothing can be built from rows that are not those that were written.
        file.read_through(0..body_len).await?;
        let mut suspects = Vec::new();
        for placed in indexes {
            let open = file.read_raw(placed.open_range()).await?;
            let opens = layout::open_hash(&open) == placed.open_hash;
            if !opens || !file.verifies(placed.range()).await? {
                suspects.push(placed.section.clone());
            }
        }
        Ok(Self { file, ending, checksums_hold, suspects })
    }

    fn is_sound(&self) -> bool {
        self.checksums_hold && self.suspects.is_empty()
    }

    async fn mend(
        &self,
        summary: &SuperfileSummary,
        schema: &TableSchema,
        options: &SuperfileOptions,
        out: &mut (dyn Write + Send),
    ) -> Result<Mended, SuperfileError> {
        let file = &self.file;
        let to = self.schema_of_file(schema);
        let all = schema::file_schema(&to)?;
        let (building, carried) = self.divide(&to).await?;
        let indexes = file.build(&building, &all, options).await?;
        let parts = Parts {
            schema: &to,
            body: file.copied_body(options).await?,
            keys: file.arrow_keys.clone(),
            indexes,
            carried,
            key_hashes: file.key_hashes(&to, &all).await?,
            rows: file.row_count(),
            ids: (summary.min_row_id, summary.max_row_id),
            columns: summary.columns.clone(),
            ending: Some(&self.ending),
        };
        let written = parts.write_to(out)?;
        let mut damaged: Vec<_> = self.suspects.iter().map(part_name).collect();
        if !self.checksums_hold {
            damaged.push("checksums".to_owned());
        }
        if written == *summary {
            return Ok(Mended::Restored { damaged });
        }
        if !self.checksums_hold {
            let problem = "are damaged, and what stands there now is not what they were taken of";
            let source = FormatError::invalid("body checksums", problem);
            return Err(file.corrupt("checksums", 0..summary.file_len, source));
        }
        Ok(Mended::Replaced { damaged, summary: Box::new(written) })
    }

    /// The table's schema with no more indexes than the file has sections for.
    fn schema_of_file(&self, schema: &TableSchema) -> TableSchema {
        let has = |kind: SectionKind, column: &str| {
            let id = schema::column_id(schema, column);
            let mut sections = self.ending.placed.iter().map(|placed| &placed.section);
            sections.any(|section| section.kind == kind && section.field_ids.contains(&id))
        };
        let IndexSet { text, vectors, key } = &schema.indexes;
        let text = text.iter().filter(|index| has(SectionKind::Text, &index.column));
        let vectors = vectors.iter().filter(|index| has(SectionKind::Vector, &index.column));
        let key = key.iter().filter(|column| has(SectionKind::Key, column));
        let indexes = IndexSet {
            text: text.cloned().collect(),
            vectors: vectors.cloned().collect(),
            key: key.cloned().collect(),
        };
        TableSchema { indexes, ..schema.clone() }
    }

    /// What is built anew, as a schema, and what is carried over.
    ///
    /// A suspect of a column that is not stored is carried as it stands: its unit may be damaged in a neighbour only, and
    /// the checksums of the outcome tell.
    async fn divide(
        &self,
        to: &TableSchema,
    ) -> Result<(TableSchema, Vec<crate::indexes::Carried>), SuperfileError> {
        let IndexSet { text, vectors, .. } = &to.indexes;
        let mut build = IndexSet::default();
        let mut carried = Vec::new();
        let sections = self.ending.placed.iter().map(|placed| (&placed.section, placed.range()));
        for (section, range) in sections {
            let is_suspect = self.suspects.contains(section);
            let of = |column: &str| section.field_ids.contains(&schema::column_id(to, column));
            let stored = match section.kind {
                SectionKind::Text => text.iter().all(|index| index.stored),
                SectionKind::Vector => {
                    vectors.iter().filter(|index| of(&index.column)).all(|index| index.stored)
                }
                // The keys are read from their columns whatever became of the section.
                SectionKind::Key | SectionKind::BodyChecksums => continue,
            };
            if is_suspect && stored {
                match section.kind {
                    SectionKind::Text => build.text.clone_from(text),
                    _ => {
                        build.vectors.extend(vectors.iter().filter(|i| of(&i.column)).cloned());
                    }
                }
                continue;
            }
            let bytes = self.file.read_raw(range.clone()).await?;
            if is_suspect && !self.opens(section, &bytes) {
                return Err(SuperfileError::invalid(format!(
                    "{}: the {} is damaged and indexes a column that is not stored, so it cannot be built again",
                    self.file.path(),
                    part_name(section)
                )));
            }
            carried.push(self.file.carry(section, bytes));
        }
        Ok((TableSchema { indexes: build, ..to.clone() }, carried))
    }

    fn opens(&self, section: &SectionRef, bytes: &[u8]) -> bool {
        let open_len = usize::try_from(section.open_len).unwrap_or(usize::MAX).min(bytes.len());
        let found = layout::open_hash(&bytes[..open_len]);
        let mut placed = self.ending.placed.iter();
        placed.any(|placed| placed.section == *section && placed.open_hash == found)
    }
}

impl Opening {
    /// The footer of the file that `summary` describes, and its bytes.
    async fn sound_footer(
        &self,
        summary: &Arc<SuperfileSummary>,
    ) -> Result<(Footer, Bytes), SuperfileError> {
        let found = self.store.head(&self.path).await?.len;
        let start = summary.file_len.checked_sub(summary.footer_len);
        let (true, Some(start)) = (found == summary.file_len, start) else {
            let problem = format!("has {found} bytes where {} were written", summary.file_len);
            let source = FormatError::invalid("object", problem);
            return Err(self.corrupt("length", 0..summary.file_len, source));
        };
        let range = start..summary.file_len;
        let mut bytes =
            read(&self.store, &self.path, "footer", std::slice::from_ref(&range)).await?;
        let bytes = bytes.pop().expect("one range was asked for");
        checksum::verify("footer", &bytes, summary.footer_crc)
            .map_err(|source| self.corrupt("footer", range.clone(), source))?;
        let footer = self.footer(range, bytes.clone())?;
        match footer.is_of(summary) {
            true => Ok((footer, bytes)),
            false => Err(self.contradicts(summary)),
        }
    }

    /// The file's checksums and whether they are those that were written; if not, they are of what stands there now.
    async fn checksums(
        &self,
        placed: &Placed,
        metadata: &ParquetMetaData,
        body_len: u64,
    ) -> Result<(Checksums, bool), SuperfileError> {
        let mut bytes = read(&self.store, &self.path, "checksums", &[placed.range()]).await?;
        let bytes = bytes.pop().expect("one range was asked for");
        if layout::open_hash(&bytes) == placed.open_hash
            && let Ok(checksums) = Checksums::decode_covering(&bytes, placed.section.offset)
        {
            return Ok((checksums, true));
        }
        let mut sink = std::io::sink();
        let mut taken = ChecksumWriter::new(&mut sink, checksums::unit_ends(metadata, body_len));
        let mut at = 0;
        while at < placed.section.offset {
            let end = (at + READ_BYTES).min(placed.section.offset);
            let bytes = read(&self.store, &self.path, "body", &[at..end]).await?;
            taken.write_all(&bytes[0]).map_err(|error| SuperfileError::io("checksums", error))?;
            at = end;
        }
        Ok((taken.checksums(), false))
    }

    /// The file, to read rows of; none of its sections is open.
    fn past_sections(
        self,
        footer: Footer,
        checksums: Checksums,
        summary: &Arc<SuperfileSummary>,
    ) -> Result<Superfile, SuperfileError> {
        let Footer { range, metadata, arrow_keys, .. } = footer;
        self.assemble(range, metadata, arrow_keys, checksums, Vec::new(), summary.clone())
    }
}

impl Superfile {
    /// Bytes as they stand there, unverified.
    async fn read_raw(&self, range: Range<u64>) -> Result<Bytes, SuperfileError> {
        let mut bytes = read(&self.store, &self.path, "section", &[range]).await?;
        Ok(bytes.pop().expect("one range was asked for"))
    }

    /// Reads the units that hold `range`, for what that tells of them.
    async fn read_through(&self, range: Range<u64>) -> Result<(), SuperfileError> {
        let mut at = range.start;
        while at < range.end {
            let end = (at + READ_BYTES).min(range.end);
            self.body.read(&[at..end]).await?;
            at = end;
        }
        Ok(())
    }

    /// Whether the units that hold `range` are what was written.
    async fn verifies(&self, range: Range<u64>) -> Result<bool, SuperfileError> {
        match self.read_through(range).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_corrupt() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

//! Rows in, one section out.

use std::io::Write;
use std::path::PathBuf;

use infino_format::DocId;
use infino_format::schema::TextIndex;

use super::encode::{Encoded, encode};
use super::inverter::Inverter;
use super::merge;
use super::scratch::Spool;
use crate::analysis::Analyzer;
use crate::{FtsError, layout};

/// How a section is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Memory that may be held before what has been inverted goes to the scratch folder. Beyond it come 4 bytes a row and
    /// field, and while the section is written the longest list.
    pub memory_bytes: usize,
    /// Where that is; the system's temporary folder if `None`.
    pub scratch_dir: Option<PathBuf>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, scratch_dir: None }
    }
}

/// What has been built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Bytes of the section.
    pub len: u64,
    /// How many of its first bytes open it.
    pub open_len: u64,
    /// Per field, in the order given.
    pub fields: Vec<FieldSummary>,
}

/// What a built section holds of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSummary {
    /// Rows where it is not null: BM25's N.
    pub docs: u64,
    /// Tokens in all of them.
    pub tokens: u64,
    /// The least term; empty if there is none.
    pub min_term: Vec<u8>,
    /// The greatest term.
    pub max_term: Vec<u8>,
}

/// Builds the full-text section of one file: rows in order, then the bytes.
#[derive(Debug)]
pub struct FtsBuilder {
    columns: Vec<String>,
    fields: Vec<Inverter>,
    /// Per field, what has gone to disk.
    runs: Vec<Vec<Spool>>,
    rows: u32,
    options: BuildOptions,
}

/// The least memory that is worth a run.
const RUN_BYTES_MIN: usize = 64 << 10;
/// The longest value in bytes.
const VALUE_BYTES_MAX: usize = 512 << 20;
/// The most memory that inverted fields may take, whatever the budget: places in it are 32 bits wide.
const MEMORY_BYTES_MAX: usize = 1 << 30;

impl FtsBuilder {
    /// Starts a section that indexes these columns.
    ///
    /// # Errors
    /// [`FtsError::UnknownAnalyzer`] if a column names one, [`FtsError::Invalid`] if a column is named twice.
    pub fn new(fields: &[TextIndex], options: BuildOptions) -> Result<Self, FtsError> {
        for (i, field) in fields.iter().enumerate() {
            if fields[..i].iter().any(|other| other.column == field.column) {
                return Err(FtsError::Invalid(format!(
                    "column {:?} is indexed twice",
                    field.column
                )));
            }
        }
        let inverters: Vec<Inverter> = fields
            .iter()
            .map(|field| Ok(Inverter::new(Analyzer::named(&field.analyzer)?, field.positions)))
            .collect::<Result<_, FtsError>>()?;
        let columns = fields.iter().map(|field| field.column.clone()).collect();
        let runs = inverters.iter().map(|_| Vec::new()).collect();
        Ok(Self { columns, fields: inverters, runs, rows: 0, options })
    }

    /// Adds the next row: one value per column, in order, `None` where it is null. Returns its number.
    ///
    /// # Errors
    /// [`FtsError::Invalid`] if `values` is not one per column or the section is full; nothing has been added then.
    pub fn push(&mut self, values: &[Option<&str>]) -> Result<DocId, FtsError> {
        if values.len() != self.fields.len() {
            return Err(FtsError::Invalid(format!(
                "row {} has {} values for {} columns",
                self.rows,
                values.len(),
                self.fields.len()
            )));
        }
        if self.rows == layout::ROWS_MAX {
            return Err(FtsError::Invalid(format!("a section holds at most {} rows", self.rows)));
        }
        if let Some(long) = values.iter().flatten().find(|value| value.len() > VALUE_BYTES_MAX) {
            return Err(FtsError::Invalid(format!(
                "row {} has a text of {} bytes, at most {VALUE_BYTES_MAX} can be indexed",
                self.rows,
                long.len()
            )));
        }
        if self.memory_used() > self.options.memory_bytes.min(MEMORY_BYTES_MAX) {
            self.spill()?;
        }
        self.fields.iter_mut().zip(values).for_each(|(field, value)| field.push(*value));
        self.rows += 1;
        Ok(self.rows - 1)
    }

    /// Bytes of memory held.
    pub fn memory_used(&self) -> usize {
        self.fields.iter().map(Inverter::memory).sum()
    }

    fn spill(&mut self) -> Result<(), FtsError> {
        for (field, runs) in self.fields.iter_mut().zip(&mut self.runs) {
            // What stays, the lengths, may alone pass a small budget: runs of a few rows would help nobody.
            if field.terms_memory() >= RUN_BYTES_MIN {
                runs.push(merge::spill(field, self.options.scratch_dir.as_deref())?);
            }
        }
        Ok(())
    }

    /// Writes the section.
    ///
    /// # Errors
    /// [`FtsError::Io`] if `out` or the scratch folder fails.
    pub fn finish_to(self, out: &mut dyn Write) -> Result<Built, FtsError> {
        let dir = self.options.scratch_dir.as_deref();
        let mut encoded = Vec::new();
        for ((column, mut field), runs) in self.columns.iter().zip(self.fields).zip(self.runs) {
            encoded.push(encode(column, &mut field, runs, dir)?);
        }
        write_section(self.rows, encoded, out)
    }

    /// The section in memory.
    ///
    /// # Errors
    /// As [`FtsBuilder::finish_to`].
    pub fn finish(self) -> Result<(Vec<u8>, Built), FtsError> {
        let mut bytes = Vec::new();
        let built = self.finish_to(&mut bytes)?;
        Ok((bytes, built))
    }
}

/// Writes the section of `rows` that holds these fields.
pub(crate) fn write_section(
    rows: u32,
    encoded: Vec<Encoded>,
    out: &mut dyn Write,
) -> Result<Built, FtsError> {
    let (parts, regions): (Vec<_>, Vec<_>) =
        encoded.into_iter().map(|field| (field.parts, field.regions)).unzip();
    let open = layout::write(rows, &parts);
    out.write_all(&open)?;
    let mut len = open.len() as u64;
    for region in regions.into_iter().flatten() {
        len += region.len();
        region.copy_to(out)?;
    }
    let fields = parts
        .into_iter()
        .map(|field| FieldSummary {
            docs: field.layout.docs,
            tokens: field.layout.tokens,
            min_term: field.blocks.into_iter().next().map(|(first, _)| first).unwrap_or_default(),
            max_term: field.layout.max_term,
        })
        .collect();
    Ok(Built { len, open_len: open.len() as u64, fields })
}

//! Everything that can be checked of a file: each checksum, and whether its parts agree with each other.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Decimal128Type;
use futures::StreamExt;
use infino_format::summary::{SectionKind, SectionRef};
use infino_format::{FormatError, RowId};

use crate::SuperfileError;
use crate::checksums::Checksums;
use crate::reader::{Superfile, part_name, read};

/// What [`Superfile::verify`] and [`Superfile::verify_in_depth`] read at a time, about.
const VERIFY_BYTES: u64 = 8 << 20;

/// Problems after which a check stops looking for more.
const PROBLEMS_MAX: usize = 100;

/// What a check of a file looked at and found.
#[derive(Debug, Default)]
pub struct Verification {
    /// Bytes of the file.
    pub bytes: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// Index sections that were opened.
    pub sections: usize,
    /// What is wrong, in file order as far as it has a place; no more than the first hundred.
    pub problems: Vec<SuperfileError>,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Notes a damaged part; passes on what is no matter of the file's.
    fn note<T>(&mut self, outcome: Result<T, SuperfileError>) -> Result<Option<T>, SuperfileError> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_corrupt() => {
                if self.problems.len() < PROBLEMS_MAX {
                    self.problems.push(error);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Superfile {
    /// Reads the whole file and checks every byte of it.
    ///
    /// # Errors
    /// `Corrupt` naming the first unit that is wrong; `Storage`.
    pub async fn verify(&self) -> Result<(), SuperfileError> {
        for run in self.body.checksums().runs(VERIFY_BYTES) {
            self.body.read(&[run]).await?;
        }
        self.verify_end().await
    }

    /// Reads the whole file, checks every byte of it, decodes every row and opens every index, and checks that they agree
    /// with what the file says of itself. Goes on past damage.
    ///
    /// # Errors
    /// `Storage` if the file cannot be read; damage is no error here, but in what is returned.
    pub async fn verify_in_depth(&self) -> Result<Verification, SuperfileError> {
        let mut found = Verification { bytes: self.summary.file_len, ..Default::default() };
        for run in self.body.checksums().runs(VERIFY_BYTES) {
            let whole = self.body.read(std::slice::from_ref(&run)).await;
            if whole.as_ref().is_err_and(SuperfileError::is_corrupt) {
                // One by one, so that each damaged unit is named.
                for unit in self.body.checksums().units(&run) {
                    let one = self.body.read(&[unit]).await;
                    found.note(one)?;
                }
            } else {
                whole?;
            }
        }
        let end = self.verify_end().await;
        found.note(end)?;
        if found.is_sound() {
            let rows = self.verify_rows(&mut found).await;
            found.note(rows)?;
            self.verify_sections(&mut found).await?;
        }
        Ok(found)
    }

    /// Checks what stands behind the index sections.
    async fn verify_end(&self) -> Result<(), SuperfileError> {
        let (start, end) = (self.body.covered(), self.summary.file_len);
        let tail = read(&self.store, &self.path, "footer", &[start..end]).await?;
        let footer_at = (end - self.summary.footer_len - start) as usize;
        infino_format::checksum::verify("footer", &tail[0][footer_at..], self.summary.footer_crc)
            .map_err(|source| self.corrupt("footer", start + footer_at as u64..end, source))?;
        match Checksums::decode(&tail[0][..footer_at]) {
            Ok(found) if found == *self.body.checksums() => Ok(()),
            found => {
                let other = FormatError::invalid("checksums", "are not those the file opened with");
                let range = start..start + footer_at as u64;
                Err(self.corrupt("checksums", range, found.err().unwrap_or(other)))
            }
        }
    }

    /// Decodes every row: their number, their ids and their nulls are what the summary says.
    async fn verify_rows(&self, found: &mut Verification) -> Result<(), SuperfileError> {
        let summary = &self.summary;
        let mut nulls = vec![0u64; self.schema().fields().len()];
        let mut last: Option<RowId> = None;
        let mut batches = self.scan(None, None).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            for (count, column) in nulls.iter_mut().zip(batch.columns()) {
                *count += column.logical_null_count() as u64;
            }
            for &id in batch.column(0).as_primitive::<Decimal128Type>().values() {
                let id = RowId(id as u128);
                if last.is_none_or(|last| id > last) && id >= summary.min_row_id {
                    last = Some(id);
                } else {
                    return Err(self.disagrees(format!("row id {id:?} does not ascend")));
                }
            }
            found.rows += batch.num_rows() as u64;
        }
        if found.rows != u64::from(summary.row_count) || last != Some(summary.max_row_id) {
            return Err(self.disagrees(format!("its {} rows end with {last:?}", found.rows)));
        }
        for (field, count) in self.schema().fields().iter().zip(nulls).skip(1) {
            let id = field.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY);
            let id = id.and_then(|id| id.parse::<u32>().ok());
            let stats = summary.columns.iter().find(|stats| Some(stats.field_id) == id);
            if stats.is_none_or(|stats| stats.null_count != count) {
                let name = field.name();
                return Err(self.disagrees(format!("column {name:?} holds {count} nulls")));
            }
        }
        Ok(())
    }

    /// Opens every index: what it says of its rows is what the summary says.
    async fn verify_sections(&self, found: &mut Verification) -> Result<(), SuperfileError> {
        for open in &self.sections {
            let section = &open.placed.section;
            let outcome = self.verify_section(section, open.placed.range()).await;
            if found.note(outcome)?.is_some() {
                found.sections += 1;
            }
        }
        Ok(())
    }

    async fn verify_section(
        &self,
        section: &SectionRef,
        range: Range<u64>,
    ) -> Result<(), SuperfileError> {
        let wrong = |problem: String| {
            let source = FormatError::invalid("section", problem);
            Err(self.corrupt(part_name(section), range.clone(), source))
        };
        match section.kind {
            SectionKind::Text => {
                let reader = self.text().await?;
                let stats: Vec<_> =
                    reader.fields().filter_map(|field| reader.field_stats(field)).collect();
                for (said, stats) in self.summary.text.iter().zip(&stats) {
                    if (said.docs, said.tokens) != (stats.docs, stats.tokens) {
                        let of = said.field_id;
                        return wrong(format!("counts of field {of} are not the summary's"));
                    }
                }
                match stats.len() == self.summary.text.len() {
                    true => Ok(()),
                    false => wrong(format!("indexes {} columns", stats.len())),
                }
            }
            SectionKind::Vector => {
                let field_id = section.field_ids.first().copied().unwrap_or_default();
                let vectors = u64::from(self.vector(field_id).await?.len());
                let said = self.summary.vectors.iter().find(|said| said.field_id == field_id);
                match said.is_some_and(|said| said.vectors == vectors) {
                    true => Ok(()),
                    false => wrong(format!("holds {vectors} vectors")),
                }
            }
            SectionKind::Key | SectionKind::BodyChecksums => Ok(()),
        }
    }

    fn disagrees(&self, problem: String) -> SuperfileError {
        let source = FormatError::invalid("rows", problem + ", which is not what its summary says");
        self.corrupt("body", 0..self.body.covered(), source)
    }
}

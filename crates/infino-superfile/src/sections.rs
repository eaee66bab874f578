//! The index sections of an open file: their readers, and the bytes those ask for.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use infino_format::summary::SectionKind;
use infino_format::{DocId, Fetch, FormatError, KeyIndex, Step, key};
use infino_fts::{FtsError, FtsReader};
use infino_vector::{IvfIndex, VectorError};

use crate::SuperfileError;
use crate::reader::{OpenSection, Superfile, part_name, read};

impl Superfile {
    /// The reader of the file's text section; run what it starts with [`Superfile::run_text`].
    ///
    /// # Errors
    /// `NotIndexed` if the file has no text section; `Corrupt` if it does not open.
    pub async fn text(&self) -> Result<FtsReader, SuperfileError> {
        let section = self.text_section()?;
        if let Some(reader) = section.text.get() {
            return Ok(reader.clone());
        }
        let reader = FtsReader::open(section.open.clone(), section.placed.section.len)
            .map_err(|error| self.text_failed(section, section.placed.open_range(), error))?;
        self.check_rows(section, reader.rows(), reader.rows() == self.row_count())?;
        Ok(section.text.get_or_init(|| reader).clone())
    }

    /// Runs a computation over the text section; each of its rounds is one round trip, none if what it asks for is in
    /// memory since the file was opened.
    ///
    /// # Errors
    /// `NotIndexed` if the file has no text section; `Text`, `Corrupt`, `Storage`.
    pub async fn run_text<F>(&self, fetch: F) -> Result<F::Output, SuperfileError>
    where
        F: Fetch<Error = FtsError>,
    {
        let section = self.text_section()?;
        self.run(section, fetch, |range, error| self.text_failed(section, range, error)).await
    }

    /// The index of a vector column; run what it starts with [`Superfile::run_vector`].
    ///
    /// # Errors
    /// `NotIndexed` if the column has none; `Corrupt` if it does not open.
    pub async fn vector(&self, field_id: u32) -> Result<IvfIndex, SuperfileError> {
        let section = self.vector_section(field_id)?;
        if let Some(index) = section.vector.get() {
            return Ok(index.clone());
        }
        let index = IvfIndex::open(section.open.clone(), section.placed.section.len)
            .map_err(|error| self.vector_failed(section, section.placed.open_range(), error))?;
        self.check_rows(section, index.len(), index.len() <= self.row_count())?;
        Ok(section.vector.get_or_init(|| index).clone())
    }

    /// Runs a computation over the index of a vector column, as [`Superfile::run_text`].
    ///
    /// # Errors
    /// `NotIndexed` if the column has none; `Vector`, `Corrupt`, `Storage`.
    pub async fn run_vector<F>(&self, field_id: u32, fetch: F) -> Result<F::Output, SuperfileError>
    where
        F: Fetch<Error = VectorError>,
    {
        let section = self.vector_section(field_id)?;
        self.run(section, fetch, |range, error| self.vector_failed(section, range, error)).await
    }

    fn section(&self, kind: SectionKind, field_id: Option<u32>) -> Option<&OpenSection> {
        self.sections.iter().find(|section| {
            let found = &section.placed.section;
            found.kind == kind && field_id.is_none_or(|id| found.field_ids.contains(&id))
        })
    }

    /// The rows that may have one of the keys with `hashes`, which ascend: which of them, and the row; dead ones included.
    ///
    /// An index keeps a part of a hash, so whoever asks compares the keys of the rows named. One round trip, of the
    /// blocks that may hold a hash.
    ///
    /// # Errors
    /// `NotIndexed` if the file has no key section; `Corrupt`, `Storage`.
    pub async fn key_docs(&self, hashes: &[u64]) -> Result<Vec<(usize, DocId)>, SuperfileError> {
        let section = self.section(SectionKind::Key, None);
        let section = section.ok_or_else(|| self.not_indexed("key", "the table's key".into()))?;
        let index = match section.key.get() {
            Some(index) => Arc::clone(index),
            None => {
                let (open, range) = (&section.open, section.placed.open_range());
                let index = KeyIndex::open(open, section.placed.section.len)
                    .map_err(|source| self.corrupt("key section", range, source))?;
                self.check_rows(section, index.rows(), index.rows() == self.row_count())?;
                Arc::clone(section.key.get_or_init(|| Arc::new(index)))
            }
        };
        let blocks = index.blocks_of(hashes);
        let ranges: Vec<_> = blocks.iter().map(|(_, range)| range.clone()).collect();
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let mut docs = Vec::new();
        for ((at, range), bytes) in blocks.into_iter().zip(self.feed(section, &ranges).await?) {
            let base = section.placed.section.offset;
            let entries = index.entries(at, &bytes).map_err(|source| {
                self.corrupt("key section", base + range.start..base + range.end, source)
            })?;
            docs.extend(key::matches(&entries, hashes));
        }
        Ok(docs)
    }

    fn text_section(&self) -> Result<&OpenSection, SuperfileError> {
        self.section(SectionKind::Text, None)
            .ok_or_else(|| self.not_indexed("text", "any column".into()))
    }

    fn vector_section(&self, field_id: u32) -> Result<&OpenSection, SuperfileError> {
        self.section(SectionKind::Vector, Some(field_id))
            .ok_or_else(|| self.not_indexed("vector", format!("field {field_id}")))
    }

    /// Feeds a computation until it is done.
    async fn run<F: Fetch>(
        &self,
        section: &OpenSection,
        mut fetch: F,
        failed: impl Fn(Range<u64>, F::Error) -> SuperfileError,
    ) -> Result<F::Output, SuperfileError> {
        let mut bytes = Vec::new();
        let mut last = section.placed.open_range();
        loop {
            match fetch.step(bytes).map_err(|error| failed(last.clone(), error))? {
                Step::Done(output) => return Ok(output),
                Step::Ranges(ranges) => {
                    last = self.hull(section, &ranges);
                    bytes = self.feed(section, &ranges).await?;
                }
            }
        }
    }

    /// The bytes of ranges of a section: from what opened it where they are there, from storage where not.
    async fn feed(
        &self,
        section: &OpenSection,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, SuperfileError> {
        let base = section.placed.section.offset;
        let len = section.placed.section.len;
        if let Some(bad) = ranges.iter().find(|range| range.start > range.end || range.end > len) {
            let problem = format!("points to {}..{} of {len} bytes", bad.start, bad.end);
            let source = FormatError::invalid("section", problem);
            return Err(self.corrupt(
                part_name(&section.placed.section),
                section.placed.range(),
                source,
            ));
        }
        let open_len = section.open.len() as u64;
        let missing: Vec<_> = ranges
            .iter()
            .filter(|range| range.end > open_len)
            .map(|range| base + range.start..base + range.end)
            .collect();
        let part = part_name(&section.placed.section);
        let mut fetched = match missing.is_empty() {
            true => Vec::new(),
            false => read(&self.store, &self.path, &part, &missing).await?,
        }
        .into_iter();
        let bytes = ranges.iter().map(|range| match range.end > open_len {
            true => fetched.next().expect("one answer a missing range, checked by `read`"),
            false => section.open.slice(range.start as usize..range.end as usize),
        });
        Ok(bytes.collect())
    }

    /// The bytes of the file from the first to the last of the ranges, for errors.
    fn hull(&self, section: &OpenSection, ranges: &[Range<u64>]) -> Range<u64> {
        let base = section.placed.section.offset;
        let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        base.saturating_add(start)..base.saturating_add(end)
    }

    fn check_rows(
        &self,
        section: &OpenSection,
        found: u32,
        fits: bool,
    ) -> Result<(), SuperfileError> {
        if fits {
            return Ok(());
        }
        let problem = format!("indexes {found} rows of a file of {}", self.row_count());
        let source = FormatError::invalid("section", problem);
        Err(self.corrupt(part_name(&section.placed.section), section.placed.open_range(), source))
    }

    fn text_failed(
        &self,
        section: &OpenSection,
        range: Range<u64>,
        error: FtsError,
    ) -> SuperfileError {
        match error {
            FtsError::Corrupt(source) => {
                self.corrupt(part_name(&section.placed.section), range, source)
            }
            other => other.into(),
        }
    }

    fn vector_failed(
        &self,
        section: &OpenSection,
        range: Range<u64>,
        error: VectorError,
    ) -> SuperfileError {
        match error {
            VectorError::Corrupt(source) => {
                self.corrupt(part_name(&section.placed.section), range, source)
            }
            other => other.into(),
        }
    }

    fn not_indexed(&self, kind: &'static str, column: String) -> SuperfileError {
        SuperfileError::NotIndexed { superfile: self.path.to_string(), kind, column }
    }
}

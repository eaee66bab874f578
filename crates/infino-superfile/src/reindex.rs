//! Another set of indexes over the rows of a file: the body is copied as it is, sections that stay are carried over, the
//! others are built again from the columns.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::StreamExt;
use infino_format::schema::{IndexSet, TableSchema};
use infino_format::summary::{SectionKind, SectionRef, SuperfileSummary};

use crate::builder::Parts;
use crate::columns::Body;
use crate::indexes::{Carried, IndexBuilders};
use crate::key::KeyEncoder;
use crate::reader::Superfile;
use crate::spool::Spool;
use crate::{SuperfileError, SuperfileOptions, schema};

/// Bytes of the body that are copied at once.
const COPY_BYTES: u64 = 8 << 20;

impl Superfile {
    /// Writes a file of the same rows under the indexes of `to`, and describes it; this file was built under `from`.
    ///
    /// An index that both have is carried over byte for byte (the text columns share a section: all of them or none), any
    /// other is built from its column. Which columns are stored stays as it is. The work is done on the caller's task
    /// between reads: spawn it where that may take its time.
    ///
    /// # Errors
    /// `Invalid` if the columns of the two schemas differ, or a column to be indexed is not stored; `Corrupt`, `Storage`;
    /// `Io` if `out` or a scratch file fails.
    pub async fn reindex(
        &self,
        from: &TableSchema,
        to: &TableSchema,
        options: SuperfileOptions,
        out: &mut (dyn Write + Send),
    ) -> Result<SuperfileSummary, SuperfileError> {
        let (all, body) = (schema::file_schema(to)?, schema::body_schema(to)?);
        if schema::file_schema(from)? != all || body != *self.schema() {
            return Err(SuperfileError::invalid(format!(
                "{}: the file has the columns {}, the schema wants {}; an index can change, its columns and whether they \
                 are stored cannot",
                self.path(),
                schema::names(self.schema()),
                schema::names(&body)
            )));
        }
        let (stay, build) = divide(&from.indexes, &to.indexes);
        let carried = self.carried(from, &stay).await?;
        let building = TableSchema { indexes: build, ..to.clone() };
        let indexes = self.build(&building, &all, &options).await?;
        let parts = Parts {
            schema: to,
            body: self.copied_body(&options).await?,
            keys: self.arrow_keys.clone(),
            indexes,
            carried,
            key_hashes: self.key_hashes(to, &all).await?,
            rows: self.row_count(),
            ids: (self.summary.min_row_id, self.summary.max_row_id),
            columns: self.summary.columns.clone(),
            ending: None,
        };
        parts.write_to(out)
    }

    /// The sections of the indexes that stay, whole and verified.
    async fn carried(
        &self,
        from: &TableSchema,
        stay: &IndexSet,
    ) -> Result<Vec<Carried>, SuperfileError> {
        let mut carried = Vec::new();
        for open in &self.sections {
            let section = &open.placed.section;
            let stays = match section.kind {
                SectionKind::Text => !stay.text.is_empty(),
                SectionKind::Vector => stay
                    .vectors
                    .iter()
                    .any(|index| section.field_ids == [schema::column_id(from, &index.column)]),
                SectionKind::Key | SectionKind::BodyChecksums => false,
            };
            if !stays {
                continue;
            }
            let mut bytes = self.body.read(&[open.placed.range()]).await?;
            carried.push(self.carry(section, bytes.pop().expect("one range was asked for")));
        }
        Ok(carried)
    }

    /// A section with its `bytes` and what the summary says of it.
    pub(crate) fn carry(&self, section: &SectionRef, bytes: Bytes) -> Carried {
        let is_of = |field_id: &u32| section.field_ids.contains(field_id);
        let is_text = section.kind == SectionKind::Text;
        let (text, vectors) = (&self.summary.text, &self.summary.vectors);
        Carried {
            section: section.clone(),
            bytes,
            text: text.iter().filter(|s| is_text && is_of(&s.field_id)).cloned().collect(),
            vectors: vectors.iter().filter(|s| !is_text && is_of(&s.field_id)).cloned().collect(),
        }
    }

    /// The indexes of `building`, from the columns.
    pub(crate) async fn build(
        &self,
        building: &TableSchema,
        all: &Schema,
        options: &SuperfileOptions,
    ) -> Result<IndexBuilders, SuperfileError> {
        let IndexSet { text, vectors, .. } = &building.indexes;
        let mut seen = HashSet::new();
        let names: Vec<&str> = text
            .iter()
            .map(|index| index.column.as_str())
            .chain(vectors.iter().map(|index| index.column.as_str()))
            .filter(|name| seen.insert(*name))
            .collect();
        if let Some(name) = names.iter().find(|name| self.schema().index_of(name).is_err()) {
            return Err(SuperfileError::invalid(format!(
                "{}: column {name:?} is not stored, so its index cannot be built again; keep it as it is",
                self.path()
            )));
        }
        let fields =
            names.iter().map(|name| all.field_with_name(name).map(|f| Arc::new(f.clone())));
        let input = Schema::new(fields.collect::<Result<Vec<_>, _>>()?);
        let mut indexes = IndexBuilders::new(building, &input, options)?;
        if names.is_empty() {
            return Ok(indexes);
        }
        let mut batches = self.scan(Some(&names), None).await?;
        let mut first = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            indexes.push(&batch, first)?;
            first += batch.num_rows() as u32;
        }
        Ok(indexes)
    }

    /// The hashes of the rows' keys, if the table has a key.
    pub(crate) async fn key_hashes(
        &self,
        to: &TableSchema,
        all: &Schema,
    ) -> Result<Option<Vec<u64>>, SuperfileError> {
        let Some(encoder) = KeyEncoder::of(to, all)? else { return Ok(None) };
        let names: Vec<_> = encoder.columns().iter().map(String::as_str).collect();
        let mut batches = self.scan(Some(&names), None).await?;
        let mut hashes = Vec::with_capacity(self.row_count() as usize);
        while let Some(batch) = batches.next().await {
            hashes.extend(encoder.digests(&batch?)?.iter().map(|key| key.hash()));
        }
        Ok(Some(hashes))
    }

    /// The row groups as they stand.
    pub(crate) async fn copied_body(
        &self,
        options: &SuperfileOptions,
    ) -> Result<Body, SuperfileError> {
        let body_len =
            self.summary.sections.first().map_or(self.body.covered(), |section| section.offset);
        let mut spool = Spool::new(options.memory_bytes / 4, options.scratch_dir.clone());
        let mut at = 0;
        while at < body_len {
            let end = (at + COPY_BYTES).min(body_len);
            let bytes = self.body.read(&[at..end]).await?;
            spool
                .write_all(&bytes[0])
                .map_err(|error| SuperfileError::io("writing a scratch file", error))?;
            at = end;
        }
        Ok(Body::copied(spool, body_len, self.arrow.metadata().as_ref().clone()))
    }
}

/// The indexes of `to` that `from` has as well, and the others.
fn divide(from: &IndexSet, to: &IndexSet) -> (IndexSet, IndexSet) {
    let (mut stay, mut build) = (IndexSet::default(), IndexSet::default());
    let text = if from.text == to.text { &mut stay.text } else { &mut build.text };
    text.clone_from(&to.text);
    for index in &to.vectors {
        let to = if from.vectors.contains(index) { &mut stay } else { &mut build };
        to.vectors.push(index.clone());
    }
    (stay, build)
}

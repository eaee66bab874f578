//! Sections to one section, without the texts.

use std::io::Write;

use bytes::Bytes;
use infino_format::{DocId, DocSet, FormatError};

use super::builder::{BuildOptions, Built, write_section};
use super::encode::{Encoder, Text};
use crate::dict::block::{Answer, Block, Place, Walk};
use crate::layout::{FieldLayout, ROWS_MAX};
use crate::postings::List;
use crate::postings::short::verify_trailer;
use crate::reader::{Field, Inner, Listed, slice};
use crate::search::load::{Lens, open_list, open_positions, shift, verify_lens};
use crate::{FtsError, FtsReader};

/// Where the rows of a section go when it is merged.
#[derive(Debug, Clone)]
pub struct RowMap {
    /// [`DROPPED`], or the new row.
    rows: Vec<u32>,
}

const DROPPED: u32 = u32::MAX;

impl RowMap {
    /// Row `i` becomes row `rows[i]`, or is dropped if that is `None`.
    pub fn new(rows: impl IntoIterator<Item = Option<DocId>>) -> Self {
        Self { rows: rows.into_iter().map(|row| row.unwrap_or(DROPPED)).collect() }
    }

    /// The rows of `kept` become `first`, `first + 1` and so on; the others are dropped.
    pub fn kept(kept: &DocSet, first: DocId) -> Self {
        let mut next = first;
        let row = |doc: u32| match kept.contains(doc) {
            true => {
                next = next.saturating_add(1);
                next - 1
            }
            false => DROPPED,
        };
        Self { rows: (0..kept.rows()).map(row).collect() }
    }

    fn kept_rows(&self) -> impl Iterator<Item = (usize, u32)> {
        self.rows.iter().copied().enumerate().filter(|&(_, row)| row != DROPPED)
    }
}

/// Writes the section of the rows that `inputs` keep, each where its map puts it: the bytes that [`crate::FtsBuilder`] would
/// make of their texts.
///
/// Every reader must be [`FtsReader::resident`], and all must index the same columns in the same way. `docs` is how many
/// rows are not null afterwards, per column; `None` if the sections tell: where no row is dropped, where a column has no
/// nulls, or where no text is without words. Memory beyond the inputs: 12 bytes a row, and the longest list.
///
/// # Errors
/// [`FtsError::Invalid`] if inputs do not fit together, maps do not make rows from 0 on without a gap, or `docs` is needed;
/// [`FtsError::Corrupt`] if a section is; [`FtsError::Io`] if `out` or the scratch folder fails.
pub fn merge_sections(
    inputs: &[(FtsReader, RowMap)],
    docs: Option<&[u64]>,
    options: &BuildOptions,
    out: &mut dyn Write,
) -> Result<Built, FtsError> {
    let rows = check_rows(inputs)?;
    let fields = check_fields(inputs)?;
    if docs.is_some_and(|docs| docs.len() != fields) {
        return Err(FtsError::Invalid(format!("counts of rows are needed for {fields} columns")));
    }
    let mut encoded = Vec::with_capacity(fields);
    for field in 0..fields {
        let parts = inputs
            .iter()
            .map(|(reader, map)| Part::new(&reader.inner, field, map))
            .collect::<Result<Vec<_>, FtsError>>()?;
        encoded.push(merge_field(parts, rows, docs.map(|docs| docs[field]), options)?);
    }
    write_section(rows, encoded, out)
}

/// How many rows the maps make.
fn check_rows(inputs: &[(FtsReader, RowMap)]) -> Result<u32, FtsError> {
    let total: usize = inputs.iter().map(|(_, map)| map.kept_rows().count()).sum();
    let rows = u32::try_from(total).ok().filter(|&rows| rows <= ROWS_MAX);
    let rows = rows.ok_or_else(|| {
        FtsError::Invalid(format!("a section holds at most {ROWS_MAX} rows, not {total}"))
    })?;
    let mut seen = DocSet::empty(rows);
    for (reader, map) in inputs {
        if map.rows.len() != reader.rows() as usize {
            let (mapped, there) = (map.rows.len(), reader.rows());
            return Err(FtsError::Invalid(format!("{mapped} rows are mapped of {there}")));
        }
        for (_, row) in map.kept_rows() {
            if row >= rows || !seen.insert(row) {
                return Err(FtsError::Invalid(format!(
                    "row {row} of {rows} is made twice or leaves a gap"
                )));
            }
        }
    }
    Ok(rows)
}

/// How many fields every input has.
fn check_fields(inputs: &[(FtsReader, RowMap)]) -> Result<usize, FtsError> {
    let Some((first, _)) = inputs.first() else {
        return Err(FtsError::Invalid("there is nothing to merge".into()));
    };
    let fields = &first.inner.fields;
    for (reader, _) in inputs {
        let own = &reader.inner.fields;
        let key = |layout: &FieldLayout| {
            (layout.column.clone(), layout.analyzer.clone(), layout.positions)
        };
        let differs = |(a, b): (&Field, &Field)| key(&a.layout) != key(&b.layout);
        if own.len() != fields.len() || own.iter().zip(fields).any(differs) {
            return Err(FtsError::Invalid(
                "the sections differ in columns, analyzers or positions; build from the text"
                    .into(),
            ));
        }
    }
    Ok(fields.len())
}

fn merge_field(
    mut parts: Vec<Part<'_>>,
    rows: u32,
    docs: Option<u64>,
    options: &BuildOptions,
) -> Result<super::encode::Encoded, FtsError> {
    let mut lens = vec![0; rows as usize];
    let mut counted = 0;
    for part in &parts {
        counted += part.place_lens(&mut lens, docs.is_none())?;
    }
    let layout = &parts[0].field.layout;
    let text = Text {
        tokens: lens.iter().map(|&len| u64::from(len)).sum(),
        docs: docs.unwrap_or(counted),
        lens,
        positions: layout.positions,
    };
    let (column, analyzer) = (layout.column.clone(), layout.analyzer.clone());
    let total: u64 = parts.iter().map(Part::bytes).sum();
    let on_disk = total > options.memory_bytes as u64;
    let mut encoder = Encoder::new(text, on_disk, options.scratch_dir.as_deref())?;
    for part in &mut parts {
        part.advance()?;
    }
    let (mut term, mut list, mut order) = (Vec::new(), List::default(), Order::default());
    while let Some(least) = parts.iter().filter_map(Part::term).min() {
        term.clear();
        term.extend_from_slice(least);
        list.clear();
        for part in parts.iter_mut().filter(|part| part.term() == Some(&term[..])) {
            part.append(&mut list)?;
            part.advance()?;
        }
        order.restore(&mut list)?;
        if !list.docs.is_empty() {
            encoder.push(&term, &list)?;
        }
    }
    encoder.finish(&column, &analyzer)
}

/// One field of one input, at one of its terms.
struct Part<'a> {
    inner: &'a Inner,
    section: &'a Bytes,
    field: &'a Field,
    map: &'a RowMap,
    /// The next dictionary block.
    block: usize,
    /// What is left of the block before, the next term last.
    terms: Vec<(Vec<u8>, Listed)>,
    /// The last term of the block before.
    before: Option<Vec<u8>>,
}

impl<'a> Part<'a> {
    fn new(inner: &'a Inner, field: usize, map: &'a RowMap) -> Result<Self, FtsError> {
        let section = inner.resident.as_ref().ok_or_else(|| {
            FtsError::Invalid("a section to merge must be in memory (FtsReader::resident)".into())
        })?;
        let field = &inner.fields[field];
        let (terms, before) = (Vec::new(), None);
        Ok(Self { inner, section, field, map, block: 0, terms, before })
    }

    fn bytes(&self) -> u64 {
        self.field.layout.position_bytes.end - self.field.layout.lens.start
    }

    /// Puts the lengths of the rows that are kept where they go; tells how many of these are not null, if it is to.
    fn place_lens(&self, out: &mut [u32], count: bool) -> Result<u64, FtsError> {
        let layout = &self.field.layout;
        let bytes = slice(self.section, &layout.lens)?;
        verify_lens(self.field, &bytes)?;
        let lens = Lens { width: layout.len_width, bytes: &bytes };
        let (mut empty, mut kept, mut kept_empty) = (0, 0, 0);
        for (row, &to) in (0..).zip(&self.map.rows) {
            let len = lens.get(row);
            empty += u64::from(len == 0);
            if to != DROPPED {
                out[to as usize] = len;
                kept += 1;
                kept_empty += u64::from(len == 0);
            }
        }
        let rows = u64::from(self.inner.rows);
        Ok(match rows - layout.docs {
            _ if kept == rows => layout.docs,
            0 => kept,
            // Then just the nulls have no words.
            nulls if nulls == empty => kept - kept_empty,
            _ if !count => 0,
            _ => {
                return Err(FtsError::Invalid(format!(
                    "column {:?} has rows without words and nulls: how many are not null must be given",
                    layout.column
                )));
            }
        })
    }

    fn term(&self) -> Option<&[u8]> {
        self.terms.last().map(|(term, _)| &term[..])
    }

    /// On to the next term.
    fn advance(&mut self) -> Result<(), FtsError> {
        self.before = self.terms.pop().map(|(term, _)| term).or(self.before.take());
        while self.terms.is_empty() && self.block < self.field.layout.top.blocks() {
            let bytes = slice(self.section, &self.field.layout.top.bytes(self.block))?;
            self.field
                .verified
                .once(self.block as u64, || verify_trailer("dictionary block", &bytes))?;
            let block = Block::read(&bytes, self.field.layout.positions)?;
            let (mut terms, mut lists) = (Vec::new(), Vec::new());
            block.matching(
                &mut Walk::new(false),
                |_, _| None,
                |term, _, _| {
                    terms.push(term.to_vec());
                    Answer::Taken
                },
                |found| lists.push(Listed::new(found, &bytes)),
            )?;
            self.terms = terms.into_iter().zip(lists).rev().collect();
            self.block += 1;
        }
        match (&self.before, self.term()) {
            (Some(before), Some(term)) if term <= &before[..] => {
                Err(FormatError::invalid("dictionary block", "terms out of order").into())
            }
            _ => Ok(()),
        }
    }

    /// Appends the documents of the term we are at that are kept.
    fn append(&mut self, out: &mut List) -> Result<(), FtsError> {
        let Some((_, list)) = self.terms.last() else { return Ok(()) };
        let layout = &self.field.layout;
        let (postings, positions) = match &list.found.place {
            Place::Inline(_) => (Bytes::new(), Bytes::new()),
            Place::Listed { bytes, positions, .. } => (
                slice(self.section, &shift(bytes, layout.postings.start))?,
                slice(self.section, &shift(positions, layout.position_bytes.start))?,
            ),
        };
        let rows = self.inner.rows;
        let mut cursor = open_list(self.field, rows, list, &postings)?;
        let mut places = match layout.positions {
            true => Some(open_positions(self.field, rows, list, &positions)?),
            false => None,
        };
        for block in 0..cursor.blocks() {
            cursor.read(block, self.field)?;
            let (len, docs) = (cursor.len, *cursor.docs_buffer());
            let tfs = &cursor.tfs(block)?[..len];
            if let Some(places) = &mut places {
                places.open(block, tfs.iter().map(|&tf| u64::from(tf)).sum())?;
                places.read_all(tfs)?;
            }
            for (i, (&doc, &tf)) in docs[..len].iter().zip(tfs).enumerate() {
                let row = self.map.rows.get(doc as usize).copied().unwrap_or(DROPPED);
                if row == DROPPED {
                    continue;
                }
                if tf == 0 {
                    return Err(FormatError::invalid("posting block", "a frequency of 0").into());
                }
                out.docs.push(row);
                out.tfs.push(tf);
                if let Some(places) = &mut places {
                    let positions = places.known(i).unwrap_or_default();
                    if positions.len() != tf as usize || !positions.is_sorted() {
                        return Err(FormatError::invalid("positions", "out of order").into());
                    }
                    out.positions.extend_from_slice(positions);
                }
            }
        }
        Ok(())
    }
}

/// Puts a list in the order of its documents.
#[derive(Default)]
struct Order {
    /// Document, its place in the list, and that of its positions.
    by_doc: Vec<(u32, usize, usize)>,
    sorted: List,
}

impl Order {
    fn restore(&mut self, list: &mut List) -> Result<(), FtsError> {
        if list.docs.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        self.by_doc.clear();
        let mut at = 0;
        for (i, (&doc, &tf)) in list.docs.iter().zip(&list.tfs).enumerate() {
            self.by_doc.push((doc, i, at));
            at += tf as usize;
        }
        self.by_doc.sort_unstable();
        self.sorted.clear();
        let positions = !list.positions.is_empty();
        for &(doc, i, at) in &self.by_doc {
            if self.sorted.docs.last() == Some(&doc) {
                return Err(FormatError::invalid("posting list", "a document twice").into());
            }
            self.sorted.docs.push(doc);
            self.sorted.tfs.push(list.tfs[i]);
            if positions {
                let places = &list.positions[at..at + list.tfs[i] as usize];
                self.sorted.positions.extend_from_slice(places);
            }
        }
        std::mem::swap(list, &mut self.sorted);
        Ok(())
    }
}

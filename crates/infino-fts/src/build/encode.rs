//! An inverted field to bytes.

use std::path::Path;

use infino_format::checksum;

use super::inverter::{Inverter, append_stream};
use super::merge;
use super::scratch::Spool;
use crate::FtsError;
use crate::dict::writer::{DictWriter, Entry};
use crate::kernel::pack::BLOCK_LEN;
use crate::layout::{FieldLayout, FieldParts, LEN_CHUNK_ROWS};
use crate::postings::{INLINE_BYTES, INLINE_DOCS, List, long, positions, short, units};

/// The bytes of one field, region by region, and what the open bytes say of it.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) parts: FieldParts,
    /// Lengths, dictionary, postings, positions.
    pub(crate) regions: [Spool; 4],
}

/// Encodes what `field` has inverted and what of it went to disk before, in `runs`.
pub(crate) fn encode(
    column: &str,
    field: &mut Inverter,
    mut runs: Vec<Spool>,
    dir: Option<&Path>,
) -> Result<Encoded, FtsError> {
    let on_disk = !runs.is_empty();
    if on_disk {
        runs.push(merge::spill(field, dir)?);
    }
    let text = Text {
        lens: std::mem::take(&mut field.lens),
        docs: field.docs,
        tokens: field.tokens,
        positions: field.keeps_positions(),
    };
    let mut encoder = Encoder::new(text, on_disk, dir)?;
    if on_disk {
        merge::merge(runs, encoder.text.positions, |term, list| encoder.push(term, list))?;
    } else {
        let (mut bytes, mut list) = (Vec::new(), List::default());
        for term in field.terms.sorted() {
            field.stream(term, &mut bytes);
            list.clear();
            append_stream(&bytes, encoder.text.positions, &mut list);
            encoder.push(field.terms.key(term), &list)?;
        }
        field.clear_terms();
    }
    encoder.finish(column, field.analyzer().name())
}

/// What of a field is known before its lists.
pub(crate) struct Text {
    /// Tokens of each document; 0 where the field is null.
    pub(crate) lens: Vec<u32>,
    /// Documents that are not null.
    pub(crate) docs: u64,
    pub(crate) tokens: u64,
    /// Whether positions are kept.
    pub(crate) positions: bool,
}

/// Takes a field's lists in the order of their terms.
pub(crate) struct Encoder {
    text: Text,
    average: f64,
    dict: DictWriter,
    /// Lengths, dictionary, postings, positions.
    regions: [Spool; 4],
    inline: Vec<u8>,
}

impl Encoder {
    /// For the lists of `text`; the bytes they take go to files in `dir` if they are to be `on_disk`.
    pub(crate) fn new(text: Text, on_disk: bool, dir: Option<&Path>) -> Result<Self, FtsError> {
        let mut regions = <[Spool; 4]>::default();
        if on_disk {
            for region in &mut regions {
                *region = Spool::on_disk(dir)?;
            }
        }
        let average = if text.docs == 0 { 1.0 } else { text.tokens as f64 / text.docs as f64 };
        let dict = DictWriter::default();
        Ok(Self { text, average: average.max(1.0), dict, regions, inline: Vec::new() })
    }

    /// The field's bytes.
    pub(crate) fn finish(mut self, column: &str, analyzer: &str) -> Result<Encoded, FtsError> {
        self.dict.close(&mut self.regions[1].buffer);
        let max_len = self.text.lens.iter().copied().max().unwrap_or(0);
        let (len_width, len_crcs) = self.write_lens(max_len)?;
        let layout = FieldLayout {
            column: column.to_owned(),
            analyzer: analyzer.to_owned(),
            positions: self.text.positions,
            docs: self.text.docs,
            tokens: self.text.tokens,
            terms: self.dict.terms,
            max_len,
            len_width,
            len_crcs,
            units: self.dict.units(),
            max_term: self.dict.last().to_vec(),
            ..FieldLayout::default()
        };
        let lens = std::array::from_fn(|region| self.regions[region].len());
        let parts = FieldParts { layout, blocks: self.dict.blocks, lens };
        Ok(Encoded { parts, regions: self.regions })
    }

    /// Adds the next term.
    pub(crate) fn push(&mut self, term: &[u8], list: &List) -> Result<(), FtsError> {
        let df = list.docs.len();
        for region in &mut self.regions {
            region.settle()?;
        }
        let [_, dict, postings, position_bytes] = &mut self.regions;
        let dict = &mut dict.buffer;
        let (postings, position_bytes) = (&mut postings.buffer, &mut position_bytes.buffer);
        if df <= INLINE_DOCS && list.positions.len() <= INLINE_BYTES {
            self.inline.clear();
            short::write_inline(list, &self.text.lens, &mut self.inline);
            if self.inline.len() <= INLINE_BYTES {
                let entry = Entry::Inline { df: df as u32, bytes: &self.inline };
                self.dict.push(term, entry, 0, self.text.positions, dict);
                return Ok(());
            }
        }
        let (start, positions_start) = (postings.len(), position_bytes.len());
        let mut directory = 0;
        if df <= BLOCK_LEN {
            short::write_short(list, &self.text.lens, postings);
        } else {
            directory = long::write(list, &self.text.lens, self.average, postings).directory as u64;
        }
        if self.text.positions {
            positions::write(list, position_bytes)?;
        }
        let entry = Entry::Listed {
            df: df as u32,
            len: (postings.len() - start) as u64,
            directory,
            positions: (position_bytes.len() - positions_start) as u64,
        };
        self.dict.push(term, entry, units(df, self.text.positions), self.text.positions, dict);
        Ok(())
    }

    /// Writes the exact lengths; returns the bytes each takes and the checksum of each chunk.
    fn write_lens(&mut self, max_len: u32) -> Result<(u8, Vec<u32>), FtsError> {
        let width = match max_len {
            0 => return Ok((0, Vec::new())),
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let out = &mut self.regions[0];
        let mut crcs = Vec::new();
        for chunk in self.text.lens.chunks(LEN_CHUNK_ROWS) {
            let start = out.buffer.len();
            chunk.iter().for_each(|len| out.buffer.extend_from_slice(&len.to_le_bytes()[..width]));
            crcs.push(checksum::crc32c(&out.buffer[start..]));
            out.settle()?;
        }
        Ok((width as u8, crcs))
    }
}

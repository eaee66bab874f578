//! An inverted field to bytes.

use infino_format::checksum;

use super::inverter::Inverter;
use crate::dict::writer::{DictWriter, Entry};
use crate::kernel::pack::BLOCK_LEN;
use crate::layout::{FieldLayout, FieldParts, LEN_CHUNK_ROWS};
use crate::postings::{INLINE_BYTES, INLINE_DOCS, List, long, positions, short, units};

/// The bytes of one field, region by region, and what the open bytes say of it.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) parts: FieldParts,
    pub(crate) regions: [Vec<u8>; 4],
}

/// Encodes what `field` has inverted.
pub(crate) fn encode(column: &str, field: &mut Inverter) -> Encoded {
    let mut encoder = Encoder {
        lens: std::mem::take(&mut field.lens),
        average: if field.docs == 0 {
            1.0
        } else {
            (field.tokens as f64 / field.docs as f64).max(1.0)
        },
        positions: field.keeps_positions(),
        dict: DictWriter::default(),
        regions: Default::default(),
        inline: Vec::new(),
    };
    let (mut bytes, mut list) = (Vec::new(), List::default());
    for term in field.terms.sorted() {
        field.list(term, &mut bytes, &mut list);
        encoder.push(field.terms.key(term), &list);
    }
    encoder.dict.close(&mut encoder.regions[1]);
    let max_len = encoder.lens.iter().copied().max().unwrap_or(0);
    let (len_width, len_crcs) = encoder.write_lens(max_len);
    let layout = FieldLayout {
        column: column.to_owned(),
        analyzer: field.analyzer().name().to_owned(),
        positions: encoder.positions,
        docs: field.docs,
        tokens: field.tokens,
        terms: encoder.dict.terms,
        max_len,
        len_width,
        len_crcs,
        units: encoder.dict.units(),
        max_term: encoder.dict.last().to_vec(),
        ..FieldLayout::default()
    };
    let lens = std::array::from_fn(|region| encoder.regions[region].len() as u64);
    Encoded {
        parts: FieldParts { layout, blocks: encoder.dict.blocks, lens },
        regions: encoder.regions,
    }
}

struct Encoder {
    lens: Vec<u32>,
    average: f64,
    positions: bool,
    dict: DictWriter,
    /// Lengths, dictionary, postings, positions.
    regions: [Vec<u8>; 4],
    inline: Vec<u8>,
}

impl Encoder {
    fn push(&mut self, term: &[u8], list: &List) {
        let df = list.docs.len();
        let [_, dict, postings, position_bytes] = &mut self.regions;
        if df <= INLINE_DOCS && list.positions.len() <= INLINE_BYTES {
            self.inline.clear();
            short::write_inline(list, &self.lens, &mut self.inline);
            if self.inline.len() <= INLINE_BYTES {
                let entry = Entry::Inline { df: df as u32, bytes: &self.inline };
                return self.dict.push(term, entry, 0, self.positions, dict);
            }
        }
        let (start, positions_start) = (postings.len(), position_bytes.len());
        let mut directory = 0;
        if df <= BLOCK_LEN {
            short::write_short(list, &self.lens, postings);
        } else {
            directory = long::write(list, &self.lens, self.average, postings).directory as u64;
        }
        if self.positions {
            positions::write(list, position_bytes);
        }
        let entry = Entry::Listed {
            df: df as u32,
            len: (postings.len() - start) as u64,
            directory,
            positions: (position_bytes.len() - positions_start) as u64,
        };
        self.dict.push(term, entry, units(df, self.positions), self.positions, dict);
    }

    /// Writes the exact lengths; returns the bytes each takes and the checksum of each chunk.
    fn write_lens(&mut self, max_len: u32) -> (u8, Vec<u32>) {
        let width = match max_len {
            0 => return (0, Vec::new()),
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let out = &mut self.regions[0];
        let mut crcs = Vec::new();
        for chunk in self.lens.chunks(LEN_CHUNK_ROWS) {
            let start = out.len();
            chunk.iter().for_each(|len| out.extend_from_slice(&len.to_le_bytes()[..width]));
            crcs.push(checksum::crc32c(&out[start..]));
        }
        (width as u8, crcs)
    }
}

//! List after list into codes and payload.

use std::io::Write;

use infino_format::DocId;
use infino_format::checksum;
use rayon::prelude::*;

use super::List;
use super::rows::{Rows, Scratch};
use crate::kernel::BLOCK_ROWS;
use crate::layout::{ListEntry, block_width};
use crate::payload::{self, Payload};
use crate::rabitq::{self, Factors};
use crate::{BuildOptions, IvfSpec, VectorError, extended, kernel, kmeans, sq8};

/// Bytes of rows that are encoded at a time.
const BATCH_BYTES: usize = 32 << 20;

/// All that is written but the header.
pub(super) struct Encoded {
    pub(super) lists: Vec<ListEntry>,
    pub(super) centroids: Vec<u8>,
    /// The row at each position in list order.
    pub(super) order: Vec<u32>,
    pub(super) codes: Vec<u8>,
    pub(super) payload: PayloadRegion,
    pub(super) radius: f32,
}

/// Lays the lists along a path and encodes them; `mean` is that of all rows, rotated.
pub(super) fn encode(
    spec: &IvfSpec,
    options: &BuildOptions,
    rows: &Rows,
    docs: &[DocId],
    lists: Vec<List>,
    mean: &[f32],
) -> Result<Encoded, VectorError> {
    let path = kmeans::path(&lists.iter().map(|list| list.mean.as_slice()).collect::<Vec<_>>());
    let mut encoded = Encoded {
        lists: Vec::with_capacity(lists.len()),
        centroids: Vec::with_capacity(lists.len() * spec.dim),
        order: Vec::with_capacity(docs.len()),
        codes: Vec::new(),
        payload: PayloadRegion::new(spec, options, rows.spilled())?,
        radius: 0.0,
    };
    let mut left = path.as_slice();
    let mut done: Vec<(EncodedList, usize)> = Vec::new();
    while !left.is_empty() || !done.is_empty() {
        let mut bytes = 0;
        let fits = left.iter().take_while(|&&id| {
            bytes += lists[id].rows.len() * spec.dim * 4;
            bytes <= BATCH_BYTES
        });
        let (batch, rest) = left.split_at(fits.count().max(1).min(left.len()));
        left = rest;
        // While some are encoded, those before them are put in their place.
        let (next, placed) = rayon::join(
            || {
                let list = |&id| Ok((EncodedList::new(spec, rows, docs, &lists[id], mean)?, id));
                batch.par_iter().map(list).collect::<Result<Vec<_>, VectorError>>()
            },
            || {
                done.iter().try_for_each(|(list, id)| {
                    encoded.lists.push(list.entry.clone());
                    encoded.centroids.extend_from_slice(&list.centroid);
                    encoded.order.extend_from_slice(&lists[*id].rows);
                    encoded.codes.extend_from_slice(&list.codes);
                    encoded.radius = encoded.radius.max(list.radius);
                    encoded.payload.push(&list.payload)
                })
            },
        );
        placed?;
        done = next?;
    }
    encoded.payload.seal()?;
    // Rounding, of rows to 16 bits and in sums, must not leave a vector outside.
    let rounding = encoded.lists.iter().fold(0.0, |max, list: &ListEntry| list.step.max(max));
    encoded.radius = encoded.radius * (1.0 + 1e-5) + 0.5 * rounding * (spec.dim as f32).sqrt();
    Ok(encoded)
}

struct EncodedList {
    entry: ListEntry,
    centroid: Vec<u8>,
    codes: Vec<u8>,
    payload: Vec<u8>,
    radius: f32,
}

impl EncodedList {
    fn new(
        spec: &IvfSpec,
        rows: &Rows,
        docs: &[DocId],
        List { rows: list, mean: point }: &List,
        mean: &[f32],
    ) -> Result<Self, VectorError> {
        let dim = spec.dim;
        let records = rows.gather(list)?;
        let scale = max_abs(point) / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let bytes: Vec<i8> = point.iter().map(|x| (x * inverse).round() as i8).collect();
        let centroid: Vec<f32> = bytes.iter().map(|&byte| scale * f32::from(byte)).collect();
        let vectors = || records.chunks_exact(dim);
        let step = sq8::step(vectors().map(max_abs).fold(0.0, f32::max));
        let code_len = rabitq::code_len(dim);
        let mut flat = vec![0; list.len() * code_len];
        let factors: Vec<Factors> = vectors()
            .zip(flat.chunks_exact_mut(code_len))
            .map(|(row, code)| rabitq::encode(spec.metric, row, &centroid, code))
            .collect();
        let mean2 = factors.iter().map(|row| f64::from(row.norm2)).sum::<f64>() / list.len() as f64;
        let mut payload = Vec::with_capacity(list.len() * spec.payload().stride(dim));
        let mut given = vec![0.0; if spec.payload().is_of_given() { dim } else { 0 }];
        for (record, &row) in vectors().zip(list) {
            match spec.payload() {
                Payload::None => {}
                Payload::Extended { bits } => {
                    let offset = record.iter().zip(&centroid).map(|(x, c)| x - c);
                    extended::encode(&offset.collect::<Vec<_>>(), bits, &mut payload);
                }
                Payload::Sq8 => sq8::encode(record, step, &mut payload),
                Payload::Floats => {
                    rows.read_given(row as usize, &mut given)?;
                    payload.extend(given.iter().flat_map(|x| x.to_le_bytes()));
                }
                Payload::Bits => {
                    rows.read_given(row as usize, &mut given)?;
                    payload::encode_bits(&given, &mut payload);
                }
            }
        }
        let entry = ListEntry {
            rows: list.len() as u32,
            spread: mean2.sqrt() as f32,
            kappa: factors.iter().fold(0.0, |max, row| row.kappa.max(max)),
            step,
            scale,
            norm2: kernel::dot(&centroid, &centroid),
            first: 0,
            offset: 0,
        };
        let docs: Vec<DocId> = list.iter().map(|&row| docs[row as usize]).collect();
        Ok(Self {
            entry,
            centroid: bytes.iter().map(|&byte| byte as u8).collect(),
            codes: pack(&flat, &factors, &docs),
            payload,
            radius: vectors().map(|row| kernel::l2(row, mean)).fold(0.0, f32::max).sqrt(),
        })
    }
}

/// The bytes of a list: blocks of transposed codes and their factors, row numbers, checksum.
fn pack(codes: &[u8], factors: &[Factors], docs: &[DocId]) -> Vec<u8> {
    let code_len = codes.len() / factors.len();
    let mut out = Vec::new();
    for (codes, factors) in codes.chunks(BLOCK_ROWS * code_len).zip(factors.chunks(BLOCK_ROWS)) {
        let width = block_width(factors.len());
        for byte in 0..code_len {
            out.extend(codes.chunks_exact(code_len).map(|code| code[byte]));
            out.resize(out.len() + width - factors.len(), 0);
        }
        for factor in [|row: &Factors| row.add, |row: &Factors| row.mul] {
            factors.iter().for_each(|row| out.extend_from_slice(&factor(row).to_le_bytes()));
            out.resize(out.len() + 4 * (width - factors.len()), 0);
        }
    }
    docs.iter().for_each(|doc| out.extend_from_slice(&doc.to_le_bytes()));
    let crc = checksum::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn max_abs(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |max, x| max.max(x.abs()))
}

/// The payload region: groups of rows, each behind a checksum.
pub(super) struct PayloadRegion {
    group_bytes: usize,
    /// Rows of a group that is not full yet.
    open: Vec<u8>,
    held: Vec<u8>,
    scratch: Option<Scratch>,
    written: u64,
}

impl PayloadRegion {
    fn new(spec: &IvfSpec, options: &BuildOptions, spill: bool) -> Result<Self, VectorError> {
        let stride = spec.payload().stride(spec.dim);
        let scratch = if spill && stride > 0 { Some(Scratch::new(options)?) } else { None };
        let group_bytes = stride * spec.payload().group_rows() as usize;
        Ok(Self { group_bytes, open: Vec::new(), held: Vec::new(), scratch, written: 0 })
    }

    fn push(&mut self, mut rows: &[u8]) -> Result<(), VectorError> {
        while !rows.is_empty() {
            let fits = (self.group_bytes - self.open.len()).min(rows.len());
            self.open.extend_from_slice(&rows[..fits]);
            rows = &rows[fits..];
            if self.open.len() == self.group_bytes {
                self.close();
            }
        }
        self.spill()
    }

    fn close(&mut self) {
        let crc = checksum::crc32c(&self.open);
        self.held.append(&mut self.open);
        self.held.extend_from_slice(&crc.to_le_bytes());
    }

    fn seal(&mut self) -> Result<(), VectorError> {
        if !self.open.is_empty() {
            self.close();
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<(), VectorError> {
        if let Some(scratch) = &mut self.scratch {
            scratch.append(&self.held)?;
            self.written += self.held.len() as u64;
            self.held.clear();
        }
        Ok(())
    }

    pub(super) fn write_to(&self, out: &mut dyn Write) -> Result<(), VectorError> {
        let Some(scratch) = &self.scratch else {
            return out.write_all(&self.held).map_err(VectorError::Write);
        };
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.written {
            let len = (self.written - at).min(buffer.len() as u64) as usize;
            scratch.read_at(at, &mut buffer[..len])?;
            out.write_all(&buffer[..len]).map_err(VectorError::Write)?;
            at += len as u64;
        }
        Ok(())
    }
}

//! Where in its documents a term stands.
//!
//! The positions of a block of documents are one unit: gaps within each document, packed as streams of 32 documents that
//! share a width, so that any document's are found without unpacking those before it.

use infino_format::cursor::Cursor;
use infino_format::{FormatError, checksum};

use super::List;
use super::short::verify_trailer;
use crate::kernel::pack::{BLOCK_LEN, pack_stream, stream_at, stream_bytes, width};

const WHAT: &str = "positions";
/// Documents that share a width.
const PART_LEN: usize = 32;

/// Appends the positions of a list: if it has several blocks, their ends and a checksum first; then each block, its own
/// checksum last.
pub(crate) fn write(list: &List, out: &mut Vec<u8>) {
    let mut positions = &list.positions[..];
    let (mut ends, mut data) = (Vec::new(), Vec::new());
    for tfs in list.tfs.chunks(BLOCK_LEN) {
        let total: usize = tfs.iter().map(|&tf| tf as usize).sum();
        let (block, rest) = positions.split_at(total);
        positions = rest;
        let start = data.len();
        write_block(tfs, block, &mut data);
        let crc = checksum::crc32c(&data[start..]);
        data.extend_from_slice(&crc.to_le_bytes());
        ends.extend_from_slice(&(data.len() as u64).to_le_bytes());
    }
    if list.tfs.len() > BLOCK_LEN {
        let crc = checksum::crc32c(&ends);
        out.extend_from_slice(&ends);
        out.extend_from_slice(&crc.to_le_bytes());
    }
    out.extend_from_slice(&data);
}

fn write_block(tfs: &[u32], mut positions: &[u32], out: &mut Vec<u8>) {
    let (mut widths, mut streams) = (Vec::new(), Vec::new());
    for tfs in tfs.chunks(PART_LEN) {
        let mut gaps = Vec::new();
        for &tf in tfs {
            let mut last = 0;
            let (doc, rest) = positions.split_at(tf as usize);
            positions = rest;
            for &position in doc {
                gaps.push(position - last);
                last = position;
            }
        }
        widths.push(width(&gaps));
        pack_stream(&gaps, width(&gaps), &mut streams);
    }
    out.extend(widths);
    out.extend(streams);
}

/// Bytes of block `block` of the positions of a list of `df` documents; the table before them is verified here.
pub(crate) fn block(bytes: &[u8], df: usize, block: usize) -> Result<&[u8], FormatError> {
    let blocks = df.div_ceil(BLOCK_LEN);
    if blocks <= 1 {
        return Ok(bytes);
    }
    let mut cursor = Cursor::new(WHAT, bytes);
    let table = cursor.take(blocks.saturating_mul(8).saturating_add(4))?;
    let data = cursor.take(cursor.remaining())?;
    let end =
        |i: usize| u64::from_le_bytes(table[8 * i..8 * i + 8].try_into().expect("eight bytes"));
    let (from, to) = (if block == 0 { 0 } else { end(block - 1) }, end(block));
    if from > to || to > data.len() as u64 {
        return Err(FormatError::invalid(WHAT, format!("block at {from}..{to} of {}", data.len())));
    }
    Ok(&data[from as usize..to as usize])
}

/// Checks the table of [`block`], once a list.
pub(crate) fn verify_table(bytes: &[u8], df: usize) -> Result<(), FormatError> {
    let blocks = df.div_ceil(BLOCK_LEN);
    if blocks <= 1 {
        return Ok(());
    }
    let len = blocks.saturating_mul(8).saturating_add(4);
    verify_trailer(WHAT, bytes.get(..len).unwrap_or_default())
}

/// A block of positions, its streams found.
#[derive(Debug, Default)]
pub(crate) struct PositionBlock {
    /// Per part, its width and where its stream begins.
    parts: [(u8, usize); BLOCK_LEN / PART_LEN],
}

impl PositionBlock {
    /// Reads the frame of a block whose documents have `tfs`; its checksum is the caller's to verify.
    pub(crate) fn open(&mut self, bytes: &[u8], tfs: &[u32]) -> Result<(), FormatError> {
        let parts = tfs.len().div_ceil(PART_LEN);
        let mut cursor = Cursor::new(WHAT, &bytes[..bytes.len().saturating_sub(4)]);
        let widths = cursor.take(parts)?;
        let mut at = parts;
        for ((tfs, &width), part) in tfs.chunks(PART_LEN).zip(widths).zip(&mut self.parts) {
            let count: u64 = tfs.iter().map(|&tf| u64::from(tf)).sum();
            if width > 32 {
                return Err(FormatError::invalid(WHAT, format!("a width of {width} bits")));
            }
            *part = (width, at);
            at = at.saturating_add(stream_bytes(count as usize, width));
        }
        if at.saturating_add(4) != bytes.len() {
            return Err(FormatError::invalid(WHAT, format!("{at} bytes in {}", bytes.len())));
        }
        Ok(())
    }

    /// Appends the positions of document `index` of the block, whose documents have `tfs`.
    pub(crate) fn read(&self, bytes: &[u8], index: usize, tfs: &[u32], out: &mut Vec<u32>) {
        let (width, at) = self.parts[index / PART_LEN];
        let stream = &bytes[at..bytes.len() - 4];
        let before = &tfs[index / PART_LEN * PART_LEN..index];
        let first = before.iter().fold(0u32, |sum, &tf| sum.wrapping_add(tf)) as usize;
        let mut position = 0u32;
        // With width 0 no byte stands behind a number, so the count alone bounds the loop.
        for i in first..first + tfs[index] as usize {
            position = position.wrapping_add(stream_at(stream, width, i));
            out.push(position);
        }
    }
}

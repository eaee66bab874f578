//! Lists of at most one block, with the lengths of their documents beside them.

use infino_format::cursor::Cursor;
use infino_format::{FormatError, checksum, varint};

use super::List;
use crate::kernel::pack::{BLOCK_LEN, pack_stream, stream_bytes, unpack_stream, width};

const WHAT: &str = "posting list";

/// A whole list of at most 128 documents in memory.
#[derive(Debug, Clone)]
pub(crate) struct Short {
    pub(crate) len: usize,
    pub(crate) docs: [u32; BLOCK_LEN],
    pub(crate) tfs: [u32; BLOCK_LEN],
    pub(crate) lens: [u32; BLOCK_LEN],
}

impl Short {
    pub(crate) fn empty() -> Self {
        Self { len: 0, docs: [0; BLOCK_LEN], tfs: [0; BLOCK_LEN], lens: [0; BLOCK_LEN] }
    }
}

/// Appends the inline form: per document `gap * 2 + (tf == 1)`, the tf unless 1, the length; then all position gaps.
pub(crate) fn write_inline(list: &List, lens: &[u32], out: &mut Vec<u8>) {
    let mut next = 0;
    for (&doc, &tf) in list.docs.iter().zip(&list.tfs) {
        varint::write(out, u64::from(doc - next) << 1 | u64::from(tf == 1));
        if tf != 1 {
            varint::write(out, tf.into());
        }
        varint::write(out, lens[doc as usize].into());
        next = doc + 1;
    }
    let mut positions = list.positions.iter();
    if !list.positions.is_empty() {
        for &tf in &list.tfs {
            let mut last = 0;
            for &position in positions.by_ref().take(tf as usize) {
                varint::write(out, u64::from(position - last));
                last = position;
            }
        }
    }
}

/// Reads the inline form of `df` documents; the second result is where the positions begin.
pub(crate) fn read_inline(
    bytes: &[u8],
    df: usize,
    rows: u32,
) -> Result<(Box<Short>, usize), FormatError> {
    let mut cursor = Cursor::new(WHAT, bytes);
    let mut short = Box::new(Short::empty());
    let mut next = 0u64;
    if df > super::INLINE_DOCS {
        return Err(FormatError::invalid(WHAT, format!("{df} documents inline")));
    }
    for i in 0..df {
        let head = cursor.varint()?;
        let doc = next.saturating_add(head >> 1);
        let tf = if head & 1 == 1 { 1 } else { cursor.varint()? };
        let len = cursor.varint()?;
        let tf = u32::try_from(tf).unwrap_or(0);
        if doc >= rows.into() || tf == 0 || len > u32::MAX.into() {
            return Err(FormatError::invalid(
                WHAT,
                format!("document {doc} of {rows}, {tf} times"),
            ));
        }
        (short.docs[i], short.tfs[i], short.lens[i]) = (doc as u32, tf, len as u32);
        next = doc + 1;
    }
    short.len = df;
    Ok((short, cursor.position()))
}

/// Appends the short form: three widths, the gaps, tf − 1, lengths, checksum.
pub(crate) fn write_short(list: &List, lens: &[u32], out: &mut Vec<u8>) {
    let start = out.len();
    let gaps = gaps(&list.docs, 0);
    let tfs: Vec<u32> = list.tfs.iter().map(|tf| tf - 1).collect();
    let lens: Vec<u32> = list.docs.iter().map(|&doc| lens[doc as usize]).collect();
    let columns = [&gaps, &tfs, &lens];
    out.extend(columns.map(|values| width(values)));
    columns.iter().for_each(|values| pack_stream(values, width(values), out));
    let crc = checksum::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The distances between neighbours, less one; the first from `next`.
pub(crate) fn gaps(docs: &[u32], mut next: u32) -> Vec<u32> {
    docs.iter()
        .map(|&doc| {
            let gap = doc - next;
            next = doc.wrapping_add(1);
            gap
        })
        .collect()
}

/// Turns gaps back into documents in place; errors if one is not below `rows`.
#[inline]
pub(crate) fn sum_gaps(gaps: &mut [u32], next: u32, rows: u32) -> Result<(), FormatError> {
    let mut next = u64::from(next);
    for gap in gaps {
        let doc = next + u64::from(*gap);
        *gap = doc as u32;
        next = doc + 1;
    }
    if next > u64::from(rows) {
        return Err(FormatError::invalid(WHAT, format!("document {} of {rows}", next - 1)));
    }
    Ok(())
}

/// Reads the short form of `df` documents. The checksum is the caller's to verify ([`verify_trailer`]).
pub(crate) fn read_short(bytes: &[u8], df: usize, rows: u32) -> Result<Box<Short>, FormatError> {
    let mut cursor = Cursor::new(WHAT, bytes);
    let widths = [cursor.u8()?, cursor.u8()?, cursor.u8()?];
    if df > BLOCK_LEN || widths.iter().any(|&width| width > 32) {
        return Err(FormatError::invalid(WHAT, format!("{df} documents of {widths:?} bits")));
    }
    let mut short = Box::new(Short::empty());
    short.len = df;
    let Short { docs, tfs, lens, .. } = &mut *short;
    for (values, width) in [docs, tfs, lens].into_iter().zip(widths) {
        unpack_stream(cursor.take(stream_bytes(df, width))?, width, &mut values[..df]);
    }
    cursor.take(4)?;
    cursor.finish()?;
    sum_gaps(&mut short.docs[..df], 0, rows)?;
    short.tfs[..df].iter_mut().for_each(|tf| *tf = tf.saturating_add(1));
    Ok(short)
}

/// Checks the CRC-32C in the last four bytes.
pub(crate) fn verify_trailer(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    let Some((body, trailer)) = bytes.split_last_chunk::<4>() else {
        return Err(FormatError::Truncated { what, at: 0, needed: 4, len: bytes.len() });
    };
    checksum::verify(what, body, u32::from_le_bytes(*trailer))
}

/// Reads the positions behind an inline list whose documents have `tfs`.
pub(crate) fn read_inline_positions(
    bytes: &[u8],
    tfs: &[u32],
) -> Result<Vec<Vec<u32>>, FormatError> {
    let mut cursor = Cursor::new(WHAT, bytes);
    let mut docs = Vec::with_capacity(tfs.len());
    for &tf in tfs {
        let mut positions = Vec::new();
        let mut position = 0u32;
        for _ in 0..tf {
            position = position.wrapping_add(cursor.varint()? as u32);
            positions.push(position);
        }
        docs.push(positions);
    }
    cursor.finish()?;
    Ok(docs)
}

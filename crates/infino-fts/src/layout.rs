//! The open bytes of a section: what a reader must know before it can ask for anything.
//! Bytes: `docs/format/text.md`.

use std::ops::Range;

use infino_format::cursor::Cursor;
use infino_format::{FormatError, checksum, varint};

use crate::dict::top::Top;

const WHAT: &str = "text section";
const MAGIC: [u8; 4] = *b"IFTS";
/// The layout this release writes and the newest it reads; it reads all before.
pub(crate) const VERSION: u16 = 2;
/// Bytes before the fields.
const HEADER_LEN: usize = 32;
/// Rows whose lengths share a checksum.
pub(crate) const LEN_CHUNK_ROWS: usize = 1 << 16;

/// The most rows of a section: a reader sets aside a bit a row, so it must not take any number on trust.
pub(crate) const ROWS_MAX: u32 = 1 << 28;

/// One field as the open bytes tell it.
#[derive(Debug, Default)]
pub(crate) struct FieldLayout {
    /// Of the section.
    pub(crate) version: u16,
    pub(crate) column: String,
    pub(crate) analyzer: String,
    pub(crate) positions: bool,
    pub(crate) docs: u64,
    pub(crate) tokens: u64,
    pub(crate) terms: u64,
    pub(crate) max_len: u32,
    /// Bytes a length takes: 0 if all are 0, else 1, 2 or 4.
    pub(crate) len_width: u8,
    pub(crate) len_crcs: Vec<u32>,
    /// Places in the section.
    pub(crate) lens: Range<u64>,
    pub(crate) dict: Range<u64>,
    pub(crate) postings: Range<u64>,
    pub(crate) position_bytes: Range<u64>,
    /// Checksummed units of all lists.
    pub(crate) units: u64,
    pub(crate) max_term: Vec<u8>,
    pub(crate) top: Top,
}

/// What a builder knows of a field when its bytes are written.
#[derive(Debug, Default)]
pub(crate) struct FieldParts {
    pub(crate) layout: FieldLayout,
    pub(crate) blocks: Vec<(Vec<u8>, usize)>,
    /// Lengths of the four regions: lengths, dictionary, postings, positions.
    pub(crate) lens: [u64; 4],
}

/// The open bytes of a section of `rows` with these fields, whose regions follow in order.
pub(crate) fn write(rows: u32, fields: &[FieldParts]) -> Vec<u8> {
    let mut body = Vec::new();
    for FieldParts { layout, blocks, lens } in fields {
        varint::write_bytes(&mut body, layout.column.as_bytes());
        varint::write_bytes(&mut body, layout.analyzer.as_bytes());
        body.push(u8::from(layout.positions));
        for number in
            [layout.docs, layout.tokens, layout.terms, layout.max_len.into(), layout.units]
        {
            varint::write(&mut body, number);
        }
        body.push(layout.len_width);
        lens.iter().for_each(|&len| varint::write(&mut body, len));
        layout.len_crcs.iter().for_each(|crc| body.extend_from_slice(&crc.to_le_bytes()));
        varint::write_bytes(&mut body, &layout.max_term);
        crate::dict::top::write(blocks, &mut body);
    }
    let open_len = (HEADER_LEN + body.len() + 4) as u64;
    let regions: u64 = fields.iter().flat_map(|field| field.lens).sum();
    let mut out = Vec::with_capacity(open_len as usize);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&open_len.to_le_bytes());
    out.extend_from_slice(&(open_len + regions).to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
    let crc = checksum::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Reads open bytes; `open` may be longer. Returns rows, fields and the length of the open bytes.
pub(crate) fn read(
    open: &[u8],
    section_len: u64,
) -> Result<(u32, Vec<FieldLayout>, usize), FormatError> {
    let mut cursor = Cursor::new(WHAT, open);
    let magic = cursor.take(4)?;
    if magic != MAGIC {
        return Err(FormatError::Magic { what: WHAT, found: magic.to_vec() });
    }
    let version = cursor.u16()?;
    if !(1..=VERSION).contains(&version) {
        return Err(FormatError::Version {
            what: WHAT,
            found: version.into(),
            newest: VERSION.into(),
        });
    }
    let reserved = cursor.u16()?;
    let (open_len, len) = (cursor.u64()?, cursor.u64()?);
    let (rows, count) = (cursor.u32()?, cursor.u32()?);
    if open_len < (HEADER_LEN + 4) as u64 || open_len > open.len() as u64 {
        return Err(FormatError::Truncated {
            what: WHAT,
            at: 0,
            needed: open_len.min(usize::MAX as u64) as usize,
            len: open.len(),
        });
    }
    let open = &open[..open_len as usize];
    crate::postings::short::verify_trailer(WHAT, open)?;
    if reserved != 0 || len != section_len {
        return Err(FormatError::invalid(
            WHAT,
            format!("{len} bytes announced, {section_len} there"),
        ));
    }
    if rows > ROWS_MAX {
        return Err(FormatError::invalid(WHAT, format!("{rows} rows, at most {ROWS_MAX} can be")));
    }
    let mut cursor = Cursor::new(WHAT, &open[HEADER_LEN..open.len() - 4]);
    let mut at = open_len;
    let mut fields = Vec::new();
    for _ in 0..count {
        fields.push(FieldLayout { version, ..read_field(&mut cursor, rows, &mut at)? });
    }
    cursor.finish()?;
    if at != section_len {
        return Err(FormatError::invalid(WHAT, format!("regions end at {at} of {section_len}")));
    }
    Ok((rows, fields, open_len as usize))
}

fn read_field(
    cursor: &mut Cursor<'_>,
    rows: u32,
    at: &mut u64,
) -> Result<FieldLayout, FormatError> {
    let mut field = FieldLayout {
        column: cursor.str()?.to_owned(),
        analyzer: cursor.str()?.to_owned(),
        positions: match cursor.u8()? {
            0 => false,
            1 => true,
            other => return Err(FormatError::invalid(WHAT, format!("flag {other}"))),
        },
        docs: cursor.varint()?,
        tokens: cursor.varint()?,
        terms: cursor.varint()?,
        max_len: cursor.varint()?.try_into().map_err(|_| FormatError::invalid(WHAT, "a length"))?,
        units: cursor.varint()?,
        len_width: cursor.u8()?,
        ..FieldLayout::default()
    };
    for region in 0..4 {
        let len = cursor.varint()?;
        let end =
            at.checked_add(len).ok_or_else(|| FormatError::invalid(WHAT, "a region's end"))?;
        let range = *at..end;
        *at = end;
        match region {
            0 => field.lens = range,
            1 => field.dict = range,
            2 => field.postings = range,
            _ => field.position_bytes = range,
        }
    }
    let lens_len = field.lens.end - field.lens.start;
    if !matches!(field.len_width, 0 | 1 | 2 | 4)
        || lens_len != u64::from(field.len_width) * u64::from(rows)
        || field.docs > rows.into()
        // Rows are bounded by the bytes of their lengths wherever there is a list.
        || field.len_width == 0 && field.postings.end > field.dict.start
        || field.units > field.position_bytes.end - field.postings.start
    {
        return Err(FormatError::invalid(WHAT, format!("numbers of field {:?}", field.column)));
    }
    if field.len_width > 0 {
        let chunks = (rows as usize).div_ceil(LEN_CHUNK_ROWS);
        field.len_crcs = cursor
            .take(4 * chunks)?
            .chunks_exact(4)
            .map(|crc| u32::from_le_bytes(crc.try_into().expect("four bytes")))
            .collect();
    }
    field.max_term = cursor.bytes()?.to_vec();
    field.top = Top::read(cursor, field.dict.start)?;
    if field.top.end() != field.dict.end {
        return Err(FormatError::invalid(WHAT, format!("dictionary of field {:?}", field.column)));
    }
    Ok(field)
}

//! Where things stand in a superfile, and how its footer says so.
//!
//! ```text
//! "PAR1" | row groups | text section | vector sections | key section | checksums | page index, Parquet footer, "PAR1"
//! ```
//!
//! The footer's key-value metadata names the sections ([`SECTIONS_KEY`]), carries the statistics ([`STATS_KEY`]) and
//! makes the footer prove itself ([`SEAL_KEY`]). Bytes: `docs/format/superfile.md`.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infino_format::checksum::crc32c;
use infino_format::cursor::Cursor;
use infino_format::schema::{IndexSet, Metric, RerankCodec, TableSchema};
use infino_format::summary::{SectionKind, SectionRef, SuperfileSummary};
use infino_format::{FormatError, SuperfileId};
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};

use crate::schema::column_id;

/// Version of the file's layout.
pub(crate) const VERSION: u32 = 1;
/// Key of the layout version, in decimal.
pub(crate) const VERSION_KEY: &str = "inf.version";
/// Key of the Arrow schema, if it is not the one that other readers are told (`hint`).
pub(crate) const ARROW_KEY: &str = "inf.arrow_schema";
/// Key of the table of contents, a line a section.
pub(crate) const SECTIONS_KEY: &str = "inf.sections";
/// Key of what is indexed and how, a line an index; for people and for rebuilding.
pub(crate) const INDEXES_KEY: &str = "inf.indexes";
/// Key of the statistics: a summary without places and name, in base64.
pub(crate) const STATS_KEY: &str = "inf.stats";
/// Key of where the footer starts and its checksum; the last of the keys.
pub(crate) const SEAL_KEY: &str = "inf.seal";

const WHAT: &str = "superfile footer";

/// A section and the hash of what opens it, which ties the section to this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) section: SectionRef,
    pub(crate) open_hash: u64,
}

impl Placed {
    pub(crate) fn range(&self) -> Range<u64> {
        self.section.offset..self.section.offset + self.section.len
    }

    pub(crate) fn open_range(&self) -> Range<u64> {
        self.section.offset..self.section.offset + self.section.open_len
    }
}

/// Most of a section that its entry in the table of contents holds the hash of.
pub(crate) const OPEN_HASH_BYTES: usize = 64 << 10;

/// The hash in the table of contents of a section that is opened by `open`: the first 8 bytes, little-endian, of BLAKE3
/// of no more than [`OPEN_HASH_BYTES`] of it.
///
/// Not a checksum of the kind that sections carry: the CRC of bytes that end in their own CRC is the same for all.
pub(crate) fn open_hash(open: &[u8]) -> u64 {
    let hash = blake3::hash(&open[..open.len().min(OPEN_HASH_BYTES)]);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

/// The footer's keys but the seal.
pub(crate) fn key_values(
    schema: &TableSchema,
    placed: &[Placed],
    summary: &SuperfileSummary,
) -> Vec<KeyValue> {
    let stats = SuperfileSummary {
        id: SuperfileId(0),
        file_len: 0,
        footer_len: 0,
        footer_crc: 0,
        sections: Vec::new(),
        key: None,
        ..summary.clone()
    };
    let mut encoded = Vec::new();
    stats.encode(&mut encoded);
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        pair(VERSION_KEY, VERSION.to_string()),
        pair(SECTIONS_KEY, placed.iter().map(line).collect()),
        pair(INDEXES_KEY, index_lines(schema)),
        pair(STATS_KEY, STANDARD.encode(encoded)),
    ]
}

fn line(placed: &Placed) -> String {
    let SectionRef { kind, version, field_ids, offset, len, open_len } = &placed.section;
    let kind = match kind {
        SectionKind::Text => "text",
        SectionKind::Vector => "vector",
        SectionKind::BodyChecksums => "checksums",
        SectionKind::Key => "key",
    };
    let fields: Vec<_> = field_ids.iter().map(u32::to_string).collect();
    format!(
        "{kind} version={version} offset={offset} len={len} open={open_len} hash={:016x} fields={}\n",
        placed.open_hash,
        fields.join(",")
    )
}

fn index_lines(schema: &TableSchema) -> String {
    let IndexSet { text, vectors, key } = &schema.indexes;
    let field_id = |name: &str| column_id(schema, name);
    let mut out = String::new();
    for index in text {
        let _ = writeln!(
            out,
            "text field={} analyzer={} positions={} stored={} column={}",
            field_id(&index.column),
            index.analyzer,
            index.positions,
            index.stored,
            index.column
        );
    }
    for index in vectors {
        let metric = match index.metric {
            Metric::L2 => "l2",
            Metric::Cosine => "cosine",
            Metric::InnerProduct => "inner_product",
            Metric::Hamming => "hamming",
        };
        let rerank = match index.rerank {
            RerankCodec::None => "none",
            RerankCodec::Sq8Residual => "sq8_residual",
            RerankCodec::F32 => "f32",
        };
        let _ = writeln!(
            out,
            "vector field={} dim={} metric={metric} rerank={rerank} recall_millis={} stored={} column={}",
            field_id(&index.column),
            index.dim,
            index.target_recall_millis,
            index.stored,
            index.column
        );
    }
    for column in key {
        let _ = writeln!(out, "key field={} column={column}", field_id(column));
    }
    out
}

/// Reads the table of contents of a footer that starts at `footer_start`.
///
/// # Errors
/// [`FormatError`] if it is not one, or names bytes that cannot be a section's.
pub(crate) fn parse_sections(text: &str, footer_start: u64) -> Result<Vec<Placed>, FormatError> {
    let placed: Vec<_> = text.lines().map(parse_line).collect::<Result<_, _>>()?;
    let mut at = 4;
    for Placed { section, .. } in &placed {
        let end = section.offset.checked_add(section.len);
        if section.offset < at
            || section.open_len > section.len
            || end.is_none_or(|end| end > footer_start)
        {
            return Err(FormatError::invalid(WHAT, "a section overlaps what it may not"));
        }
        at = section.offset + section.len;
    }
    match placed.last() {
        Some(last)
            if last.section.kind == SectionKind::BodyChecksums
                && at == footer_start
                && last.section.open_len == last.section.len =>
        {
            Ok(placed)
        }
        _ => Err(FormatError::invalid(WHAT, "the checksums are not the last section")),
    }
}

fn parse_line(line: &str) -> Result<Placed, FormatError> {
    let bad = || FormatError::invalid(WHAT, format!("{line:?} is not a section"));
    let mut words = line.split(' ');
    let kind = match words.next() {
        Some("text") => SectionKind::Text,
        Some("vector") => SectionKind::Vector,
        Some("checksums") => SectionKind::BodyChecksums,
        Some("key") => SectionKind::Key,
        _ => return Err(bad()),
    };
    let mut value = |key: &str| {
        let word = words.next().and_then(|word| word.strip_prefix(key)?.strip_prefix('='));
        word.ok_or_else(bad)
    };
    let version = value("version")?.parse().map_err(|_| bad())?;
    let offset = value("offset")?.parse().map_err(|_| bad())?;
    let len = value("len")?.parse().map_err(|_| bad())?;
    let open_len = value("open")?.parse().map_err(|_| bad())?;
    let open_hash = u64::from_str_radix(value("hash")?, 16).map_err(|_| bad())?;
    let fields = value("fields")?;
    let field_ids = match fields {
        "" => Vec::new(),
        fields => {
            fields.split(',').map(|id| id.parse().map_err(|_| bad())).collect::<Result<_, _>>()?
        }
    };
    let section = SectionRef { kind, version, field_ids, offset, len, open_len };
    Ok(Placed { section, open_hash })
}

/// Reads the statistics.
pub(crate) fn parse_stats(text: &str) -> Result<SuperfileSummary, FormatError> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| FormatError::invalid(WHAT, format!("{STATS_KEY}: {error}")))?;
    let mut cursor = Cursor::new(WHAT, &bytes);
    let stats = SuperfileSummary::decode(&mut cursor)?;
    cursor.finish()?;
    Ok(stats)
}

/// The same metadata with these keys.
pub(crate) fn with_keys(metadata: ParquetMetaData, keys: Vec<KeyValue>) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(keys),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let mut rest = ParquetMetaDataBuilder::new_from_metadata(metadata);
    ParquetMetaDataBuilder::new(file)
        .set_row_groups(rest.take_row_groups())
        .set_column_index(rest.take_column_index())
        .set_offset_index(rest.take_offset_index())
        .build()
}

/// The seal's key as Parquet's compact Thrift writes it, up to and with the length of the value.
const SEAL_MARK: &[u8] = b"inf.seal\x18\x19";
const START_DIGITS: usize = 16;
const CRC_DIGITS: usize = 8;
const SEAL_LEN: usize = START_DIGITS + 1 + CRC_DIGITS;

/// The seal before the footer is written: its start is known, its checksum is not.
pub(crate) fn unsealed(footer_start: u64) -> KeyValue {
    KeyValue::new(SEAL_KEY.to_owned(), format!("{footer_start:016x} {:08x}", 0))
}

/// Writes the footer's checksum into its seal.
pub(crate) fn seal(footer: &mut [u8]) {
    let at = find_seal(footer).expect("the seal was written as the last key");
    let crc = crc32c(footer);
    let digits = at + START_DIGITS + 1;
    footer[digits..digits + CRC_DIGITS].copy_from_slice(format!("{crc:08x}").as_bytes());
}

/// Where the footer starts, by the seal in the last bytes of a file.
///
/// # Errors
/// [`FormatError::Invalid`] if there is no seal.
pub(crate) fn sealed_start(tail: &[u8]) -> Result<u64, FormatError> {
    let digits = find_seal(tail).and_then(|at| std::str::from_utf8(&tail[at..][..16]).ok());
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| {
        FormatError::invalid(WHAT, "holds no seal: the file is not a superfile, or is damaged")
    })
}

/// Checks a whole footer against its seal.
///
/// # Errors
/// [`FormatError`] if it is not what was sealed.
pub(crate) fn check_seal(footer: &[u8]) -> Result<(), FormatError> {
    sealed_start(footer)?;
    let digits = find_seal(footer).expect("found above") + START_DIGITS + 1;
    let mut unsealed = footer.to_vec();
    unsealed[digits..digits + CRC_DIGITS].fill(b'0');
    let found = crc32c(&unsealed);
    if footer[digits..digits + CRC_DIGITS] == *format!("{found:08x}").as_bytes() {
        return Ok(());
    }
    let stored = std::str::from_utf8(&footer[digits..digits + CRC_DIGITS]).ok();
    let expected = stored.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Err(FormatError::Checksum { what: WHAT, expected: expected.unwrap_or_default(), found })
}

/// Where the value of the last seal in `bytes` begins.
fn find_seal(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(SEAL_MARK.len()).rposition(|window| window == SEAL_MARK)?;
    let value = at + SEAL_MARK.len();
    (value + SEAL_LEN <= bytes.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(kind: SectionKind, offset: u64, len: u64, fields: &[u32]) -> Placed {
        let open_len = if kind == SectionKind::BodyChecksums { len } else { len / 2 };
        let section =
            SectionRef { kind, version: 1, field_ids: fields.to_vec(), offset, len, open_len };
        Placed { section, open_hash: 0xab }
    }

    #[test]
    fn the_table_of_contents_round_trips_and_excludes_overlaps() {
        let good = [
            placed(SectionKind::Text, 4, 10, &[1, 2]),
            placed(SectionKind::Vector, 14, 10, &[3]),
            placed(SectionKind::BodyChecksums, 24, 6, &[]),
        ];
        let text: String = good.iter().map(line).collect();
        assert_eq!(parse_sections(&text, 30).unwrap(), good);
        assert!(parse_sections(&text, 31).is_err());
        assert!(parse_sections(&text, 29).is_err());
        assert!(parse_sections("", 30).is_err());
        for len in 0..text.len() - 1 {
            assert!(parse_sections(&text[..len], 30).is_err(), "cut at {len}");
        }
        let swapped: String = [&good[1], &good[0], &good[2]].into_iter().map(line).collect();
        assert!(parse_sections(&swapped, 30).is_err());
    }

    #[test]
    fn a_seal_shows_every_flipped_bit() {
        let mut footer = b"some bytes before ".to_vec();
        footer.extend_from_slice(SEAL_MARK);
        footer.extend_from_slice(unsealed(77).value.unwrap().as_bytes());
        footer.extend_from_slice(b" and after");
        seal(&mut footer);
        assert_eq!(sealed_start(&footer), Ok(77));
        check_seal(&footer).unwrap();
        for bit in 0..footer.len() * 8 {
            let mut bad = footer.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check_seal(&bad).is_err(), "bit {bit}");
        }
    }
}

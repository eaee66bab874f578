//! Pins the bytes of the format page `docs/format/superfile.md`. `UPDATE_GOLDEN=1` writes them anew.

mod support;

use std::fmt::Write as _;
use std::path::Path;

use infino_format::checksum::crc32c;
use infino_format::schema::TableSchema;
use infino_format::summary::SectionKind;
use infino_superfile::{Compression, SuperfileOptions, arrow_schema, table_schema};
use parquet::file::reader::{FileReader, SerializedFileReader};
use support::{batch, build, indexed_columns, indexed_schema, small};

/// What is pinned of one file: its keys but the statistics, its checksums, and the checksum of the whole.
fn describe(name: &str, schema: &TableSchema, compression: Compression) -> String {
    let options = SuperfileOptions { compression, ..small() };
    let rows = batch(schema, 1 << 100, indexed_columns(0..50));
    let (bytes, summary) = build(schema, options, &[rows]).unwrap();
    let mut out = format!("== {name}: {} bytes, crc {:08x}\n", bytes.len(), crc32c(&bytes));
    let checksums = summary.sections.last().unwrap();
    assert_eq!(checksums.kind, SectionKind::BodyChecksums);
    let section = &bytes[checksums.offset as usize..][..checksums.len as usize];
    let hex: String = section.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = writeln!(out, "checksums {hex}");
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    for pair in file.metadata().file_metadata().key_value_metadata().unwrap() {
        let value = pair.value.as_deref().unwrap_or_default();
        match pair.key.as_str() {
            "inf.stats" | "inf.arrow_schema" | "ARROW:schema" => {
                let _ = writeln!(out, "{} crc {:08x}", pair.key, crc32c(value.as_bytes()));
            }
            key => {
                let _ = writeln!(out, "{key} {}", value.trim_end());
            }
        }
    }
    out
}

#[test]
fn golden_files() {
    let indexed = indexed_schema();
    let plain = table_schema(&arrow_schema(&indexed).unwrap(), Default::default()).unwrap();
    let found = [
        describe("plain, uncompressed", &plain, Compression::Uncompressed),
        describe("plain, zstd", &plain, Compression::Zstd(3)),
        describe("indexed, lz4", &indexed, Compression::Lz4),
    ]
    .concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/superfile.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let pinned = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, pinned, "the bytes of the format changed; see {}", path.display());
}

//! The bytes of `docs/format/text.md`, pinned.

use infino_format::checksum::crc32c;
use infino_format::schema::TextIndex;
use infino_fts::{BuildOptions, FtsBuilder};

fn index(column: &str, analyzer: &str, positions: bool) -> TextIndex {
    TextIndex { column: column.into(), analyzer: analyzer.into(), positions, stored: true }
}

#[test]
fn a_small_section_is_these_bytes() {
    let mut builder =
        FtsBuilder::new(&[index("t", "standard-v1", true)], BuildOptions::default()).unwrap();
    for text in [Some("b a b"), None, Some("a")] {
        builder.push(&[text]).unwrap();
    }
    let (bytes, built) = builder.finish().unwrap();
    assert_eq!((built.len, built.open_len), (bytes.len() as u64, 72));
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected: Vec<&str> =
        SMALL.lines().flat_map(|line| line.split('|').next().unwrap().split_whitespace()).collect();
    assert_eq!(hex, expected);
}

const SMALL: &str = "
    49 46 54 53 01 00 00 00                         | magic, version, zero
    48 00 00 00 00 00 00 00 71 00 00 00 00 00 00 00 | 72 open bytes of 113
    03 00 00 00 01 00 00 00                         | 3 rows, 1 field
    01 74 0b 73 74 61 6e 64 61 72 64 2d 76 31 01    | t, standard-v1, with positions
    02 04 02 03 00                                  | 2 documents, 4 tokens, 2 terms, up to 3 long, no units
    01 03 26 00 00 0a e0 21 78                      | lengths of 1 byte, the regions, checksum of the lengths
    01 62                                           | the greatest term
    01 00 01 61 26                                  | one dictionary block, from a, of 38 bytes
    79 39 47 c7                                     | checksum of the open bytes
    03 00 01                                        | lengths
    02 00 00 00 06 12 00 00 00 00                   | 2 terms, bases, columns of 6 and 18 bytes, the restart
    00 01 61 00 01 62                               | a, b
    00 00 00                                        | the restart again: no lists before
    05 06 01 03 03 01 01 00                         | a: 2 documents inline; 0 (length 3), 2 (length 1); at 1; at 0
    03 05 00 02 03 00 02                            | b: 1 document inline; 0, twice (length 3); at 0 and 2
    e4 ed bb 60                                     | checksum of the block
";

#[test]
fn a_large_section_has_this_checksum() {
    let fields =
        [index("a", "english-v1", true), index("b", "code-v1", false), index("c", "cjk-v1", true)];
    let mut builder = FtsBuilder::new(&fields, BuildOptions::default()).unwrap();
    let mut state = 7u32;
    for row in 0..3000u32 {
        let mut words = String::new();
        for _ in 0..row % 40 {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            words += &format!("word{} ", (state >> 20) % (1 + row % 500));
        }
        let name = format!("parseItem{}", row % 300);
        builder.push(&[Some(&words), (row % 3 > 0).then_some(&name), Some("東京タワー")]).unwrap();
    }
    let (bytes, built) = builder.finish().unwrap();
    assert_eq!((built.len, crc32c(&bytes)), (155_072, 4_062_737_846));
}

//! The bytes of `docs/format/text.md`, pinned.

use bytes::Bytes;
use infino_format::DocSet;
use infino_format::checksum::crc32c;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{
    BuildOptions, CorpusStats, FtsBuilder, FtsReader, Operator, Query, RowMap, merge_sections,
};

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
    49 46 54 53 02 00 00 00                         | magic, version, zero
    48 00 00 00 00 00 00 00 71 00 00 00 00 00 00 00 | 72 open bytes of 113
    03 00 00 00 01 00 00 00                         | 3 rows, 1 field
    01 74 0b 73 74 61 6e 64 61 72 64 2d 76 31 01    | t, standard-v1, with positions
    02 04 02 03 00                                  | 2 documents, 4 tokens, 2 terms, up to 3 long, no units
    01 03 26 00 00 0a e0 21 78                      | lengths of 1 byte, the regions, checksum of the lengths
    01 62                                           | the greatest term
    01 00 01 61 26                                  | one dictionary block, from a, of 38 bytes
    7f 08 54 5b                                     | checksum of the open bytes
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
    assert_eq!((built.len, crc32c(&bytes)), (152_595, 3_065_808_075));
}

/// Rows that give lists of every form, of several groups of blocks.
fn rows() -> impl Iterator<Item = String> {
    let mut state = 3u32;
    (0..1500u32).map(move |row| {
        let mut text = String::from("common words");
        for _ in 0..row % 8 {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            text += &format!(" v{}", (state >> 8) % (1 + (state >> 20) % 90));
        }
        for (every, word) in [(2, "half"), (7, "seventh"), (60, "sixtieth"), (400, "rare")] {
            if row % every == 0 {
                text += &format!(" {word} {word}ly{}", " pad".repeat(row as usize % 5));
            }
        }
        text
    })
}

fn answers(section: &Bytes, query: &Query) -> (Vec<(u32, u32)>, u64) {
    let reader = FtsReader::resident(section.clone()).unwrap();
    let prepared = run_resident(section, reader.prepare(query).unwrap()).unwrap();
    let stats = CorpusStats::of(&reader, &prepared);
    let search = reader.search(&prepared, &stats, 1500, None, None).unwrap();
    let hits = run_resident(section, search).unwrap();
    let count = run_resident(section, reader.count(&prepared, None).unwrap()).unwrap();
    (hits.into_iter().map(|hit| (hit.doc, hit.score.to_bits())).collect(), count)
}

#[test]
fn a_section_of_version_1_is_read_and_merged() {
    let old = Bytes::from_static(include_bytes!("golden/text-v1.bin"));
    assert_eq!(old[4..6], [1, 0]);
    let mut builder =
        FtsBuilder::new(&[index("t", "standard-v1", true)], BuildOptions::default()).unwrap();
    rows().for_each(|text| {
        builder.push(&[Some(&text)]).unwrap();
    });
    let new = Bytes::from(builder.finish().unwrap().0);
    let mut queries: Vec<Query> =
        ["common words", "half halfly pad", "v3 v7 v60", "pad pad", "rare v0"]
            .into_iter()
            .flat_map(|text| {
                let matching = |operator| Query::matching("t", text, operator);
                [matching(Operator::Or), matching(Operator::And), Query::phrase("t", text)]
            })
            .collect();
    queries.push(Query::Phrase { field: "t".into(), text: "words half".into(), slop: 4 });
    for query in queries {
        assert_eq!(answers(&old, &query), answers(&new, &query), "{query:?}");
    }
    let reader = FtsReader::resident(old).unwrap();
    let all = RowMap::kept(&DocSet::full(reader.rows()), 0);
    let mut merged = Vec::new();
    merge_sections(&[(reader, all)], None, &BuildOptions::default(), &mut merged).unwrap();
    assert!(merged == new, "a section of version 1 is merged as if built anew");
}

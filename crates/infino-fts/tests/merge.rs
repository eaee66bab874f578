//! Merged sections against sections built from the texts.

use bytes::Bytes;
use infino_format::DocSet;
use infino_format::schema::TextIndex;
use infino_fts::{BuildOptions, FtsBuilder, FtsError, FtsReader, RowMap, merge_sections};
use proptest::prelude::*;

type Row = [Option<String>; 2];

fn fields() -> [TextIndex; 2] {
    [("a", "english-v1", true), ("b", "code-v1", false)].map(|(column, analyzer, positions)| {
        TextIndex { column: column.into(), analyzer: analyzer.into(), positions, stored: true }
    })
}

fn build(rows: &[Row]) -> Vec<u8> {
    let mut builder = FtsBuilder::new(&fields(), BuildOptions::default()).unwrap();
    for row in rows {
        builder.push(&[row[0].as_deref(), row[1].as_deref()]).unwrap();
    }
    builder.finish().unwrap().0
}

fn open(rows: &[Row]) -> FtsReader {
    FtsReader::resident(Bytes::from(build(rows))).unwrap()
}

fn docs(rows: &[Row]) -> [u64; 2] {
    [0, 1].map(|field| rows.iter().filter(|row| row[field].is_some()).count() as u64)
}

fn merge(
    inputs: &[(FtsReader, RowMap)],
    docs: Option<&[u64]>,
    memory_bytes: usize,
) -> Result<Vec<u8>, FtsError> {
    let mut out = Vec::new();
    let options = BuildOptions { memory_bytes, ..BuildOptions::default() };
    let built = merge_sections(inputs, docs, &options, &mut out)?;
    assert_eq!(built.len, out.len() as u64);
    Ok(out)
}

/// `count` rows of words among `words`, some null, some empty.
fn texts(count: usize, words: u32, mut state: u32) -> Vec<Row> {
    let mut next = |below: u32| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) % below
    };
    let mut text = |longest: u32| match next(10) {
        0 => None,
        _ => Some(
            (0..next(longest))
                .map(|_| format!("w{} ", next(words) * next(words) / words))
                .collect(),
        ),
    };
    (0..count).map(|_| [text(60), text(6)]).collect()
}

#[test]
fn long_lists_merge_to_the_bytes_of_a_fresh_build() {
    let parts = [texts(3000, 30, 1), texts(10, 5000, 2), texts(0, 1, 3), texts(2500, 400, 4)];
    let mut first = 0;
    let mut inputs = Vec::new();
    let mut kept_rows: Vec<Row> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let mut kept = DocSet::empty(part.len() as u32);
        (0..part.len() as u32)
            .filter(|row| row % 7 != i as u32)
            .for_each(|row| _ = kept.insert(row));
        inputs.push((open(part), RowMap::kept(&kept, first)));
        first += kept.len();
        kept_rows.extend(
            part.iter().zip(0..).filter(|&(_, row)| kept.contains(row)).map(|(row, _)| row.clone()),
        );
    }
    let expected = build(&kept_rows);
    for memory in [256 << 20, 0] {
        assert!(merge(&inputs, Some(&docs(&kept_rows)), memory).unwrap() == expected);
    }
    assert!(matches!(merge(&inputs, None, 0), Err(FtsError::Invalid(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_order_merges_to_the_bytes_of_a_fresh_build(
        sizes in prop::collection::vec(0usize..60, 1..5),
        words in 1u32..50,
        seed: u32,
    ) {
        let parts: Vec<Vec<Row>> =
            sizes.iter().zip(0..).map(|(&size, i)| texts(size, words, seed ^ i)).collect();
        // Rows of all parts in a shuffled order, a third of them dropped.
        let mut order: Vec<(u64, usize, usize)> = Vec::new();
        for (part, rows) in parts.iter().enumerate() {
            for row in 0..rows.len() {
                let hash = (u64::from(seed) + (part * 1000 + row) as u64 + 1)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                order.push((hash >> 20, part, row));
            }
        }
        order.sort_unstable();
        order.retain(|(hash, ..)| hash % 3 != 0);
        let mut maps: Vec<Vec<Option<u32>>> =
            parts.iter().map(|rows| vec![None; rows.len()]).collect();
        let mut rows = Vec::new();
        for (to, &(_, part, row)) in order.iter().enumerate() {
            maps[part][row] = Some(to as u32);
            rows.push(parts[part][row].clone());
        }
        let inputs: Vec<_> =
            parts.iter().zip(maps).map(|(part, map)| (open(part), RowMap::new(map))).collect();
        let merged = merge(&inputs, Some(&docs(&rows)), 1 << 20).unwrap();
        prop_assert!(merged == build(&rows));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let rows = texts(5, 10, 1);
    let reader = open(&rows);
    let refused = |inputs: &[(FtsReader, RowMap)], docs: Option<&[u64]>| {
        assert!(matches!(merge(inputs, docs, 0), Err(FtsError::Invalid(_))));
    };
    refused(&[], None);
    let all = RowMap::kept(&DocSet::full(5), 0);
    refused(&[(reader.clone(), RowMap::kept(&DocSet::full(4), 0))], None);
    refused(&[(reader.clone(), RowMap::kept(&DocSet::full(5), 1))], None);
    refused(&[(reader.clone(), all.clone()), (reader.clone(), all.clone())], None);
    refused(&[(reader.clone(), all.clone())], Some(&[5]));
    let section = Bytes::from(build(&rows));
    let far = FtsReader::open(section.clone(), section.len() as u64).unwrap();
    refused(&[(far, all.clone())], None);
    let one = TextIndex {
        column: "a".into(),
        analyzer: "english-v1".into(),
        positions: true,
        stored: true,
    };
    let mut other = FtsBuilder::new(&[one], BuildOptions::default()).unwrap();
    other.push(&[Some("a")]).unwrap();
    let other = FtsReader::resident(Bytes::from(other.finish().unwrap().0)).unwrap();
    refused(&[(reader.clone(), all.clone()), (other, RowMap::kept(&DocSet::full(1), 5))], None);
    assert!(merge(&[(reader, all)], None, 0).unwrap() == build(&rows));
}

#[test]
fn a_corrupt_section_gives_an_error_or_the_same_bytes() {
    let rows = texts(400, 12, 9);
    let section = build(&rows);
    let all = || RowMap::kept(&DocSet::full(400), 0);
    let step = if cfg!(debug_assertions) { 7 } else { 1 };
    for at in (0..section.len()).step_by(step) {
        let mut bytes = section.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(reader) = FtsReader::resident(Bytes::from(bytes)) else { continue };
        if let Ok(merged) = merge(&[(reader, all())], None, 0) {
            assert!(merged == section, "byte {at}");
        }
    }
}

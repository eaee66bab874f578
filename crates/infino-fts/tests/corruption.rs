//! Damaged bytes give an error or the same answer.

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{
    BuildOptions, CorpusStats, FtsBuilder, FtsError, FtsReader, Hit, Operator, Query,
};

/// A section with lists of every form.
fn section() -> Vec<u8> {
    let index = |column: &str, analyzer: &str, positions| TextIndex {
        column: column.into(),
        analyzer: analyzer.into(),
        positions,
        stored: true,
    };
    let fields = [index("a", "english-v1", true), index("b", "code-v1", false)];
    let mut builder = FtsBuilder::new(&fields, BuildOptions::default()).unwrap();
    for row in 0..400 {
        let mut text = String::from("common words");
        for (every, word) in [(2, "half"), (3, "third"), (9, "ninth"), (50, "rare")] {
            if row % every == 0 {
                text += &format!(" {word} {word}ly {}", "pad ".repeat(row % 5));
            }
        }
        let name = (row % 7 != 0).then(|| format!("someName{}", row % 40));
        builder.push(&[Some(&text), name.as_deref()]).unwrap();
    }
    builder.finish().unwrap().0
}

fn queries() -> Vec<Query> {
    vec![
        Query::matching("a", "common half rare", Operator::Or),
        Query::matching("a", "third ninth", Operator::And),
        Query::phrase("a", "common words"),
        Query::phrase("a", "rare rarely"),
        Query::phrase("a", "ninth ninthly"),
        Query::term("b", "name"),
        Query::Prefix { field: "b".into(), text: "somename1".into() },
    ]
}

type Answer = (Vec<Hit>, u64);

fn answer(section: &Bytes, reader: &FtsReader, query: &Query) -> Result<Answer, FtsError> {
    let prepared = run_resident(section, reader.prepare(query)?)?;
    let stats = CorpusStats::of(reader, &prepared);
    let hits = run_resident(section, reader.search(&prepared, &stats, 20, None, None)?)?;
    let count = run_resident(section, reader.count(&prepared, None)?)?;
    Ok((hits, count))
}

fn check(bytes: Vec<u8>, right: &[Answer], what: &str) -> usize {
    let section = Bytes::from(bytes);
    let open_len = section.len().min(
        section.get(8..16).map_or(0, |len| u64::from_le_bytes(len.try_into().unwrap()) as usize),
    );
    let readers = [
        FtsReader::resident(section.clone()),
        FtsReader::open(section.slice(..open_len), section.len() as u64),
    ];
    let mut errors = 0;
    for reader in readers {
        let Ok(reader) = reader else {
            errors += 1;
            continue;
        };
        for (query, right) in queries().iter().zip(right) {
            match answer(&section, &reader, query) {
                Ok(found) => assert_eq!(&found, right, "{what}: {query:?}"),
                Err(FtsError::Corrupt(_)) => errors += 1,
                Err(other) => panic!("{what}: {other}"),
            }
        }
    }
    errors
}

fn right(bytes: &[u8]) -> Vec<Answer> {
    let section = Bytes::copy_from_slice(bytes);
    let reader = FtsReader::resident(section.clone()).unwrap();
    queries().iter().map(|query| answer(&section, &reader, query).unwrap()).collect()
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    let bytes = section();
    let right = right(&bytes);
    assert!(right.iter().all(|(hits, count)| !hits.is_empty() && *count > 0));
    let mut silent = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        silent += usize::from(check(damaged, &right, &format!("byte {at}")) == 0);
    }
    // Only bytes that no query above reads may go unnoticed.
    assert!(silent < bytes.len() / 3, "{silent} of {} flips went unnoticed", bytes.len());
}

#[test]
fn a_truncated_section_is_an_error() {
    let bytes = section();
    for len in 0..bytes.len() {
        assert!(
            FtsReader::resident(Bytes::copy_from_slice(&bytes[..len])).is_err(),
            "cut at {len}"
        );
    }
}

/// Bytes that verify and are wrong all the same, as a crafted file has them, must not panic or take memory.
#[test]
fn crafted_bytes_never_panic() {
    let bytes = section();
    let open_len = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
    for at in 0..open_len - 4 {
        for flip in [1u8, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let crc = infino_format::checksum::crc32c(&damaged[..open_len - 4]);
            damaged[open_len - 4..open_len].copy_from_slice(&crc.to_le_bytes());
            let section = Bytes::from(damaged);
            if let Ok(reader) = FtsReader::resident(section.clone()) {
                for query in queries() {
                    let _ = answer(&section, &reader, &query);
                }
            }
        }
    }
}

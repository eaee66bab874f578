//! Text as a regular expression and as the ends of a range over a dictionary.

use std::ops::Bound;
use std::sync::OnceLock;

use bytes::Bytes;
use infino_fts::{FtsReader, Query};

use crate::{seeds, text_reader};

/// Asks for the terms that `data` describes, and for those between its two halves.
pub fn run(data: &[u8]) {
    static SECTION: OnceLock<Bytes> = OnceLock::new();
    let section = SECTION.get_or_init(|| seeds::text_section().into());
    let reader = FtsReader::resident(section.clone()).expect("a sound section");
    let text = String::from_utf8_lossy(data);
    let (from, to) = text.split_once(' ').unwrap_or((&text, ""));
    for field in ["a", "b"] {
        let queries = [
            Query::Regex { field: field.into(), expression: text.clone().into_owned() },
            Query::Range {
                field: field.into(),
                from: Bound::Included(from.into()),
                to: Bound::Excluded(to.into()),
            },
        ];
        for query in queries {
            if let Ok((hits, count)) = text_reader::answer(&reader, section, &query, false) {
                assert_eq!(hits.len() as u64, count.min(10), "{text:?}");
                assert!(hits.iter().all(|hit| hit.score == 1.0), "{text:?}");
            }
        }
    }
}

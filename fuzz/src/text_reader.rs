//! Bytes as a full-text section.

use std::ops::Bound;

use bytes::Bytes;
use infino_fts::{CorpusStats, FtsError, FtsReader, Hit, Operator, Query};

use crate::seal;

/// The rounds a query may take after the dictionary's.
const ROUNDS_MAX: usize = 4;

/// Opens `data` as a section and asks it a few queries: as it is in memory and by range, then with its open bytes and
/// every range sealed.
pub fn run(data: &[u8]) {
    let section = Bytes::copy_from_slice(data);
    if let Ok(reader) = FtsReader::resident(section.clone()) {
        ask_all(&reader, &section, false);
    }
    let Some(open_len) = data.get(8..16) else { return };
    let open_len = u64::from_le_bytes(open_len.try_into().expect("8 bytes"));
    let sealed = Bytes::from(seal::open(data, open_len));
    if let Ok(reader) = FtsReader::open(sealed.clone(), sealed.len() as u64) {
        ask_all(&reader, &sealed, false);
        ask_all(&reader, &sealed, true);
    }
}

fn ask_all(reader: &FtsReader, section: &Bytes, sealed: bool) {
    // A section of more rows takes memory for every answer, as it should; here it would only slow the search for faults.
    if reader.rows() > 1 << 20 {
        return;
    }
    for field in reader.fields() {
        for query in queries(field) {
            if let Ok((hits, count)) = answer(reader, section, &query, sealed) {
                assert!(hits.iter().all(|hit| hit.doc < reader.rows()), "rows are of the section");
                assert!(count <= u64::from(reader.rows()));
            }
        }
    }
}

/// Queries of every kind; words are those of the seeds.
pub fn queries(field: &str) -> Vec<Query> {
    vec![
        Query::term(field, "common"),
        Query::matching(field, "common half rare", Operator::Or),
        Query::matching(field, "third half", Operator::And),
        Query::phrase(field, "common words"),
        Query::Phrase { field: field.into(), text: "rare pad".into(), slop: 2 },
        Query::Prefix { field: field.into(), text: "ha".into() },
        Query::Wildcard { field: field.into(), pattern: "*r?".into() },
        Query::Regex { field: field.into(), expression: "(half|th.*)[a-z]?".into() },
        Query::Range {
            field: field.into(),
            from: Bound::Included("half".into()),
            to: Bound::Excluded("third".into()),
        },
        Query::Combined {
            fields: vec![(field.into(), 2.0)],
            text: "common half".into(),
            operator: Operator::Or,
        },
        Query::DisMax {
            queries: vec![Query::term(field, "pad"), Query::term(field, "rare")],
            tie_breaker: 0.5,
        },
        Query::Fuzzy {
            field: field.into(),
            text: "wards".into(),
            distance: None,
            prefix: 1,
            transpositions: true,
        },
        Query::all(vec![Query::All, Query::term(field, "pad").boosted(2.0)]),
    ]
}

/// The ten best rows for `query` and how many match.
///
/// # Errors
/// Those of the reader.
pub fn answer(
    reader: &FtsReader,
    section: &Bytes,
    query: &Query,
    sealed: bool,
) -> Result<(Vec<Hit>, u64), FtsError> {
    let prepared = seal::feed(section, reader.prepare(query)?, sealed, ROUNDS_MAX)?;
    let stats = CorpusStats::of(reader, &prepared);
    let search = reader.search(&prepared, &stats, 10, None, None)?;
    let hits = seal::feed(section, search, sealed, ROUNDS_MAX)?;
    let count = seal::feed(section, reader.count(&prepared, None)?, sealed, ROUNDS_MAX)?;
    Ok((hits, count))
}

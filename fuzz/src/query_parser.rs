//! Text as a query.

use std::sync::OnceLock;

use bytes::Bytes;
use infino_fts::{FtsReader, Operator, ParseOptions, parse_query};

use crate::{seeds, text_reader};

/// Parses `data` with either operator; a query that is understood is also asked.
pub fn run(data: &[u8]) {
    static SECTION: OnceLock<Bytes> = OnceLock::new();
    let section = SECTION.get_or_init(|| seeds::text_section().into());
    let reader = FtsReader::resident(section.clone()).expect("a sound section");
    let text = String::from_utf8_lossy(data);
    for default_operator in [Operator::Or, Operator::And] {
        let default_fields = vec!["a".to_owned(), "b".to_owned()];
        match parse_query(&text, &ParseOptions { default_fields, default_operator }) {
            Ok(query) => {
                if let Ok((hits, count)) = text_reader::answer(&reader, section, &query, false) {
                    assert_eq!(hits.len() as u64, count.min(10), "{text:?}");
                    assert!(hits.is_sorted_by(|a, b| a.score >= b.score), "{text:?}");
                }
            }
            Err(error) => {
                assert!(error.at <= text.chars().count(), "{text:?}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

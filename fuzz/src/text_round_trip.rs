//! Any documents: a section of them answers as a model that looks at every word does.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{
    Analyzer, BuildOptions, CorpusStats, FtsBuilder, FtsReader, Operator, Query, bm25,
};

const ANALYZER: &str = "standard-v1";
const WORDS: [&str; 9] = ["sea", "old", "man", "seas", "whale", "a", "ahab", "42", "größe"];
const K: usize = 7;

/// Makes documents and queries of `data`, and compares every answer.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(docs) = documents(&mut input) else { return };
    let section = Bytes::from(build(&docs));
    let model = Model::new(&docs);
    let reader = FtsReader::resident(section.clone()).expect("what was just built opens");
    while !input.is_empty() {
        let Ok((kind, text)) = question(&mut input) else { return };
        check(&model, &reader, &section, kind, &text);
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Any,
    All,
    Phrase,
}

fn documents(input: &mut Unstructured<'_>) -> Result<Vec<Option<String>>> {
    let rows = input.int_in_range(0..=40)?;
    (0..rows)
        .map(|_| match input.int_in_range(0..=9u8)? {
            0 => Ok(None),
            1 => Ok(Some(input.arbitrary::<&str>()?.chars().take(40).collect())),
            _ => words(input, 20).map(Some),
        })
        .collect()
}

fn words(input: &mut Unstructured<'_>, max: usize) -> Result<String> {
    let len = input.int_in_range(0..=max)?;
    let words = (0..len).map(|_| input.choose(&WORDS).copied()).collect::<Result<Vec<_>>>()?;
    Ok(words.join(" "))
}

fn question(input: &mut Unstructured<'_>) -> Result<(Kind, String)> {
    let kind = *input.choose(&[Kind::Any, Kind::All, Kind::Phrase])?;
    Ok((kind, words(input, 4)?))
}

fn build(docs: &[Option<String>]) -> Vec<u8> {
    let field = TextIndex {
        column: "text".into(),
        analyzer: ANALYZER.into(),
        positions: true,
        stored: true,
    };
    let mut builder = FtsBuilder::new(&[field], BuildOptions::default()).expect("a known analyzer");
    for doc in docs {
        builder.push(&[doc.as_deref()]).expect("one short value");
    }
    builder.finish().expect("memory takes every write").0
}

/// Every document as its terms; no index.
struct Model {
    docs: Vec<Option<Vec<String>>>,
}

impl Model {
    fn new(docs: &[Option<String>]) -> Self {
        let docs = docs.iter().map(|doc| doc.as_deref().map(terms)).collect();
        Self { docs }
    }

    /// The score of each document that matches.
    fn scores(&self, kind: Kind, query: &[String]) -> Vec<(u32, f64)> {
        let present: Vec<(u32, &Vec<String>)> =
            (0..).zip(&self.docs).filter_map(|(row, doc)| Some((row, doc.as_ref()?))).collect();
        let tokens: usize = present.iter().map(|(_, doc)| doc.len()).sum();
        let average = tokens as f64 / present.len() as f64;
        let idf = |term: &String| {
            let df = present.iter().filter(|(_, doc)| doc.contains(term)).count();
            bm25::idf(present.len() as u64, df as u64)
        };
        let saturated = |count: usize, len: usize| {
            let norm = bm25::K1 * (1.0 - bm25::B + bm25::B * len as f64 / average);
            count as f64 / (count as f64 + norm)
        };
        let score = |doc: &Vec<String>| -> Option<f64> {
            let count = |term: &String| doc.iter().filter(|other| *other == term).count();
            let held = query.iter().filter(|term| count(term) > 0).count();
            match kind {
                Kind::Phrase => {
                    let found = doc.windows(query.len()).filter(|window| *window == query).count();
                    let weight: f64 = query.iter().map(idf).sum();
                    (found > 0).then(|| weight * saturated(found, doc.len()))
                }
                Kind::All if held < query.len() => None,
                _ if held == 0 => None,
                _ => Some(
                    query.iter().map(|term| idf(term) * saturated(count(term), doc.len())).sum(),
                ),
            }
        };
        present.iter().filter_map(|&(row, doc)| Some((row, score(doc)?))).collect()
    }
}

fn terms(text: &str) -> Vec<String> {
    let analyzer = Analyzer::named(ANALYZER).expect("a known analyzer");
    analyzer.analyze(text).into_iter().map(|token| token.term).collect()
}

fn check(model: &Model, reader: &FtsReader, section: &Bytes, kind: Kind, text: &str) {
    let query = match kind {
        Kind::Any => Query::matching("text", text, Operator::Or),
        Kind::All => Query::matching("text", text, Operator::And),
        Kind::Phrase => Query::phrase("text", text),
    };
    let terms = terms(text);
    let mut right = if terms.is_empty() { vec![] } else { model.scores(kind, &terms) };
    let prepared = reader.prepare(&query).and_then(|fetch| run_resident(section, fetch));
    let prepared = prepared.expect("a sound section");
    let matches = reader.matches(&prepared).and_then(|fetch| run_resident(section, fetch));
    let found: BTreeSet<u32> = matches.expect("a sound section").iter().collect();
    let rows: BTreeSet<u32> = right.iter().map(|&(row, _)| row).collect();
    assert_eq!(found, rows, "rows of {kind:?} {text:?}");
    let count = reader.count(&prepared, None).and_then(|fetch| run_resident(section, fetch));
    assert_eq!(count.expect("a sound section"), rows.len() as u64);
    let stats = CorpusStats::of(reader, &prepared);
    let search = reader.search(&prepared, &stats, K, None, None);
    let hits = search.and_then(|fetch| run_resident(section, fetch)).expect("a sound section");
    let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-4 * (1.0 + b.abs());
    for hit in &hits {
        let right = right.iter().find(|&&(row, _)| row == hit.doc).map(|&(_, score)| score);
        assert!(right.is_some_and(|right| near(hit.score, right)), "{hit:?}, right is {right:?}");
    }
    right.sort_by(|a, b| b.1.total_cmp(&a.1));
    right.truncate(K);
    assert_eq!(hits.len(), right.len());
    let best = hits.iter().zip(&right).all(|(hit, right)| near(hit.score, right.1));
    assert!(best, "{kind:?} {text:?}: {hits:?}, right is {right:?}");
    let ordered =
        hits.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.doc < b.doc));
    assert!(ordered, "best first, equal scores by row");
}

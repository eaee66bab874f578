//! Every answer against BM25 by brute force.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_format::{DocSet, Fetch, Step};
use infino_fts::{
    Analyzer, Boolean, BuildOptions, CorpusStats, FtsBuilder, FtsError, FtsReader, Hit, Operator,
    Query,
};
use proptest::prelude::*;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

/// Rows of two columns: words with a Zipf-like spread, some nulls, some empty.
fn corpus(rows: usize, seed: u64) -> Vec<[Option<String>; 2]> {
    let mut rng = Rng(seed);
    (0..rows)
        .map(|_| {
            std::array::from_fn(|column| {
                if rng.below(20) == 0 {
                    return None;
                }
                let len = rng.below(if column == 0 { 12 } else { 60 });
                let words: Vec<String> = (0..len)
                    .map(|_| {
                        let spread = 1 + rng.below(300);
                        format!("w{}", rng.below(spread))
                    })
                    .collect();
                Some(words.join(" "))
            })
        })
        .collect()
}

fn index(column: &str, analyzer: &str) -> TextIndex {
    TextIndex { column: column.into(), analyzer: analyzer.into(), positions: true, stored: true }
}

fn fields() -> [TextIndex; 2] {
    [index("title", "standard-v1"), index("body", "standard-v1")]
}

fn build(rows: &[[Option<String>; 2]]) -> Bytes {
    let mut builder = FtsBuilder::new(&fields(), BuildOptions::default()).unwrap();
    for row in rows {
        builder.push(&[row[0].as_deref(), row[1].as_deref()]).unwrap();
    }
    builder.finish().unwrap().0.into()
}

/// Feeds a computation that is not resident, in at most `rounds` rounds.
fn run<F: Fetch<Error = FtsError>>(section: &Bytes, mut fetch: F, rounds: usize) -> F::Output {
    let mut bytes = vec![];
    for round in 0.. {
        match fetch.step(bytes).unwrap() {
            Step::Done(output) => return output,
            Step::Ranges(ranges) => {
                assert!(round < rounds, "a round too many");
                bytes = ranges
                    .iter()
                    .map(|r| section.slice(r.start as usize..r.end as usize))
                    .collect();
            }
        }
    }
    unreachable!()
}

/// The rows as tokens, and the statistics of the whole table.
struct Oracle {
    rows: Vec<[Option<Vec<String>>; 2]>,
    df: BTreeMap<(usize, String), u64>,
    docs: [u64; 2],
    average: [f64; 2],
}

impl Oracle {
    fn new(rows: &[[Option<String>; 2]]) -> Self {
        let analyzer = Analyzer::named("standard-v1").unwrap();
        let tokens =
            |text: &String| analyzer.analyze(text).into_iter().map(|t| t.term).collect::<Vec<_>>();
        let rows: Vec<[Option<Vec<String>>; 2]> = rows
            .iter()
            .map(|row| [row[0].as_ref().map(tokens), row[1].as_ref().map(tokens)])
            .collect();
        let mut oracle = Self { df: BTreeMap::new(), docs: [0; 2], average: [0.0; 2], rows };
        for field in 0..2 {
            let mut total = 0;
            for words in oracle.rows.iter().filter_map(|row| row[field].as_ref()) {
                oracle.docs[field] += 1;
                total += words.len();
                let mut seen: Vec<&String> = words.iter().collect();
                seen.sort();
                seen.dedup();
                for word in seen {
                    *oracle.df.entry((field, word.clone())).or_default() += 1;
                }
            }
            oracle.average[field] = total as f64 / oracle.docs[field] as f64;
        }
        oracle
    }

    fn bm25(&self, row: usize, field: usize, words: &[String], frequency: f64) -> f64 {
        let idf: f64 = words
            .iter()
            .map(|word| {
                let df = self.df.get(&(field, word.clone())).copied().unwrap_or(0) as f64;
                (1.0 + (self.docs[field] as f64 - df + 0.5) / (df + 0.5)).ln()
            })
            .sum();
        let len = self.rows[row][field].as_ref().map_or(0, Vec::len) as f64;
        idf * frequency / (frequency + 1.2 * (0.25 + 0.75 * len / self.average[field]))
    }

    fn bm25f(&self, row: usize, fields: &[(String, f32)], word: &str) -> Option<f64> {
        let (mut frequency, mut docs, mut df) = (0.0, 0.0f64, 0.0f64);
        for (name, weight) in fields {
            let field = usize::from(name == "body");
            let words = self.rows[row][field].as_deref().unwrap_or_default();
            let tf = words.iter().filter(|other| *other == word).count() as f64;
            let norm = 0.25 + 0.75 * words.len() as f64 / self.average[field];
            frequency += f64::from(*weight) * tf / norm;
            docs = docs.max(self.docs[field] as f64);
            df = df.max(self.df.get(&(field, word.to_owned())).copied().unwrap_or(0) as f64);
        }
        let idf = (1.0 + (docs - df + 0.5) / (df + 0.5)).ln();
        (frequency > 0.0).then(|| idf * frequency / (1.2 + frequency))
    }

    /// The score of `row`, `None` if it does not match.
    fn score(&self, query: &Query, row: usize) -> Option<f64> {
        let field_of = |name: &str| usize::from(name == "body");
        let tokens = |field: usize| self.rows[row][field].as_deref().unwrap_or_default();
        let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match query {
            Query::All => Some(1.0),
            Query::Nothing => None,
            Query::Term { field, text } => {
                let field = field_of(field);
                let tf = tokens(field).iter().filter(|word| *word == text).count();
                (tf > 0).then(|| self.bm25(row, field, std::slice::from_ref(text), tf as f64))
            }
            Query::Match { field, text, operator } => {
                let leaves = split(text)
                    .into_iter()
                    .map(|text| Query::Term { field: field.clone(), text })
                    .collect();
                let all = match operator {
                    Operator::Or => Query::any(leaves),
                    Operator::And => Query::all(leaves),
                };
                self.score(&all, row)
            }
            Query::Phrase { field, text, slop: 0 } => {
                let (field, words) = (field_of(field), split(text));
                let count =
                    tokens(field).windows(words.len()).filter(|window| *window == words).count();
                (count > 0).then(|| self.bm25(row, field, &words, count as f64))
            }
            Query::Phrase { .. } => unreachable!("sloppy phrases have their own test"),
            Query::Prefix { field, text } => {
                tokens(field_of(field)).iter().any(|word| word.starts_with(text)).then_some(1.0)
            }
            Query::Wildcard { field, pattern } => {
                let (head, tail) = pattern.split_once('?').unwrap();
                let like = |word: &String| {
                    word.len() == pattern.len() && word.starts_with(head) && word.ends_with(tail)
                };
                tokens(field_of(field)).iter().any(like).then_some(1.0)
            }
            Query::Fuzzy { field, text, .. } => {
                tokens(field_of(field)).iter().any(|word| within_one(word, text)).then_some(1.0)
            }
            Query::Boost { query, boost } => {
                self.score(query, row).map(|score| score * f64::from(*boost))
            }
            Query::Regex { field, expression } => {
                let digits = expression.strip_prefix("w[1-9]?").unwrap();
                let like = |word: &String| {
                    let rest = word[1..].strip_suffix(digits).unwrap_or("no");
                    rest.is_empty() || rest.len() == 1 && rest != "0"
                };
                tokens(field_of(field)).iter().any(like).then_some(1.0)
            }
            Query::Range { field, from, to } => {
                let bounds = (from.clone(), to.clone());
                tokens(field_of(field)).iter().any(|word| bounds.contains(word)).then_some(1.0)
            }
            Query::Combined { fields, text, operator } => {
                let mut sum = None;
                for word in split(text) {
                    let score = self.bm25f(row, fields, &word);
                    match (score, operator) {
                        (None, Operator::And) => return None,
                        (None, Operator::Or) => {}
                        (Some(score), _) => *sum.get_or_insert(0.0) += score,
                    }
                }
                sum
            }
            Query::DisMax { queries, tie_breaker } => {
                let met: Vec<f64> =
                    queries.iter().filter_map(|query| self.score(query, row)).collect();
                let best = met.iter().copied().reduce(f64::max)?;
                Some(best + f64::from(*tie_breaker) * (met.iter().sum::<f64>() - best))
            }
            Query::Boolean(b) => {
                let mut sum = 0.0;
                for query in &b.must {
                    sum += self.score(query, row)?;
                }
                for query in &b.filter {
                    self.score(query, row)?;
                }
                if b.must_not.iter().any(|query| self.score(query, row).is_some()) {
                    return None;
                }
                let met: Vec<f64> =
                    b.should.iter().filter_map(|query| self.score(query, row)).collect();
                let least =
                    u32::from(b.must.is_empty() && b.filter.is_empty() && !b.should.is_empty());
                if (met.len() as u32) < b.minimum_should_match.unwrap_or(0).max(least) {
                    return None;
                }
                Some(sum + met.iter().sum::<f64>())
            }
        }
    }
}

/// Whether one insertion, deletion or substitution is enough.
fn within_one(a: &str, b: &str) -> bool {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let after = |text: &str| text.get(1..).unwrap_or_default().to_owned();
    a == b || after(a) == after(b) || after(a) == b || a == after(b)
}

fn word(rng: &mut Rng) -> String {
    let spread = 1 + rng.below(320);
    format!("w{}", rng.below(spread))
}

fn random_query(rng: &mut Rng, depth: u32) -> Query {
    let field = ["title", "body"][rng.below(2) as usize].to_owned();
    let mut text = |words: u64| (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
    let sample = text(1);
    match rng.below(if depth == 0 { 8 } else { 11 }) {
        0 | 1 => Query::Term { field, text: sample },
        2 | 3 => {
            let words = 1 + rng.below(5);
            let text = (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
            let operator = if rng.below(2) == 0 { Operator::Or } else { Operator::And };
            Query::Match { field, text, operator }
        }
        4 => {
            let words = 2 + rng.below(2);
            let text =
                (0..words).map(|_| format!("w{}", rng.below(4))).collect::<Vec<_>>().join(" ");
            Query::Phrase { field, text, slop: 0 }
        }
        5 if rng.below(5) == 0 => {
            let (low, high) = (word(rng), word(rng));
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            match rng.below(3) {
                0 => Query::Range { field, from: Bound::Included(low), to: Bound::Excluded(high) },
                1 => Query::Range { field, from: Bound::Excluded(low), to: Bound::Included(high) },
                _ => Query::Range { field, from: Bound::Unbounded, to: Bound::Included(low) },
            }
        }
        5 if rng.below(4) == 0 => {
            Query::Regex { field, expression: format!("w[1-9]?{}", rng.below(30)) }
        }
        5 if rng.below(3) == 0 => {
            Query::Wildcard { field, pattern: format!("w?{}", rng.below(30)) }
        }
        5 if rng.below(2) == 0 => Query::Fuzzy {
            field,
            text: sample,
            distance: Some(1),
            prefix: 0,
            transpositions: false,
        },
        5 => Query::Prefix { field, text: sample },
        6 => {
            if rng.below(4) == 0 {
                Query::All
            } else {
                Query::Term { field, text: "w0".into() }
            }
        }
        7 => {
            if rng.below(4) == 0 {
                Query::Nothing
            } else {
                Query::Term { field, text: "w1".into() }
            }
        }
        _ if rng.below(5) == 0 => {
            let words = 1 + rng.below(4);
            let text = (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
            let operator = if rng.below(2) == 0 { Operator::Or } else { Operator::And };
            let weight = (1 + rng.below(16)) as f32 / 4.0;
            let mut fields = vec![("title".to_owned(), weight), ("body".to_owned(), 1.0)];
            fields.truncate(1 + rng.below(4) as usize);
            Query::Combined { fields, text, operator }
        }
        _ if rng.below(5) == 0 => {
            let count = 1 + rng.below(3);
            let queries = (0..count).map(|_| random_query(rng, depth - 1)).collect();
            Query::DisMax { queries, tie_breaker: rng.below(5) as f32 / 4.0 }
        }
        8 => random_query(rng, depth - 1).boosted(rng.below(30) as f32 / 8.0),
        _ => {
            let mut list = |max: u64| {
                let len = rng.below(max + 1);
                (0..len).map(|_| random_query(rng, depth - 1)).collect::<Vec<_>>()
            };
            let (must, should, must_not, filter) = (list(2), list(4), list(1), list(1));
            let minimum = rng.below(4);
            Query::Boolean(Boolean {
                must,
                should,
                must_not,
                filter,
                minimum_should_match: (minimum < 3).then_some(minimum as u32),
            })
        }
    }
}

fn has_clauses(query: &Query) -> bool {
    match query {
        Query::Boolean(b) => {
            let all = || b.must.iter().chain(&b.should).chain(&b.must_not).chain(&b.filter);
            all().next().is_some() && all().all(has_clauses)
        }
        Query::Boost { query, .. } => has_clauses(query),
        Query::DisMax { queries, .. } => queries.iter().all(has_clauses),
        _ => true,
    }
}

fn check_hits(oracle: &Oracle, query: &Query, hits: &[Hit], k: usize, allowed: &DocSet) {
    let mut expected: Vec<(f64, u32)> = (0..oracle.rows.len())
        .filter(|&row| allowed.contains(row as u32))
        .filter_map(|row| oracle.score(query, row).map(|score| (score, row as u32)))
        .collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    assert_eq!(hits.len(), expected.len().min(k), "{query:?}");
    for (hit, (score, _)) in hits.iter().zip(&expected) {
        let own = oracle.score(query, hit.doc as usize).expect("a hit matches");
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(1e-3);
        assert!(near(own, hit.score.into()), "{query:?}: {hit:?} should score {own}");
        assert!(near(*score, hit.score.into()), "{query:?}: {hit:?} where {score} is due");
    }
    let order = |a: &Hit, b: &Hit| a.score > b.score || a.score == b.score && a.doc < b.doc;
    assert!(hits.windows(2).all(|pair| order(&pair[0], &pair[1])), "{query:?}: {hits:?}");
}

fn check_corpus(rows: usize, seed: u64, queries: usize, parts: usize) {
    let texts = corpus(rows, seed);
    let oracle = Oracle::new(&texts);
    let section = build(&texts);
    assert_eq!(section, build(&texts), "a build is deterministic");
    let reader = FtsReader::resident(section.clone()).unwrap();
    let open_len = u64::from_le_bytes(section[8..16].try_into().unwrap()) as usize;
    let remote = FtsReader::open(section.slice(..open_len), section.len() as u64).unwrap();
    let split: Vec<(usize, Bytes, FtsReader)> = texts
        .chunks(rows.div_ceil(parts).max(1))
        .scan(0, |at, part| {
            let section = build(part);
            let start = *at;
            *at += part.len();
            let reader = FtsReader::resident(section.clone()).unwrap();
            Some((start, section, reader))
        })
        .collect();
    let mut rng = Rng(seed ^ 77);
    for _ in 0..queries {
        let query = random_query(&mut rng, 2);
        if !has_clauses(&query) {
            continue;
        }
        let k = [10, 100, 1000, 10_000][rng.below(4) as usize];
        let mut allowed = DocSet::full(rows as u32);
        let filtered = rng.below(3) == 0;
        if filtered {
            let keep = 1 + rng.below(8);
            (0..rows as u32).filter(|row| u64::from(*row) * 7 % 8 >= keep).for_each(|row| {
                allowed.remove(row);
            });
        }
        let prepared = run_resident(&section, reader.prepare(&query).unwrap()).unwrap();
        let stats = CorpusStats::of(&reader, &prepared);
        let mask = filtered.then_some(&allowed);
        let search = reader.search(&prepared, &stats, k, mask, None).unwrap();
        let hits = run_resident(&section, search).unwrap();
        check_hits(&oracle, &query, &hits, k, &allowed);

        let far = run(&section, remote.prepare(&query).unwrap(), 1);
        let search = remote.search(&far, &stats, k, mask, None).unwrap();
        assert_eq!(run(&section, search, 1), hits, "{query:?} from afar");

        let expected: Vec<u32> = (0..rows)
            .filter(|&row| oracle.score(&query, row).is_some())
            .map(|row| row as u32)
            .collect();
        let matches = run_resident(&section, reader.matches(&prepared).unwrap()).unwrap();
        assert_eq!(matches.iter().collect::<Vec<_>>(), expected, "{query:?}");
        let count = run_resident(&section, reader.count(&prepared, mask).unwrap()).unwrap();
        matches.iter().filter(|&row| allowed.contains(row)).count();
        assert_eq!(count, expected.iter().filter(|&&row| allowed.contains(row)).count() as u64);

        if let Some(last) = hits.last() {
            let search = reader.search(&prepared, &stats, k, mask, Some(last.score)).unwrap();
            assert_eq!(run_resident(&section, search).unwrap(), hits, "{query:?} with a floor");
        }
        check_split(&split, &query, k, mask, &hits);
    }
}

/// The same rows in several files give the same rows and the same scores to the last bit.
fn check_split(
    split: &[(usize, Bytes, FtsReader)],
    query: &Query,
    k: usize,
    allowed: Option<&DocSet>,
    hits: &[Hit],
) {
    let prepared: Vec<_> = split
        .iter()
        .map(|(_, section, reader)| run_resident(section, reader.prepare(query).unwrap()).unwrap())
        .collect();
    let mut stats = CorpusStats::new();
    for ((_, _, reader), prepared) in split.iter().zip(&prepared) {
        stats.add(reader, &prepared.term_stats());
    }
    let mut merged = Vec::new();
    for ((start, section, reader), prepared) in split.iter().zip(&prepared) {
        let mut own = DocSet::empty(reader.rows());
        own.extend(
            (0..reader.rows())
                .filter(|doc| allowed.is_none_or(|allowed| allowed.contains(doc + *start as u32))),
        );
        let mask = allowed.map(|_| &own);
        let found =
            run_resident(section, reader.search(prepared, &stats, k, mask, None).unwrap()).unwrap();
        merged.extend(found.into_iter().map(|hit| Hit { doc: hit.doc + *start as u32, ..hit }));
    }
    merged.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.doc.cmp(&b.doc)));
    merged.truncate(k);
    assert_eq!(merged, hits, "{query:?} over {} files", split.len());
}

#[test]
fn answers_are_those_of_brute_force() {
    check_corpus(9000, 1, 60, 5);
    check_corpus(700, 2, 300, 3);
}

#[test]
fn sixty_four_files_answer_like_one() {
    check_corpus(6400, 3, 60, 64);
}

#[test]
fn small_files_answer_alike() {
    for rows in [1, 2, 127, 128, 129, 257] {
        check_corpus(rows, rows as u64, 60, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_corpus_answers_like_brute_force(rows in 1usize..1500, seed: u64) {
        check_corpus(rows, seed, 25, 3);
    }
}

#[test]
fn a_build_that_spills_gives_the_same_bytes() {
    let texts = corpus(9000, 5);
    let dir = std::env::temp_dir().join(format!("infino-fts-test-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for memory_bytes in [0, 1 << 18, 1 << 20] {
        let options = BuildOptions { memory_bytes, scratch_dir: Some(dir.clone()) };
        let mut builder = FtsBuilder::new(&fields(), options).unwrap();
        for row in &texts {
            builder.push(&[row[0].as_deref(), row[1].as_deref()]).unwrap();
        }
        assert!(std::fs::read_dir(&dir).unwrap().count() > 0, "it spills");
        let mut bytes = Vec::new();
        let built = builder.finish_to(&mut bytes).unwrap();
        assert_eq!(built.len, bytes.len() as u64);
        assert_eq!(bytes, build(&texts), "{memory_bytes} bytes of memory");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "scratch files go");
    }
    std::fs::remove_dir(&dir).unwrap();
    let options = BuildOptions { memory_bytes: 0, scratch_dir: Some(dir) };
    let mut builder = FtsBuilder::new(&fields(), options).unwrap();
    let failed =
        texts.iter().find_map(|row| builder.push(&[row[0].as_deref(), row[1].as_deref()]).err());
    assert!(matches!(failed, Some(FtsError::Io(_))), "a missing folder is an error");
}

#[test]
fn empty_sections_answer() {
    for rows in [0usize, 3] {
        let mut builder = FtsBuilder::new(&fields(), BuildOptions::default()).unwrap();
        for _ in 0..rows {
            builder.push(&[None, None]).unwrap();
        }
        let section = Bytes::from(builder.finish().unwrap().0);
        let reader = FtsReader::resident(section.clone()).unwrap();
        let query = Query::matching("title", "a b", Operator::Or);
        let prepared = run_resident(&section, reader.prepare(&query).unwrap()).unwrap();
        let stats = CorpusStats::of(&reader, &prepared);
        let hits = run_resident(&section, reader.search(&prepared, &stats, 5, None, None).unwrap())
            .unwrap();
        assert!(hits.is_empty());
        let matches = run_resident(&section, reader.matches(&prepared).unwrap()).unwrap();
        assert_eq!((matches.rows(), matches.len()), (rows as u32, 0));
    }
    let builder = FtsBuilder::new(&[], BuildOptions::default()).unwrap();
    let (section, built) = builder.finish().unwrap();
    assert_eq!(built.len, section.len() as u64);
    FtsReader::resident(section.into()).unwrap();
}

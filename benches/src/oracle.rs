//! Right answers by looking at every row, in double precision.

use std::collections::HashMap;

use crate::corpus::{Corpus, Words};

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Share of the best `k` rows by BM25 that `answers` hold; a row that scores as the true k-th counts.
pub(crate) fn judge_text(
    corpus: &Corpus,
    kind: Words,
    queries: &[Vec<String>],
    answers: &[Vec<i64>],
    k: usize,
) -> f64 {
    let docs: Vec<Vec<&str>> = corpus
        .texts
        .iter()
        .map(|text| text.split(' ').filter(|w| !w.is_empty()).collect())
        .collect();
    let filled = docs.len() as f64;
    let average = docs.iter().map(Vec::len).sum::<usize>() as f64 / filled;
    let (mut found, mut right) = (0, 0);
    for (query, answer) in queries.iter().zip(answers) {
        let scores = scores(&docs, kind, query, average);
        let mut best: Vec<f64> = scores.values().copied().collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best.truncate(k);
        let Some(last) = best.last() else { continue };
        let enough =
            |row: &&i64| scores.get(&(**row as usize)).is_some_and(|s| *s >= last * (1.0 - 1e-5));
        found += answer.iter().take(best.len()).filter(enough).count();
        right += best.len();
    }
    found as f64 / right.max(1) as f64
}

fn scores(docs: &[Vec<&str>], kind: Words, query: &[String], average: f64) -> HashMap<usize, f64> {
    let count = |doc: &[&str], word: &str| doc.iter().filter(|other| **other == word).count();
    let idf = |word: &str| {
        let df = docs.iter().filter(|doc| doc.contains(&word)).count() as f64;
        (1.0 + (docs.len() as f64 - df + 0.5) / (df + 0.5)).ln()
    };
    let idfs: Vec<f64> = query.iter().map(|word| idf(word)).collect();
    let mut scores = HashMap::new();
    for (row, doc) in docs.iter().enumerate() {
        let norm = K1 * (1.0 - B + B * doc.len() as f64 / average);
        let saturated = |count: usize| count as f64 / (count as f64 + norm);
        let held = query.iter().filter(|word| doc.contains(&word.as_str())).count();
        let score = match kind {
            Words::Phrase2 => {
                let pairs =
                    doc.windows(2).filter(|pair| *pair == [query[0].as_str(), query[1].as_str()]);
                match pairs.count() {
                    0 => continue,
                    pairs => idfs.iter().sum::<f64>() * saturated(pairs),
                }
            }
            Words::And2 if held < query.len() => continue,
            _ if held == 0 => continue,
            _ => query.iter().zip(&idfs).map(|(word, idf)| idf * saturated(count(doc, word))).sum(),
        };
        scores.insert(row, score);
    }
    scores
}

/// Share of the `k` nearest among the first `allowed` rows that `answers` hold.
pub(crate) fn judge_near(corpus: &Corpus, allowed: usize, answers: &[Vec<i64>], k: usize) -> f64 {
    let (mut found, mut right) = (0, 0);
    for (query, answer) in corpus.near.iter().zip(answers) {
        let distance = |row: usize| -> f64 {
            let vector = &corpus.vectors[row * corpus.dim..(row + 1) * corpus.dim];
            let dot: f64 =
                query.iter().zip(vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let norm: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            -dot / norm.sqrt()
        };
        let mut all: Vec<(f64, i64)> =
            (0..allowed).map(|row| (distance(row), row as i64)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.truncate(k);
        found += all.iter().filter(|(_, row)| answer.contains(row)).count();
        right += all.len();
    }
    found as f64 / right.max(1) as f64
}

//! The conditions of a query on one field, and where a text's tokens meet them.

use std::collections::HashMap;

use super::Match;
use crate::analysis::{Analyzer, Token};
use crate::query::leaf;
use crate::query::pattern::Pattern;
use crate::{FtsError, Query};

/// How deep a query may nest.
const DEPTH_MAX: usize = 64;
/// Places of a phrase's words that are tried at most, for each place of its first.
const TRIES_MAX: usize = 256;

/// What a field's texts are searched for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaves {
    terms: HashMap<String, Vec<(usize, f32)>>,
    phrases: Vec<Phrase>,
    patterns: Vec<(usize, f32, Pattern)>,
    count: usize,
}

/// Terms and their places relative to the first.
#[derive(Debug, Clone)]
struct Phrase {
    leaf: usize,
    weight: f32,
    terms: Vec<(String, u32)>,
    slop: u32,
}

impl Leaves {
    /// The conditions of `query` on `field`.
    pub(crate) fn of(query: &Query, field: &str, analyzer: &Analyzer) -> Result<Self, FtsError> {
        let mut leaves = Self::default();
        leaves.collect(query, field, analyzer, 1.0, 0)?;
        Ok(leaves)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn collect(
        &mut self,
        query: &Query,
        field: &str,
        analyzer: &Analyzer,
        boost: f32,
        depth: usize,
    ) -> Result<(), FtsError> {
        if depth > DEPTH_MAX {
            return Err(FtsError::Invalid(format!("a query nests at most {DEPTH_MAX} deep")));
        }
        let pattern = match query {
            Query::All | Query::Nothing => return Ok(()),
            Query::Term { field: own, text } => {
                if own == field {
                    self.phrase(analyzer.analyze_query(text), 0, boost);
                }
                return Ok(());
            }
            Query::Phrase { field: own, text, slop } => {
                if own == field {
                    self.phrase(analyzer.analyze_query(text), *slop, boost);
                }
                return Ok(());
            }
            Query::Match { field: own, text, .. } => {
                if own == field {
                    analyzer.analyze_query(text).into_iter().for_each(|t| self.term(t, boost));
                }
                return Ok(());
            }
            Query::Combined { fields, text, .. } => {
                if let Some((_, weight)) = fields.iter().find(|(own, _)| own == field) {
                    let tokens = analyzer.analyze_query(text);
                    tokens.into_iter().for_each(|token| self.term(token, boost * weight));
                }
                return Ok(());
            }
            Query::Boost { query, boost: factor } => {
                return self.collect(query, field, analyzer, boost * factor, depth + 1);
            }
            Query::DisMax { queries, .. } => {
                return queries
                    .iter()
                    .try_for_each(|query| self.collect(query, field, analyzer, boost, depth + 1));
            }
            Query::Boolean(all) => {
                let positive = all.must.iter().chain(&all.should).chain(&all.filter);
                return positive
                    .into_iter()
                    .try_for_each(|query| self.collect(query, field, analyzer, boost, depth + 1));
            }
            Query::Prefix { field: own, text } if own == field => leaf::prefix(analyzer, text),
            Query::Wildcard { field: own, pattern } if own == field => {
                leaf::wildcard(analyzer, pattern)
            }
            Query::Regex { field: own, expression } if own == field => {
                leaf::regex(analyzer, expression)?
            }
            Query::Range { field: own, from, to } if own == field => {
                leaf::range(analyzer, from, to)
            }
            Query::Fuzzy { field: own, text, distance, prefix, transpositions } if own == field => {
                leaf::fuzzy(analyzer, text, *distance, *prefix, *transpositions)?
            }
            Query::Prefix { .. }
            | Query::Wildcard { .. }
            | Query::Regex { .. }
            | Query::Range { .. }
            | Query::Fuzzy { .. } => return Ok(()),
        };
        self.patterns.push((self.count, boost, pattern));
        self.count += 1;
        Ok(())
    }

    fn term(&mut self, token: Token, weight: f32) {
        let leaves = self.terms.entry(token.term).or_default();
        // The same word asked for twice is one condition, which counts more.
        match leaves.first_mut() {
            Some((_, sum)) => *sum += weight,
            None => {
                leaves.push((self.count, weight));
                self.count += 1;
            }
        }
    }

    fn phrase(&mut self, mut tokens: Vec<Token>, slop: u32, weight: f32) {
        match tokens.len() {
            0 => {}
            1 => self.term(tokens.remove(0), weight),
            _ => {
                let first = tokens[0].position;
                let terms = tokens.into_iter().map(|t| (t.term, t.position - first)).collect();
                self.phrases.push(Phrase { leaf: self.count, weight, terms, slop });
                self.count += 1;
            }
        }
    }

    /// Where `tokens`, those of one text in order, meet the conditions.
    pub(crate) fn find(&self, tokens: &[Token]) -> Vec<Match> {
        let mut found = Vec::new();
        // A text repeats its words; patterns are asked once for each.
        let mut known: HashMap<&str, Vec<(usize, f32)>> = HashMap::new();
        for Token { term, range, .. } in tokens {
            let own = self.terms.get(term).map_or(&[][..], |leaves| leaves);
            let accepted: &[(usize, f32)] = match self.patterns.is_empty() {
                true => &[],
                false => known.entry(term).or_insert_with(|| self.accepting(term)),
            };
            for &(leaf, weight) in own.iter().chain(accepted) {
                found.push(Match { range: range.clone(), leaf, weight });
            }
        }
        for phrase in &self.phrases {
            phrase.find(tokens, &mut found);
        }
        found
    }

    fn accepting(&self, term: &str) -> Vec<(usize, f32)> {
        let accepts = |pattern: &Pattern| pattern.matcher().accepts(term.as_bytes(), 0);
        let accepting = self.patterns.iter().filter(|(.., pattern)| accepts(pattern));
        accepting.map(|&(leaf, weight, _)| (leaf, weight)).collect()
    }
}

impl Phrase {
    /// Marks the words of every place where the phrase stands.
    fn find(&self, tokens: &[Token], found: &mut Vec<Match>) {
        // Per word of the phrase its tokens, by place in the text less its place in the phrase.
        let places: Vec<Vec<(i64, usize)>> = self
            .terms
            .iter()
            .map(|(term, offset)| {
                let own = tokens.iter().enumerate().filter(|(_, token)| token.term == *term);
                own.map(|(at, token)| (i64::from(token.position) - i64::from(*offset), at))
                    .collect()
            })
            .collect();
        if places.iter().any(Vec::is_empty) {
            return;
        }
        let slop = i64::from(self.slop);
        let mut marked = Vec::new();
        for &(start, _) in &places[0] {
            // The least place of a match is at most `slop` before the first word's.
            for low in (start.saturating_sub(slop)..=start).rev().take(TRIES_MAX) {
                if self.stands(&places, low, slop, start, tokens, &mut marked) {
                    break;
                }
            }
        }
        marked.sort_unstable();
        marked.dedup();
        let (leaf, weight) = (self.leaf, self.weight);
        found.extend(marked.into_iter().map(|at| Match {
            range: tokens[at].range.clone(),
            leaf,
            weight,
        }));
    }

    /// Whether every word has a place from `low` to `low + slop`, the first word at `start` and no two at one place of the
    /// text; marks those nearest to `low`.
    fn stands(
        &self,
        places: &[Vec<(i64, usize)>],
        low: i64,
        slop: i64,
        start: i64,
        tokens: &[Token],
        marked: &mut Vec<usize>,
    ) -> bool {
        let before = marked.len();
        let mut taken: Vec<(u32, &str)> = Vec::with_capacity(places.len());
        for (word, places) in places.iter().enumerate() {
            let from = if word == 0 { start } else { low };
            let at = places.partition_point(|&(place, _)| place < from);
            let end = if word == 0 { start } else { low.saturating_add(slop) };
            let free =
                places[at..].iter().take_while(|&&(place, _)| place <= end).find(|&&(_, at)| {
                    let token = (tokens[at].position, &tokens[at].term[..]);
                    // Two terms of one word of the text may stand at one place, as they do in the phrase.
                    slop == 0 || !taken.iter().any(|other| other.0 == token.0)
                });
            let Some(&(_, at)) = free else {
                marked.truncate(before);
                return false;
            };
            taken.push((tokens[at].position, &tokens[at].term));
            marked.push(at);
        }
        true
    }
}

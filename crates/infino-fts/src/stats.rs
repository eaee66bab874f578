//! What BM25 must know of the whole table, summed over its files.

use crate::{FtsReader, Prepared};

/// How much text a field holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldStats {
    /// Rows where the field is not null.
    pub docs: u64,
    /// Tokens in all of them.
    pub tokens: u64,
}

/// In how many documents each term of a query occurs, by field and term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TermStats {
    /// Ascending by field, then term.
    terms: Vec<(String, Vec<u8>, u64)>,
}

impl TermStats {
    /// Adds `df` documents of `term` in `field`.
    pub fn add(&mut self, field: &str, term: &[u8], df: u64) {
        match self.find(field, term) {
            Ok(at) => self.terms[at].2 = self.terms[at].2.saturating_add(df),
            Err(at) => self.terms.insert(at, (field.to_owned(), term.to_vec(), df)),
        }
    }

    /// Adds the counts of `other`, of another file.
    pub fn merge(&mut self, other: &Self) {
        if self.terms.is_empty() {
            self.terms.clone_from(&other.terms);
            return;
        }
        other.terms.iter().for_each(|(field, term, df)| self.add(field, term, *df));
    }

    /// In how many documents `term` occurs; `None` if it has not been counted.
    pub fn df(&self, field: &str, term: &[u8]) -> Option<u64> {
        self.find(field, term).ok().map(|at| self.terms[at].2)
    }

    /// Field, term and count of each term, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8], u64)> {
        self.terms.iter().map(|(field, term, df)| (&field[..], &term[..], *df))
    }

    fn find(&self, field: &str, term: &[u8]) -> Result<usize, usize> {
        self.terms.binary_search_by(|(f, t, _)| (&f[..], &t[..]).cmp(&(field, term)))
    }
}

/// The statistics that scores are computed with: one table's, summed over its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorpusStats {
    fields: Vec<(String, FieldStats)>,
    terms: TermStats,
}

impl CorpusStats {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The statistics of a table of one file.
    pub fn of(reader: &FtsReader, prepared: &Prepared) -> Self {
        let mut stats = Self::new();
        stats.add(reader, &prepared.term_stats());
        stats
    }

    /// Adds one file: all its fields, and the counts it has of the query's terms.
    pub fn add(&mut self, reader: &FtsReader, terms: &TermStats) {
        for field in reader.fields() {
            if let Some(stats) = reader.field_stats(field) {
                self.add_field(field, stats);
            }
        }
        self.terms.merge(terms);
    }

    /// Adds a field of one file.
    pub fn add_field(&mut self, field: &str, stats: FieldStats) {
        match self.fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, sum)) => {
                sum.docs = sum.docs.saturating_add(stats.docs);
                sum.tokens = sum.tokens.saturating_add(stats.tokens);
            }
            None => self.fields.push((field.to_owned(), stats)),
        }
    }

    /// Adds the counts of one file's terms.
    pub fn add_terms(&mut self, terms: &TermStats) {
        self.terms.merge(terms);
    }

    /// What is known of `field`.
    pub fn field(&self, field: &str) -> Option<FieldStats> {
        self.fields.iter().find(|(name, _)| name == field).map(|&(_, stats)| stats)
    }

    /// In how many documents `term` occurs.
    pub fn df(&self, field: &str, term: &[u8]) -> Option<u64> {
        self.terms.df(field, term)
    }
}

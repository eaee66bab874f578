//! What each term of a query is worth, by the statistics of the table.

use crate::bm25::{Norm, Scorer, idf};
use crate::reader::{PreparedInner, PreparedTerm};
use crate::stats::{CorpusStats, FieldStats};

/// Per term of a prepared query, its idf; per field, its norm.
#[derive(Debug)]
pub(crate) struct Weights {
    idfs: Vec<f64>,
    norms: Vec<Norm>,
    /// Per term, its field and in how many rows of the table it occurs; per field, rows where it is not null.
    dfs: Vec<(usize, u64)>,
    docs: Vec<u64>,
}

impl Weights {
    pub(crate) fn new(prepared: &PreparedInner, stats: &CorpusStats) -> Self {
        let fields: Vec<FieldStats> = prepared
            .reader
            .fields
            .iter()
            .map(|field| {
                let own = FieldStats { docs: field.layout.docs, tokens: field.layout.tokens };
                stats.field(&field.layout.column).unwrap_or(own)
            })
            .collect();
        let dfs: Vec<(usize, u64)> = prepared
            .terms
            .iter()
            .map(|PreparedTerm { field, term, list }| {
                let own = list.as_ref().map_or(0, |list| list.found.df.into());
                let df = stats.df(&prepared.reader.fields[*field].layout.column, term);
                (*field, df.unwrap_or(0).max(own))
            })
            .collect();
        let idfs = dfs.iter().map(|&(field, df)| idf(fields[field].docs, df)).collect();
        let norms = fields.iter().map(|field| Norm::new(field.docs, field.tokens)).collect();
        let docs = fields.iter().map(|field| field.docs).collect();
        Self { idfs, norms, dfs, docs }
    }

    /// The scorer of terms of `field` that together are worth `boost` times the sum of their idfs.
    pub(crate) fn scorer(
        &self,
        field: usize,
        terms: impl Iterator<Item = usize>,
        boost: f32,
    ) -> Scorer {
        let idf: f64 = terms.map(|term| self.idfs[term]).sum();
        Scorer { weight: (idf * f64::from(boost)) as f32, norm: self.norms[field] }
    }

    /// What one word is worth that `terms` stand for, each in a field of its own: `boost` times the idf it has where it is most
    /// frequent, in a table of as many rows as the fullest field.
    pub(crate) fn combined(&self, terms: &[(usize, f32)], boost: f32) -> f32 {
        let df = terms.iter().map(|&(term, _)| self.dfs[term].1).max().unwrap_or(0);
        let docs = terms.iter().map(|&(term, _)| self.docs[self.dfs[term].0]).max().unwrap_or(0);
        (idf(docs, df) * f64::from(boost)) as f32
    }

    /// The norm of the field of `term`.
    pub(crate) fn norm(&self, term: usize) -> Norm {
        self.norms[self.dfs[term].0]
    }
}

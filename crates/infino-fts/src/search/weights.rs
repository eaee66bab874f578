//! What each term of a query is worth, by the statistics of the table.

use crate::bm25::{Norm, Scorer, idf};
use crate::reader::{PreparedInner, PreparedTerm};
use crate::stats::{CorpusStats, FieldStats};

/// Per term of a prepared query, its idf; per field, its norm.
#[derive(Debug)]
pub(crate) struct Weights {
    idfs: Vec<f64>,
    norms: Vec<Norm>,
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
        let idfs = prepared
            .terms
            .iter()
            .map(|PreparedTerm { field, term, list }| {
                let own = list.as_ref().map_or(0, |list| list.found.df.into());
                let df = stats.df(&prepared.reader.fields[*field].layout.column, term);
                idf(fields[*field].docs, df.unwrap_or(0).max(own))
            })
            .collect();
        let norms = fields.iter().map(|field| Norm::new(field.docs, field.tokens)).collect();
        Self { idfs, norms }
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
}

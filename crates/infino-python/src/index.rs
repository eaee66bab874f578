//! Indexes, as `infino.index` describes them.

use infino::{IndexSet, IndexSpec, Metric, RerankCodec, TextIndex, VectorIndex};
use pyo3::prelude::*;

use crate::errors;

/// A text or keyword index.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct TextIn {
    column: String,
    analyzer: String,
    positions: bool,
    stored: bool,
}

/// A vector index.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct VectorIn {
    column: String,
    dim: u32,
    metric: String,
    rerank: String,
    target_recall: f64,
    stored: bool,
}

/// The indexes of a table.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct IndexesIn {
    text: Vec<TextIn>,
    vectors: Vec<VectorIn>,
    key: Vec<String>,
}

const METRICS: [(Metric, &str); 4] = [
    (Metric::L2, "l2"),
    (Metric::Cosine, "cosine"),
    (Metric::InnerProduct, "inner_product"),
    (Metric::Hamming, "hamming"),
];

const CODECS: [(RerankCodec, &str); 3] =
    [(RerankCodec::None, "none"), (RerankCodec::Sq8Residual, "sq8"), (RerankCodec::F32, "f32")];

fn named<T: Copy>(py: Python<'_>, what: &str, names: &[(T, &str)], name: &str) -> PyResult<T> {
    let found = names.iter().find(|known| known.1 == name);
    found.map(|known| known.0).ok_or_else(|| {
        let known = names.iter().map(|known| known.1).collect::<Vec<_>>().join(", ");
        errors::invalid(py, &format!("no {what} is called {name:?}; known are {known}"))
    })
}

fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|known| known.0 == *value).map_or("unknown", |known| known.1)
}

impl TextIn {
    pub(crate) fn index(self) -> TextIndex {
        let Self { column, analyzer, positions, stored } = self;
        TextIndex { column, analyzer, positions, stored }
    }
}

impl VectorIn {
    pub(crate) fn index(self, py: Python<'_>) -> PyResult<VectorIndex> {
        if !(0.0..=1.0).contains(&self.target_recall) {
            let message = format!("target_recall is {}; it lies from 0 to 1", self.target_recall);
            return Err(errors::invalid(py, &message));
        }
        Ok(VectorIndex {
            metric: named(py, "metric", &METRICS, &self.metric)?,
            rerank: named(py, "rerank codec", &CODECS, &self.rerank)?,
            column: self.column,
            dim: self.dim,
            target_recall_millis: (self.target_recall * 1000.0).round() as u16,
            stored: self.stored,
        })
    }
}

impl IndexesIn {
    pub(crate) fn spec(self, py: Python<'_>) -> PyResult<IndexSpec> {
        let vectors = self.vectors.into_iter().map(|vector| vector.index(py));
        Ok(IndexSpec::from_set(IndexSet {
            text: self.text.into_iter().map(TextIn::index).collect(),
            vectors: vectors.collect::<PyResult<_>>()?,
            key: self.key,
        }))
    }
}

/// A text index as Python sees it.
#[derive(IntoPyObject)]
struct TextOut {
    column: String,
    analyzer: String,
    positions: bool,
    stored: bool,
}

/// A vector index as Python sees it.
#[derive(IntoPyObject)]
struct VectorOut {
    column: String,
    dim: u32,
    metric: &'static str,
    rerank: &'static str,
    target_recall: f64,
    stored: bool,
}

/// The indexes of a table as Python sees them: dictionaries of the fields.
#[derive(IntoPyObject)]
pub(crate) struct IndexesOut {
    text: Vec<TextOut>,
    vectors: Vec<VectorOut>,
    key: Vec<String>,
}

impl From<IndexSet> for IndexesOut {
    fn from(set: IndexSet) -> Self {
        let text = set.text.into_iter().map(|index| TextOut {
            column: index.column,
            analyzer: index.analyzer,
            positions: index.positions,
            stored: index.stored,
        });
        let vectors = set.vectors.into_iter().map(|index| VectorOut {
            column: index.column,
            dim: index.dim,
            metric: name_of(&METRICS, &index.metric),
            rerank: name_of(&CODECS, &index.rerank),
            target_recall: f64::from(index.target_recall_millis) / 1000.0,
            stored: index.stored,
        });
        Self { text: text.collect(), vectors: vectors.collect(), key: set.key }
    }
}

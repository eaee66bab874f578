//! Which columns of a table are indexed, and how.

use infino_format::schema::{IndexSet, Metric, RerankCodec, TextIndex, VectorIndex};

/// The indexes of a new table.
///
/// ```
/// use infino::{IndexSpec, Metric};
///
/// let index = IndexSpec::new()
///     .fts("body")
///     .fts_with("title", "english-v1")
///     .vector("embedding", 384, Metric::Cosine)
///     .keyword("sku");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexSpec {
    indexes: IndexSet,
}

impl IndexSpec {
    /// No indexes: SQL works, searches need at least one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Indexes a text column for BM25 and token queries, with the analyzer `standard-v1` and positions.
    #[must_use]
    pub fn fts(self, column: &str) -> Self {
        self.fts_with(column, "standard-v1")
    }

    /// Indexes a text column with a named analyzer: `standard-v1`, `english-v1`, `code-v1`, …
    #[must_use]
    pub fn fts_with(mut self, column: &str, analyzer: &str) -> Self {
        self.indexes.text.push(TextIndex {
            column: column.to_owned(),
            analyzer: analyzer.to_owned(),
            positions: true,
            stored: true,
        });
        self
    }

    /// Indexes a text column by its whole value, for exact matches.
    #[must_use]
    pub fn keyword(mut self, column: &str) -> Self {
        self.indexes.text.push(TextIndex {
            column: column.to_owned(),
            analyzer: KEYWORD.to_owned(),
            positions: false,
            stored: true,
        });
        self
    }

    /// Declares the columns whose values together are unique: no two rows share them, and rows can be upserted by them.
    #[must_use]
    pub fn key(mut self, columns: &[&str]) -> Self {
        self.indexes.key = columns.iter().map(|&column| column.to_owned()).collect();
        self
    }

    /// Indexes a column of `dim` floats for nearest-neighbour search.
    #[must_use]
    pub fn vector(self, column: &str, dim: usize, metric: Metric) -> Self {
        self.vector_with(column, dim, metric, RerankCodec::Sq8Residual, 0.95)
    }

    /// Indexes a vector column, choosing what is kept to rerank with and the recall@10 that a default search reaches.
    #[must_use]
    pub fn vector_with(
        mut self,
        column: &str,
        dim: usize,
        metric: Metric,
        rerank: RerankCodec,
        target_recall: f32,
    ) -> Self {
        self.indexes.vectors.push(VectorIndex {
            column: column.to_owned(),
            dim: u32::try_from(dim).unwrap_or(u32::MAX),
            metric,
            rerank,
            target_recall_millis: (target_recall.clamp(0.0, 1.0) * 1000.0) as u16,
            stored: true,
        });
        self
    }

    /// The indexes, in the form in which a table keeps them.
    pub fn from_set(indexes: IndexSet) -> Self {
        Self { indexes }
    }

    pub(crate) fn into_set(self) -> IndexSet {
        self.indexes
    }
}

/// The analyzer that takes the whole value as one term.
pub(crate) const KEYWORD: &str = "keyword-v1";

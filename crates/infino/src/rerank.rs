//! A second look at the best rows of a search.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::{Error, ErrorKind};

/// What a [`Reranker`] may fail with.
pub type RerankFailure = Box<dyn std::error::Error + Send + Sync>;

/// Gives the best rows of a text or hybrid search scores of its own: a cross-encoder, a rule of the business.
///
/// Pass it to [`Search::rerank`](crate::Search::rerank), or give it a name with
/// [`Connection::register_reranker`](crate::Connection::register_reranker) for SQL to call it by.
///
/// ```
/// use infino::arrow::array::{AsArray, RecordBatch};
/// use infino::{RerankFailure, Reranker};
///
/// /// Short texts first.
/// #[derive(Debug)]
/// struct Shortest;
///
/// #[async_trait::async_trait]
/// impl Reranker for Shortest {
///     fn columns(&self) -> Vec<String> {
///         vec!["body".into()]
///     }
///
///     async fn scores(&self, _: &str, rows: &RecordBatch) -> Result<Vec<f32>, RerankFailure> {
///         let body = rows.column_by_name("body").ok_or("no body")?.as_string::<i32>();
///         Ok(body.iter().map(|body| -(body.map_or(0, str::len) as f32)).collect())
///     }
/// }
/// ```
#[async_trait]
pub trait Reranker: fmt::Debug + Send + Sync {
    /// The columns it looks at, beside `_id` and `score`.
    fn columns(&self) -> Vec<String>;

    /// A score for each of `rows`, which come best first by the search that asked `query`; the higher the better.
    ///
    /// # Errors
    /// Whatever keeps it from scoring; the search fails with it.
    async fn scores(&self, query: &str, rows: &RecordBatch) -> Result<Vec<f32>, RerankFailure>;
}

/// A reranker, and how many rows it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Rerank {
    pub(crate) by: Arc<dyn Reranker>,
    pub(crate) depth: usize,
}

impl Rerank {
    /// Rows shown unless it is said how many.
    pub(crate) const DEPTH: usize = 100;

    /// The scores of `rows`, one each.
    pub(crate) async fn scores(&self, query: &str, rows: &RecordBatch) -> Result<Vec<f32>, Error> {
        let failed = |problem: String| Error::new(ErrorKind::Unavailable, problem);
        let scores = self.by.scores(query, rows).await;
        let scores = scores.map_err(|error| failed(format!("the reranker failed: {error}")))?;
        if scores.len() != rows.num_rows() || scores.iter().any(|score| score.is_nan()) {
            return Err(Error::invalid(format!(
                "the reranker gave {} scores for {} rows, of which {} are no numbers",
                scores.len(),
                rows.num_rows(),
                scores.iter().filter(|score| score.is_nan()).count()
            )));
        }
        Ok(scores)
    }
}

/// The rerankers that SQL may name; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rerankers(Arc<Mutex<BTreeMap<String, Arc<dyn Reranker>>>>);

impl Rerankers {
    pub(crate) fn register(&self, name: &str, by: Arc<dyn Reranker>) {
        self.0.lock().expect("no panic while held").insert(name.to_owned(), by);
    }

    /// The reranker of this name.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<dyn Reranker>, Error> {
        let known = self.0.lock().expect("no panic while held");
        known.get(name).cloned().ok_or_else(|| {
            let names = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let there = if names.is_empty() { "none is registered".into() } else { names };
            Error::new(ErrorKind::NotFound, format!("no reranker {name:?}; known: {there}"))
        })
    }
}

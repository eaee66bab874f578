//! A search, as `infino.query` describes it.

use infino::{Fusion, FusionMethod, Search, Supertable, TextMode};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors;

/// How two rankings become one.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct FusionIn {
    method: String,
    k: f32,
    text_weight: f32,
    vector_weight: f32,
    depth: usize,
}

/// What is asked; fields that a kind of search has no use for are None.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SearchIn {
    kind: String,
    text_column: Option<String>,
    text: Option<String>,
    vector_column: Option<String>,
    /// 32-bit floats of this machine's byte order.
    vector: Option<PyBackedBytes>,
    k: usize,
    columns: Vec<String>,
    filter: Option<String>,
    mode: Option<String>,
    fusion: Option<FusionIn>,
    exact: bool,
    nprobe: Option<u32>,
    target_recall: Option<f32>,
}

impl SearchIn {
    /// The search of `table`, not begun.
    ///
    /// # Errors
    /// `infino.InvalidError` if names or numbers are not what a search takes.
    pub(crate) fn on(self, py: Python<'_>, table: &Supertable) -> PyResult<Search> {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let text_column = self.text_column.as_deref().unwrap_or_default();
        let vector_column = self.vector_column.as_deref().unwrap_or_default();
        let text = self.text.as_deref().unwrap_or_default();
        let vector = self.vector.as_deref().map(floats).unwrap_or_default();
        let (k, columns) = (self.k, columns.as_slice());
        let mut search = match self.kind.as_str() {
            "bm25" => table.bm25_search(text_column, text, k, columns),
            "vector" => table.vector_search(vector_column, &vector, k, columns),
            "hybrid" => table.hybrid_search(text_column, text, vector_column, &vector, k, columns),
            "tokens" => table.token_match(text_column, text, k, columns),
            "exact" => table.exact_match(text_column, text, k, columns),
            other => {
                return Err(errors::invalid(py, &format!("no search is called {other:?}")));
            }
        };
        if let Some(filter) = self.filter {
            search = search.filter(filter);
        }
        if let Some(mode) = self.mode {
            let mode = TextMode::named(&mode);
            search = search.mode(mode.map_err(|error| errors::exception(py, &error))?);
        }
        if let Some(fusion) = self.fusion {
            search = search.fusion(fusion.fusion(py)?);
        }
        if self.exact {
            search = search.exact();
        }
        if let Some(nprobe) = self.nprobe {
            search = search.nprobe(nprobe);
        }
        if let Some(recall) = self.target_recall {
            search = search.target_recall(recall);
        }
        Ok(search)
    }
}

impl FusionIn {
    fn fusion(self, py: Python<'_>) -> PyResult<Fusion> {
        let method = match self.method.as_str() {
            "rrf" => FusionMethod::ReciprocalRank { k: self.k },
            "linear" => FusionMethod::Linear,
            other => {
                let message = format!("no fusion is called {other:?}; known are rrf, linear");
                return Err(errors::invalid(py, &message));
            }
        };
        let Self { text_weight, vector_weight, depth, .. } = self;
        Ok(Fusion { method, text_weight, vector_weight, depth })
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let chunks = bytes.chunks_exact(size_of::<f32>());
    chunks.map(|four| f32::from_ne_bytes(four.try_into().expect("four bytes"))).collect()
}

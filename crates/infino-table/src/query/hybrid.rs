//! Text and vectors fused by rank.

use std::collections::HashMap;
use std::sync::Arc;

use infino_format::{DocId, SuperfileId};
use infino_fts::Query;
use infino_manifest::Snapshot;
use infino_vector::SearchParams;

use super::{Hit, text, vector};
use crate::{RowFilter, Table, TableError};

/// How two rankings become one: reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009).
///
/// A row at rank r (from 1) of a ranking adds `weight / (k + r)` to its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    /// The constant that flattens the head of a ranking.
    pub k: f32,
    /// Weight of the text ranking.
    pub text_weight: f32,
    /// Weight of the vector ranking.
    pub vector_weight: f32,
    /// Rows taken from each ranking, or more if more are asked for.
    pub depth: usize,
}

impl Default for Fusion {
    fn default() -> Self {
        Self { k: 60.0, text_weight: 1.0, vector_weight: 1.0, depth: 100 }
    }
}

/// The `k` rows that best answer both a text query and a vector, best first, equal scores by row id.
///
/// Both rankings are made of one snapshot, at the same time.
///
/// # Errors
/// As [`text::search`] and [`vector::search`].
#[expect(clippy::too_many_arguments, reason = "one argument a part of the question")]
pub async fn search(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    query: &Query,
    column: &str,
    vector: &[f32],
    k: usize,
    fusion: Fusion,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, TableError> {
    let depth = fusion.depth.max(k);
    let params = SearchParams { k: depth, ..SearchParams::default() };
    let (texts, vectors) = futures::try_join!(
        text::search(table, snapshot, query, depth, filter),
        vector::search(table, snapshot, column, vector, &params, filter),
    )?;
    Ok(fuse(&texts, &vectors, k, fusion))
}

/// One ranking out of two.
fn fuse(texts: &[Hit], vectors: &[Hit], k: usize, fusion: Fusion) -> Vec<Hit> {
    let mut scores: HashMap<(SuperfileId, DocId), Hit> =
        HashMap::with_capacity(texts.len() + vectors.len());
    for (ranking, weight) in [(texts, fusion.text_weight), (vectors, fusion.vector_weight)] {
        for (rank, hit) in (1u32..).zip(ranking) {
            let fused = scores.entry((hit.file, hit.doc)).or_insert(Hit { value: 0.0, ..*hit });
            fused.value += weight / (fusion.k + rank as f32);
        }
    }
    let mut fused: Vec<Hit> = scores.into_values().collect();
    fused.sort_unstable_by(|a, b| b.value.total_cmp(&a.value).then(a.row.cmp(&b.row)));
    fused.truncate(k);
    fused
}

#[cfg(test)]
mod tests {
    use infino_format::RowId;

    use super::*;

    fn hits(docs: &[u32]) -> Vec<Hit> {
        docs.iter()
            .map(|&doc| Hit { file: SuperfileId(0), doc, row: RowId(doc.into()), value: 1.0 })
            .collect()
    }

    #[test]
    fn a_row_in_both_rankings_wins_and_ties_go_by_row() {
        let fused = fuse(&hits(&[1, 2, 3]), &hits(&[4, 2, 5]), 4, Fusion::default());
        assert_eq!(fused.iter().map(|hit| hit.doc).collect::<Vec<_>>(), [2, 1, 4, 3]);
        assert_eq!(fused[0].value, 2.0 / 62.0);
        assert_eq!(fused[1].value, fused[2].value);
    }
}

//! Text and vectors fused by rank.

use std::collections::HashMap;
use std::sync::Arc;

use infino_format::{DocId, SuperfileId};
use infino_fts::Query;
use infino_manifest::Snapshot;
use infino_vector::SearchParams;

use super::{Hit, text, vector};
use crate::{RowFilter, Table, TableError};

/// How two rankings become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    /// What a row's place in a ranking is worth.
    pub method: FusionMethod,
    /// Weight of the text ranking.
    pub text_weight: f32,
    /// Weight of the vector ranking.
    pub vector_weight: f32,
    /// Rows taken from each ranking, or more if more are asked for.
    pub depth: usize,
}

/// What a row's place in a ranking is worth; a row that a ranking does not hold gets nothing from it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FusionMethod {
    /// Rank r, from 1, is worth `1 / (k + r)`: reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009).
    ReciprocalRank {
        /// The constant that flattens the head of a ranking.
        k: f32,
    },
    /// Scores and distances, each ranking's scaled so that its best is worth 1 and its last 0; 1 if all are equal.
    Linear,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            method: FusionMethod::ReciprocalRank { k: 60.0 },
            text_weight: 1.0,
            vector_weight: 1.0,
            depth: 100,
        }
    }
}

impl FusionMethod {
    /// What the hit at `rank`, from 1, of `ranking` is worth.
    fn worth(self, ranking: &[Hit], rank: usize) -> f32 {
        match self {
            Self::ReciprocalRank { k } => 1.0 / (k + rank as f32),
            Self::Linear => {
                let (best, last) = (ranking[0].value, ranking[ranking.len() - 1].value);
                match best == last {
                    true => 1.0,
                    // The same for scores, which fall, and distances, which climb.
                    false => (ranking[rank - 1].value - last) / (best - last),
                }
            }
        }
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
        for (rank, hit) in (1..).zip(ranking) {
            let fused = scores.entry((hit.file, hit.doc)).or_insert(Hit { value: 0.0, ..*hit });
            fused.value += weight * fusion.method.worth(ranking, rank);
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

    #[test]
    fn linear_fusion_scales_each_ranking_to_its_own_range() {
        let ranked = |values: &[(u32, f32)]| -> Vec<Hit> {
            values.iter().map(|&(doc, value)| Hit { value, ..hits(&[doc])[0] }).collect()
        };
        let texts = ranked(&[(1, 8.0), (2, 6.0), (3, 4.0)]);
        let vectors = ranked(&[(3, 0.5), (2, 0.75), (4, 1.5)]);
        let fusion =
            Fusion { method: FusionMethod::Linear, vector_weight: 2.0, ..Fusion::default() };
        let fused = fuse(&texts, &vectors, 9, fusion);
        let values: Vec<_> = fused.iter().map(|hit| (hit.doc, hit.value)).collect();
        assert_eq!(values, [(2, 0.5 + 2.0 * 0.75), (3, 2.0), (1, 1.0), (4, 0.0)]);
    }
}

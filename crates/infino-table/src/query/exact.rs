//! Nearest neighbours by comparing with every stored vector.
//!
//! An index keeps vectors as codes, and some codecs round; the column in the Parquet body does not. What `exact` promises
//! comes from there.

use arrow::array::{Array, AsArray, FixedSizeListArray, RecordBatch};
use arrow::datatypes::Float32Type;
use futures::TryStreamExt;
use infino_format::DocSet;
use infino_format::schema::{Metric, VectorIndex};
use infino_superfile::Superfile;

use super::merge::FileHit;
use crate::TableError;

/// The `k` rows of `file` among `allowed` whose vectors are nearest to `query`, nearest first, equal distances by row.
pub(super) async fn search(
    file: &Superfile,
    index: &VectorIndex,
    query: &[f32],
    k: usize,
    allowed: Option<&DocSet>,
) -> Result<Vec<FileHit>, TableError> {
    let id = file.summary().id;
    let mut docs: Box<dyn Iterator<Item = u32> + Send> = match allowed {
        Some(allowed) => Box::new(allowed.iter()),
        None => Box::new(0..file.row_count()),
    };
    let mut batches = file.scan(Some(&[&index.column]), allowed).await?;
    let mut hits = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        for distance in distances(index.metric, query, &batch) {
            let doc = docs.next().expect("a scan gives the rows asked for");
            hits.extend(distance.map(|value| FileHit { file: id, doc, value }));
        }
        // Twice k: a cut costs a pass over what is held, so it waits until it is worth it.
        if hits.len() >= 2 * k.max(1024) {
            keep_nearest(&mut hits, k);
        }
    }
    keep_nearest(&mut hits, k);
    Ok(hits)
}

fn keep_nearest(hits: &mut Vec<FileHit>, k: usize) {
    hits.sort_unstable_by(|a, b| a.value.total_cmp(&b.value).then(a.doc.cmp(&b.doc)));
    hits.truncate(k);
}

/// The distance of every row of the batch's only column; `None` where it is null.
fn distances<'a>(
    metric: Metric,
    query: &'a [f32],
    batch: &'a RecordBatch,
) -> impl Iterator<Item = Option<f32>> + 'a {
    let vectors: &FixedSizeListArray = batch.column(0).as_fixed_size_list();
    let values = vectors.values().as_primitive::<Float32Type>().values();
    (0..vectors.len()).map(move |row| {
        let start = vectors.value_offset(row) as usize;
        vectors.is_valid(row).then(|| distance(metric, query, &values[start..start + query.len()]))
    })
}

/// How far `vector` is from `query`, which has as many dimensions, summed in double precision.
pub fn distance(metric: Metric, query: &[f32], vector: &[f32]) -> f32 {
    let sum = |term: fn(f64, f64) -> f64| {
        query.iter().zip(vector).map(|(&q, &v)| term(q.into(), v.into())).sum::<f64>()
    };
    let distance = match metric {
        Metric::L2 => sum(|q, v| (q - v) * (q - v)),
        Metric::InnerProduct => -sum(|q, v| q * v),
        Metric::Cosine => 1.0 - sum(|q, v| q * v) / (sum(|q, _| q * q) * sum(|_, v| v * v)).sqrt(),
        Metric::Hamming => sum(|q, v| f64::from(u8::from(q != v))),
    };
    distance as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_their_definitions() {
        let (a, b) = ([1.0, 2.0, 2.0], [2.0, 0.0, 2.0]);
        assert_eq!(distance(Metric::L2, &a, &b), 5.0);
        assert_eq!(distance(Metric::InnerProduct, &a, &b), -6.0);
        assert_eq!(distance(Metric::Cosine, &a, &b), (1.0 - 6.0 / (3.0 * 8f64.sqrt())) as f32);
        assert_eq!(distance(Metric::Hamming, &a, &b), 2.0);
    }
}

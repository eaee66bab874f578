//! The neighbours of the queries that an index is calibrated with.

use infino_format::schema::Metric;
use rayon::prelude::*;

use super::super::rows::Rows;
use super::list;
use crate::layout::{CALIBRATED_K, Layout};
use crate::payload::Payload;
use crate::search::Query;
use crate::search::scan::{Candidate, Candidates};
use crate::spec::bound;
use crate::{VectorError, extended, kernel};

/// Queries that are asked of a list while it is in cache.
const TOGETHER: usize = 8;
/// Neighbours by estimate that are put in order by their vectors.
const RERANKED: usize = 300;
/// For each neighbour wanted, the rows that codes put in order where nothing else does.
const RIVALS: usize = 5;

/// A query, and its neighbours and their lists, nearest first.
pub(super) struct Found {
    pub(super) query: Query,
    pub(super) docs: Vec<u32>,
    pub(super) lists: Vec<u32>,
    /// For the first two of [`CALIBRATED_K`] and each neighbour, the width of the bound at which it comes through.
    widths: [Vec<f32>; 2],
}

impl Found {
    /// Whether neighbour `i` of as many as row `row` of the calibration is for is found at a width, once its list is visited.
    pub(super) fn passes(&self, row: usize, i: usize, width: f32) -> bool {
        // Where neighbours are many, few of them are at the edge.
        self.widths.get(row).and_then(|widths| widths.get(i)).is_none_or(|&needed| needed <= width)
    }
}

/// Finds the neighbours of each of `queries`, rows of the index, other than itself.
pub(super) fn find(
    layout: &Layout,
    codes: &[u8],
    rows: &Rows,
    order: &[u32],
    queries: &[u32],
) -> Result<Vec<Found>, VectorError> {
    let k = (CALIBRATED_K[CALIBRATED_K.len() - 1] as usize).min(order.len() - 1);
    let together = |some: &[u32]| {
        let query = |&row: &u32| {
            let mut rotated = vec![0.0; layout.header.dim];
            rows.read(row as usize, &mut rotated)?;
            // One more for the row itself.
            Ok((row, Query::of_row(rotated), Candidates::new(layout, k + 1)))
        };
        let mut asked = some.iter().map(query).collect::<Result<Vec<_>, VectorError>>()?;
        for id in 0..layout.lists.len() {
            let list = list(layout, codes, id)?;
            for (_, query, candidates) in &mut asked {
                candidates.scan(layout, query, id, &list, None);
            }
        }
        let ranked = |(row, query, candidates): (u32, Query, Candidates)| {
            let near = candidates.finish(layout, &query).into_rows();
            rank(layout, rows, order, (row, query), near, k)
        };
        asked.into_iter().map(ranked).collect()
    };
    let found: Vec<Vec<Found>> =
        queries.par_chunks(TOGETHER).map(together).collect::<Result<_, VectorError>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn rank(
    layout: &Layout,
    rows: &Rows,
    order: &[u32],
    (row, query): (u32, Query),
    mut near: Vec<Candidate>,
    k: usize,
) -> Result<Found, VectorError> {
    near.retain(|candidate| order[candidate.position as usize] != row);
    let nearer = |a: &Candidate, b: &Candidate| {
        a.estimate.total_cmp(&b.estimate).then(a.position.cmp(&b.position))
    };
    near.sort_unstable_by(nearer);
    near.truncate(k);
    // Where neighbours are many, it matters little which of them estimates put last.
    let mut vector = vec![0.0; layout.header.dim];
    let mut exact = Vec::with_capacity(RERANKED);
    for &candidate in near.iter().take(RERANKED) {
        rows.read(order[candidate.position as usize] as usize, &mut vector)?;
        let distance = match layout.header.metric {
            Metric::InnerProduct => -kernel::dot(&query.rotated, &vector),
            _ => kernel::l2(&query.rotated, &vector),
        };
        exact.push((distance, candidate, recoded(layout, &query, &candidate, &vector)));
    }
    exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.position.cmp(&b.1.position)));
    near.splice(..exact.len(), exact.iter().map(|&(_, candidate, _)| candidate));
    let widths = [0, 1].map(|i| {
        let k = (CALIBRATED_K[i] as usize).min(exact.len());
        if layout.header.payload().stands_alone() { widths(&exact[..k]) } else { ranks(&exact, k) }
    });
    Ok(Found {
        query,
        docs: near.iter().map(|candidate| candidate.doc).collect(),
        lists: near.iter().map(|candidate| candidate.list).collect(),
        widths,
    })
}

/// A row's distance, its place among the candidates, and the estimate that puts it in order in the end.
type Exact = (f32, Candidate, f32);

/// The width at which each of the nearest rows is not ruled out by the farthest of them.
fn widths(nearest: &[Exact]) -> Vec<f32> {
    let Some(&(worst, ..)) = nearest.last() else { return Vec::new() };
    let width = |(_, row, _): &Exact| {
        let deviation = (row.estimate - row.lower) / bound(1.0);
        if row.estimate <= worst { 0.0 } else { (row.estimate - worst) / deviation }
    };
    nearest.iter().map(width).collect()
}

/// Zero for each of the `k` nearest rows that codes put among the `k` nearest, infinity for the others.
fn ranks(exact: &[Exact], k: usize) -> Vec<f32> {
    let rivals = &exact[..exact.len().min(RIVALS * k)];
    let mut estimates: Vec<f32> = rivals.iter().map(|row| row.2).collect();
    if k == 0 {
        return Vec::new();
    }
    let (_, &mut worst, _) = estimates.select_nth_unstable_by(k - 1, f32::total_cmp);
    let pass = |row: &Exact| if row.2 <= worst { 0.0 } else { f32::INFINITY };
    rivals[..k].iter().map(pass).collect()
}

/// The estimate of a row, from the bits that the index has of it.
fn recoded(layout: &Layout, query: &Query, row: &Candidate, vector: &[f32]) -> f32 {
    let Payload::Extended { bits } = layout.header.payload() else { return row.estimate };
    let list = row.list as usize;
    let centroid = (layout.centroid_bytes(list), layout.lists[list].scale);
    extended::estimate_of(layout.header.metric, bits, &query.rotated, centroid, vector)
}

//! How many lists a recall takes, asked of the index itself.
//!
//! Rows drawn from the index are the queries, each looking for its neighbours other than itself. A scan of every list
//! finds them, and the vectors themselves put the nearest in order; what is measured is how far down the order of lists each of them
//! stands. The weights of that order are those that need the fewest lists.

use infino_format::schema::Metric;
use rayon::prelude::*;

use super::rows::Rows;
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Calibration, Layout, ListBytes, ProbeOrder};
use crate::random::SplitMix64;
use crate::search::Query;
use crate::search::route::Nearness;
use crate::search::scan::{Candidate, Candidates};
use crate::{VectorError, kernel};

/// The stream of the seed that queries are drawn from.
const PURPOSE: u64 = 4;
const QUERIES: usize = 256;
/// Of the misses that a recall allows, the share that lists not visited may cause; estimates cause some too, and queries
/// are often farther from the rows than rows are from each other.
const MARGIN: f64 = 0.8;
/// Neighbours by estimate that are put in order by their vectors.
const RERANKED: usize = 300;
const SPREADS: [f32; 8] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4];

/// Sets the order of the lists and the calibration; `order` is the row at each position.
pub(super) fn calibrate(
    layout: &mut Layout,
    codes: &[u8],
    rows: &Rows,
    order: &[u32],
) -> Result<(), VectorError> {
    let nlist = layout.lists.len() as u32;
    if nlist <= 1 || order.len() < 2 {
        layout.header.calibration = [[nlist; CALIBRATED_RECALL.len()]; CALIBRATED_K.len()];
        return Ok(());
    }
    let drawn = SplitMix64::new(layout.header.seed, PURPOSE).sample(order.len(), QUERIES);
    let grid = grid(layout.header.metric);
    let ranks = drawn
        .par_iter()
        .map(|&position| {
            let found = neighbours(layout, codes, rows, order, position)?;
            let near = Nearness::new(layout, &found.query);
            let ranks = |&order| ranks(&near, layout.lists.len(), order, &found);
            Ok(grid.iter().map(ranks).collect::<Vec<_>>())
        })
        .collect::<Result<Vec<_>, VectorError>>()?;
    let calibrations: Vec<Calibration> = (0..grid.len())
        .map(|i| calibration(nlist as usize, ranks.iter().map(|ranks| ranks[i].as_slice())))
        .collect();
    let cost = |calibration: &Calibration| calibration[0][2] + calibration[0][4];
    let best =
        (0..grid.len()).min_by_key(|&i| cost(&calibrations[i])).expect("the grid has points");
    layout.header.order = grid[best];
    layout.header.calibration = calibrations[best];
    Ok(())
}

fn grid(metric: Metric) -> Vec<ProbeOrder> {
    let means: &[f32] = if metric == Metric::InnerProduct { &[0.0] } else { &[0.0, 1.0] };
    let point = |&mean| SPREADS.map(|spread| ProbeOrder { mean, spread });
    means.iter().flat_map(point).collect()
}

/// A query, and the list of each of its neighbours, nearest first.
struct Found {
    query: Query,
    lists: Vec<u32>,
}

fn neighbours(
    layout: &Layout,
    codes: &[u8],
    rows: &Rows,
    order: &[u32],
    position: usize,
) -> Result<Found, VectorError> {
    let mut rotated = vec![0.0; layout.header.dim];
    rows.read(order[position] as usize, &mut rotated)?;
    let query = Query::of_row(rotated);
    let k = (CALIBRATED_K[CALIBRATED_K.len() - 1] as usize).min(order.len() - 1);
    // One more for the row itself.
    let mut candidates = Candidates::new(layout, k + 1);
    for (id, entry) in layout.lists.iter().enumerate() {
        let range = layout.list_range(id);
        let at = (range.start - layout.open_len) as usize..(range.end - layout.open_len) as usize;
        let list = ListBytes::new(&codes[at], entry.rows, layout.header.dim, true)?;
        candidates.scan(layout, &query, id, &list, None);
    }
    let mut near: Vec<Candidate> = candidates.finish().into_rows();
    near.retain(|candidate| candidate.position as usize != position);
    near.sort_unstable_by(|a, b| {
        a.estimate.total_cmp(&b.estimate).then(a.position.cmp(&b.position))
    });
    near.truncate(k);
    // Where neighbours are many, it matters little which of them estimates put last.
    let mut row = vec![0.0; layout.header.dim];
    for candidate in near.iter_mut().take(RERANKED) {
        rows.read(order[candidate.position as usize] as usize, &mut row)?;
        candidate.estimate = match layout.header.metric {
            Metric::InnerProduct => -kernel::dot(&query.rotated, &row),
            _ => kernel::l2(&query.rotated, &row),
        };
    }
    let reranked = near.len().min(RERANKED);
    near[..reranked].sort_unstable_by(|a, b| {
        a.estimate.total_cmp(&b.estimate).then(a.position.cmp(&b.position))
    });
    Ok(Found { query, lists: near.iter().map(|candidate| candidate.list).collect() })
}

/// The rank of each neighbour's list under `order`.
fn ranks(near: &Nearness<'_>, lists: usize, order: ProbeOrder, found: &Found) -> Vec<u32> {
    let mut scores: Vec<(f32, u32)> =
        (0..lists).map(|id| (near.score(order, id), id as u32)).collect();
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut rank = vec![0; scores.len()];
    for (at, &(_, id)) in scores.iter().enumerate() {
        rank[id as usize] = at as u32;
    }
    found.lists.iter().map(|&list| rank[list as usize]).collect()
}

/// The least number of lists for each number of neighbours and each recall.
fn calibration<'a>(nlist: usize, ranks: impl Iterator<Item = &'a [u32]> + Clone) -> Calibration {
    let mut calibration = Calibration::default();
    for (row, k) in calibration.iter_mut().zip(CALIBRATED_K) {
        let mut at_rank = vec![0u64; nlist];
        let mut total = 0;
        for ranks in ranks.clone() {
            for &rank in ranks.iter().take(k as usize) {
                at_rank[rank as usize] += 1;
                total += 1;
            }
        }
        for (nprobe, recall) in row.iter_mut().zip(CALIBRATED_RECALL) {
            let aimed = 1.0 - MARGIN * (1.0 - f64::from(recall));
            let needed = (aimed * total as f64).ceil() as u64;
            let mut seen = 0;
            let lists = at_rank.iter().position(|&count| {
                seen += count;
                seen >= needed
            });
            *nprobe = lists.map_or(nlist, |last| last + 1) as u32;
        }
    }
    calibration
}

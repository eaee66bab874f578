//! How many lists a recall takes, asked of the index itself.
//!
//! Rows drawn from the index are the queries, each looking for its neighbours other than itself. A scan of every list
//! finds them, and the vectors themselves put the nearest in order; what is measured is how far down the order of lists
//! each of them stands. The weights of that order are those that need the fewest lists. [`patience`] then measures where
//! the same queries may end early.

mod patience;

use infino_format::schema::Metric;
use rayon::prelude::*;

use super::rows::Rows;
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Calibration, Layout, ListBytes, ProbeOrder};
use crate::random::SplitMix64;
use crate::search::Query;
use crate::search::route::{Nearness, key};
use crate::search::scan::{Candidate, Candidates};
use crate::{VectorError, kernel};

/// The stream of the seed that queries are drawn from.
const PURPOSE: u64 = 4;
/// Queries drawn, as many as `SCANNED` codes allow, within these bounds.
const QUERIES: std::ops::RangeInclusive<usize> = 256..=1024;
const SCANNED: usize = 150_000_000;
/// Of the misses that a recall allows, the share that lists not visited may cause; estimates cause some too, and queries
/// are often farther from the rows than rows are from each other.
const MARGIN: f64 = 0.75;
/// The same where codes alone put the neighbours in order, which causes most of the misses.
const MARGIN_OF_CODES: f64 = 0.25;
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
    let queries = (SCANNED / order.len()).clamp(*QUERIES.start(), *QUERIES.end());
    let drawn = SplitMix64::new(layout.header.seed, PURPOSE).sample(order.len(), queries);
    let grid = grid(layout.header.metric);
    let found = drawn
        .par_iter()
        .map(|&position| neighbours(layout, codes, rows, order, position))
        .collect::<Result<Vec<_>, VectorError>>()?;
    let lists = layout.lists.len();
    let ranked: Vec<Vec<Vec<u32>>> = found
        .par_iter()
        .take(*QUERIES.start())
        .map(|found| {
            let near = Nearness::new(layout, &found.query);
            grid.iter().map(|&order| ranks(&near, lists, order, found)).collect()
        })
        .collect();
    let calibrations = (0..grid.len())
        .map(|i| calibration(layout, ranked.iter().map(|ranks| ranks[i].as_slice())));
    let cost = |calibration: &Calibration| calibration[0][2] + calibration[0][4];
    let (best, _) = calibrations
        .enumerate()
        .min_by_key(|(_, calibration)| cost(calibration))
        .expect("the grid has points");
    layout.header.order = grid[best];
    let ranks: Vec<Vec<u32>> = found
        .par_iter()
        .map(|found| ranks(&Nearness::new(layout, &found.query), lists, grid[best], found))
        .collect();
    let without = calibration(layout, ranks.iter().map(Vec::as_slice));
    let queries: Vec<Asked<'_>> = found
        .iter()
        .zip(&ranks)
        .map(|(found, ranks)| Asked { query: &found.query, docs: &found.docs, ranks })
        .collect();
    patience::calibrate(layout, codes, &without, &queries)
}

/// The bytes of list `id`, which were made here.
fn list<'a>(layout: &Layout, codes: &'a [u8], id: usize) -> Result<ListBytes<'a>, VectorError> {
    let range = layout.list_range(id);
    let at = (range.start - layout.open_len) as usize..(range.end - layout.open_len) as usize;
    Ok(ListBytes::new(&codes[at], layout.lists[id].rows, layout.header.dim, true)?)
}

/// Of all neighbours, the share that lists visited are to hold for a recall.
fn aimed(layout: &Layout, recall: f32) -> f64 {
    let margin = if layout.header.payload().stands_alone() { MARGIN } else { MARGIN_OF_CODES };
    1.0 - margin * (1.0 - f64::from(recall))
}

fn grid(metric: Metric) -> Vec<ProbeOrder> {
    let means: &[f32] = if metric == Metric::InnerProduct { &[0.0] } else { &[0.0, 1.0] };
    let point = |&mean| SPREADS.map(|spread| ProbeOrder { mean, spread });
    means.iter().flat_map(point).collect()
}

/// A query, and its neighbours and their lists, nearest first.
struct Found {
    query: Query,
    docs: Vec<u32>,
    lists: Vec<u32>,
}

/// A query, and its neighbours and the ranks of their lists, nearest first.
struct Asked<'a> {
    query: &'a Query,
    docs: &'a [u32],
    ranks: &'a [u32],
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
    for id in 0..layout.lists.len() {
        candidates.scan(layout, &query, id, &list(layout, codes, id)?, None);
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
    let docs = near.iter().map(|candidate| candidate.doc).collect();
    Ok(Found { query, docs, lists: near.iter().map(|candidate| candidate.list).collect() })
}

/// The rank of each neighbour's list under `order`.
fn ranks(near: &Nearness<'_>, lists: usize, order: ProbeOrder, found: &Found) -> Vec<u32> {
    let mut keys: Vec<u64> = (0..lists).map(|id| key(near.score(order, id), id)).collect();
    keys.sort_unstable();
    let mut rank = vec![0; keys.len()];
    for (at, &key) in keys.iter().enumerate() {
        rank[key as u32 as usize] = at as u32;
    }
    found.lists.iter().map(|&list| rank[list as usize]).collect()
}

/// The least number of lists for each number of neighbours and each recall.
fn calibration<'a>(layout: &Layout, ranks: impl Iterator<Item = &'a [u32]> + Clone) -> Calibration {
    let nlist = layout.lists.len();
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
            let needed = (aimed(layout, recall) * total as f64).ceil() as u64;
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

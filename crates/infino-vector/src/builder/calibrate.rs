//! How many lists a recall takes, asked of the index itself.
//!
//! Rows that no centroid was trained with are the queries, each looking for its neighbours other than itself. A scan of
//! every list finds them, and the vectors themselves put the nearest in order; what is measured is how far down the order
//! of lists each of them stands, and whether its code lets it through. The weights of that order are those that need the
//! fewest lists. [`patience`] then measures where the same queries may end early, and how far they go with a filter.

mod patience;
mod truth;

use infino_format::schema::Metric;
use rayon::prelude::*;

use super::rows::Rows;
use crate::VectorError;
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Calibration, Layout, ListBytes, ProbeOrder};
use crate::search::route::{Nearness, key};
use crate::spec::bound;
use truth::Found;

/// Queries that the order of lists is chosen with.
const ORDERED: usize = 128;
/// Of the misses that a recall allows, the share that is left to chance.
const MARGIN: f64 = 0.05;
/// Of the neighbours that codes let through, the most that lists are asked for: the last few may take them all.
const HELD_MAX: f64 = 0.998;
const SPREADS: [f32; 8] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4];

/// Sets the order of the lists and the calibration; `order` is the row at each position, `queries` are rows.
pub(super) fn calibrate(
    layout: &mut Layout,
    codes: &[u8],
    rows: &Rows,
    order: &[u32],
    queries: &[u32],
) -> Result<(), VectorError> {
    let nlist = layout.lists.len() as u32;
    if nlist <= 1 || queries.is_empty() {
        layout.header.calibration = [[nlist; CALIBRATED_RECALL.len()]; CALIBRATED_K.len()];
        return Ok(());
    }
    let grid = grid(layout.header.metric);
    let found = truth::find(layout, codes, rows, order, queries)?;
    let lists = layout.lists.len();
    let ranked: Vec<Vec<Vec<u32>>> = found
        .par_iter()
        .take(ORDERED)
        .map(|found| {
            let near = Nearness::new(layout, &found.query);
            grid.iter().map(|&order| ranks(&near, lists, order, found)).collect()
        })
        .collect();
    let calibrations = (0..grid.len()).map(|i| {
        let ranks: Vec<&[u32]> = ranked.iter().map(|ranks| ranks[i].as_slice()).collect();
        calibration(layout, &found, &ranks)
    });
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
    let refs: Vec<&[u32]> = ranks.iter().map(Vec::as_slice).collect();
    let without = calibration(layout, &found, &refs);
    patience::calibrate(layout, codes, &without, &found, &refs)
}

/// The bytes of list `id`, which were made here.
fn list<'a>(layout: &Layout, codes: &'a [u8], id: usize) -> Result<ListBytes<'a>, VectorError> {
    let range = layout.list_range(id);
    let at = (range.start - layout.open_len) as usize..(range.end - layout.open_len) as usize;
    Ok(ListBytes::new(&codes[at], layout.lists[id].rows, layout.header.dim, true)?)
}

/// How many of `total` neighbours are to be in lists visited for a recall, of which codes let `through`.
fn aimed(recall: f32, through: usize, total: usize) -> usize {
    let recall = f64::from(recall);
    let wanted = (recall + MARGIN * (1.0 - recall)) * total as f64;
    wanted.min(HELD_MAX * through as f64).ceil() as usize
}

fn grid(metric: Metric) -> Vec<ProbeOrder> {
    let means: &[f32] = if metric == Metric::InnerProduct { &[0.0] } else { &[0.0, 1.0] };
    let point = |&mean| SPREADS.map(|spread| ProbeOrder { mean, spread });
    means.iter().flat_map(point).collect()
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

/// The least number of lists for each number of neighbours and each recall; `ranks` are of the lists of those of the first
/// of `found`.
fn calibration(layout: &Layout, found: &[Found], ranks: &[&[u32]]) -> Calibration {
    let nlist = layout.lists.len();
    let mut calibration = Calibration::default();
    for (row, (out, k)) in calibration.iter_mut().zip(CALIBRATED_K).enumerate() {
        for (nprobe, recall) in out.iter_mut().zip(CALIBRATED_RECALL) {
            let mut at_rank = vec![0usize; nlist];
            let (mut through, mut total) = (0, 0);
            for (found, ranks) in found.iter().zip(ranks) {
                for (i, &rank) in ranks.iter().take(k as usize).enumerate() {
                    total += 1;
                    if found.passes(row, i, bound(recall)) {
                        at_rank[rank as usize] += 1;
                        through += 1;
                    }
                }
            }
            let needed = aimed(recall, through, total);
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

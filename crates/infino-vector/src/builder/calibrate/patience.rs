//! Where a search may end early, so that easy queries do not pay for hard ones.
//!
//! Each query is searched as a search would, and after each list it is known how long the nearest rows have stood. Of the
//! patiences, and numbers of lists to end at in any case, that keep the recall, those are taken that visit the fewest
//! lists.

use infino_format::DocSet;
use rayon::prelude::*;

use super::{Asked, aimed, list};
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Calibration, FILTERED, Layout, Patience};
use crate::random::SplitMix64;
use crate::search::nprobe;
use crate::search::route::Route;
use crate::search::scan::Candidates;
use crate::search::stop::waited;
use crate::spec::bound;
use crate::{SearchParams, VectorError};

/// Lists to end at, as multiples of the number that a recall takes without patience.
const LISTS: [f64; 5] = [1.0, 1.1, 1.25, 1.4, 1.6];
/// Patiences: `FIRST`, and each next one by `STEP` shorter.
const FIRST: f32 = 16.0;
const STEP: f32 = 0.84;
const STEPS: usize = 48;
/// What reading a list in vain costs of what visiting it does: a search by range reads all lists it may visit.
const READ: f64 = 0.15;
/// More neighbours than these change too often for patience.
const K_MAX: u32 = 100;
/// The stream of the seed that the rows of a filter are drawn from.
const PURPOSE: u64 = 7;
/// Queries that are asked with a filter.
const FILTERED_QUERIES: usize = 400;

/// How a search went on, list after list, and the ranks of the lists of its neighbours.
struct Walk {
    /// The list of the last change, counted from 1, after each list.
    last: Vec<u32>,
    /// Lists after which there were `k` rows.
    enough: usize,
    ranks: Vec<u32>,
}

/// Sets the calibration, from one `without` patience, and the patience.
pub(super) fn calibrate(
    layout: &mut Layout,
    codes: &[u8],
    without: &Calibration,
    queries: &[Asked<'_>],
) -> Result<(), VectorError> {
    let (mut calibration, mut patience) = (*without, Patience::default());
    for (row, k) in CALIBRATED_K.into_iter().enumerate().filter(|&(_, k)| k <= K_MAX) {
        let most = |column: usize| lists_of(layout, without[row][column], LISTS[LISTS.len() - 1]);
        each_column(layout, codes, queries, k as usize, None, most, |column, walks| {
            let caps = LISTS.map(|excess| lists_of(layout, without[row][column], excess));
            let recall = aimed(layout, CALIBRATED_RECALL[column]);
            (calibration[row][column], patience[row][column]) = best(walks, recall, &caps);
        })?;
    }
    layout.header.calibration = calibration;
    let k = CALIBRATED_K[0] as usize;
    let allowed = a_tenth(layout);
    let filtered = |column: usize| {
        let target_recall = Some(CALIBRATED_RECALL[column]);
        nprobe(layout, &SearchParams { k, target_recall, ..Default::default() }, 0.1)
    };
    let few = &queries[..queries.len().min(FILTERED_QUERIES)];
    each_column(layout, codes, few, k, Some(&allowed), filtered, |column, walks| {
        let recall = aimed(layout, CALIBRATED_RECALL[column]);
        (_, patience[FILTERED][column]) = best(walks, recall, &[filtered(column)]);
    })?;
    layout.header.patience = patience;
    Ok(())
}

/// Calls `see` with each recall's column and the walks of `queries`, each for `k` of the rows allowed over at least as many
/// lists as `most` says.
fn each_column(
    layout: &Layout,
    codes: &[u8],
    queries: &[Asked<'_>],
    k: usize,
    allowed: Option<&DocSet>,
    most: impl Fn(usize) -> u32,
    mut see: impl FnMut(usize, &[Walk]),
) -> Result<(), VectorError> {
    let mut walks: Vec<Walk> = Vec::new();
    for column in (0..CALIBRATED_RECALL.len()).rev() {
        // Columns come with the most lists first, so the first of a width serves all that share it.
        let width = bound(CALIBRATED_RECALL[column]);
        let last = CALIBRATED_RECALL.get(column + 1);
        if last.is_none_or(|&recall| bound(recall) != width) {
            let lists = most(column);
            walks = queries
                .par_iter()
                .map(|asked| walk(layout, codes, asked, (k, width, lists), allowed))
                .collect::<Result<_, _>>()?;
        }
        see(column, &walks);
    }
    Ok(())
}

/// About a tenth of the rows.
fn a_tenth(layout: &Layout) -> DocSet {
    let end = layout.header.doc_end;
    let mut random = SplitMix64::new(layout.header.seed, PURPOSE);
    let mut allowed = DocSet::empty(end);
    allowed.extend((0..end).filter(|_| random.below(10) == 0));
    allowed
}

fn lists_of(layout: &Layout, lists: u32, excess: f64) -> u32 {
    ((f64::from(lists) * excess) as u32).min(layout.lists.len() as u32)
}

fn walk(
    layout: &Layout,
    codes: &[u8],
    Asked { query, docs, ranks }: &Asked<'_>,
    (k, width, lists): (usize, f32, u32),
    allowed: Option<&DocSet>,
) -> Result<Walk, VectorError> {
    let mut route = Route::new(layout, query, lists as usize);
    // One more for the row that is the query.
    let mut candidates = Candidates::new(layout, k + 1);
    let counts = |&(_, &doc): &(&u32, &u32)| allowed.is_none_or(|allowed| allowed.contains(doc));
    let ranks = ranks.iter().zip(*docs).filter(counts).map(|(&rank, _)| rank).take(k).collect();
    let mut walk = Walk { last: Vec::with_capacity(lists as usize), enough: usize::MAX, ranks };
    let mut last = 0;
    for (i, &id) in route.take(lists as usize).iter().enumerate() {
        let id = id as usize;
        candidates.scan_within(layout, query, width, id, &list(layout, codes, id)?, allowed);
        if candidates.take_changed() {
            last = i as u32 + 1;
        }
        if candidates.len() >= k {
            walk.enough = walk.enough.min(i + 1);
        }
        walk.last.push(last);
    }
    Ok(walk)
}

/// The lists to end at, one of `caps`, and the patience that reach `recall` for the least effort.
fn best(walks: &[Walk], recall: f64, caps: &[u32]) -> (u32, f32) {
    let total: usize = walks.iter().map(|walk| walk.ranks.len()).sum();
    let needed = (recall * total as f64).ceil() as usize;
    let mut best = (f64::from(caps[0]) * (1.0 + READ), caps[0], 0.0);
    for &cap in caps {
        let waits: Vec<Vec<f32>> = walks.iter().map(|walk| longest_waits(walk, cap)).collect();
        for step in 0..STEPS {
            let patience = FIRST * STEP.powi(step as i32);
            let (mut visited, mut held) = (0, 0);
            for (waits, walk) in waits.iter().zip(walks) {
                let end = (waits.partition_point(|&wait| wait < patience) + 1).min(waits.len());
                visited += end;
                held += walk.ranks.iter().filter(|&&rank| (rank as usize) < end).count();
            }
            // Those after it are shorter still.
            if held < needed {
                break;
            }
            let effort = visited as f64 / walks.len() as f64 + READ * f64::from(cap);
            if effort < best.0 {
                best = (effort, cap, patience);
            }
        }
    }
    (best.1, best.2)
}

/// After each list up to `cap`, the longest that a search with as many lists has waited; it ends once that is its patience.
fn longest_waits(walk: &Walk, cap: u32) -> Vec<f32> {
    let mut longest = 0.0f32;
    let lists = walk.last.iter().take(cap as usize).enumerate();
    let wait = |(i, &last): (usize, &u32)| {
        if i + 1 >= walk.enough {
            longest = longest.max(waited(i + 1, last as usize, cap as usize));
        }
        longest
    };
    lists.map(wait).collect()
}

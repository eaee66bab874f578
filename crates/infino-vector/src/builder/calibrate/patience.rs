//! Where a search may end early, so that easy queries do not pay for hard ones, and how far one with a filter goes.
//!
//! Each query is searched as a search would, and after each list it is known how long the nearest rows have stood. Of the
//! patiences, and numbers of lists to end at in any case, that keep the recall, those are taken that visit the fewest
//! lists. The reach is the least that lets a search come to the lists of as many neighbours.

use infino_format::DocSet;
use rayon::prelude::*;

use super::truth::Found;
use super::{aimed, list};
use crate::VectorError;
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Calibration, Layout, Patience, Reach};
use crate::random::SplitMix64;
use crate::search::route::Route;
use crate::search::scan::Candidates;
use crate::search::stop::waited;
use crate::spec::bound;

/// Lists to end at, as multiples of the number that a recall takes without patience.
const LISTS: [f64; 5] = [1.0, 1.1, 1.25, 1.4, 1.6];
/// Patiences: `FIRST`, and each next one by `STEP` shorter.
const FIRST: f32 = 16.0;
const STEP: f32 = 0.84;
const STEPS: usize = 48;
/// What reading a list in vain costs of what visiting it does: a search by range reads all lists it may visit.
const READ: f64 = 0.15;
/// The stream of the seed that the rows of a filter are drawn from.
const PURPOSE: u64 = 7;
/// Queries that are asked for more neighbours, or with a filter, and for recalls from `HIGHEST`: these visit so many lists
/// that few queries tell enough.
const FEW_QUERIES: usize = 256;
const HIGHEST_QUERIES: usize = 64;
const HIGHEST: f32 = 0.992;
/// A reach is finite: one so great takes every list in.
const REACH_MAX: f32 = 1e6;
/// Of the misses that a recall allows, the share that a filter's own ways are left.
const FILTERED_MARGIN: f32 = 0.4;

/// How a search went on, list after list, and what became of its neighbours.
struct Walk {
    /// The list of the last change, counted from 1, after each list.
    last: Vec<u32>,
    /// Lists after which there were `k` rows.
    enough: usize,
    /// The ranks of the lists of the neighbours that codes let through.
    ranks: Vec<u32>,
    /// What each of those lists needs to be within reach when its turn comes.
    reaches: Vec<f32>,
    /// Neighbours in all.
    wanted: usize,
}

/// Queries, their neighbours, and the ranks of the lists of these.
struct Asked<'a> {
    layout: &'a Layout,
    codes: &'a [u8],
    found: &'a [Found],
    ranks: &'a [&'a [u32]],
}

/// Sets the calibration, from one `without` patience, and patience and reach.
pub(super) fn calibrate(
    layout: &mut Layout,
    codes: &[u8],
    without: &Calibration,
    found: &[Found],
    ranks: &[&[u32]],
) -> Result<(), VectorError> {
    let (mut calibration, mut patience) = (*without, Patience::default());
    let mut reach = Reach::default();
    let few = found.len().min(FEW_QUERIES);
    for (row, patience) in patience.iter_mut().enumerate() {
        let most = |column: usize| lists_of(layout, without[row][column], LISTS[LISTS.len() - 1]);
        let queries = if row == 0 { found.len() } else { few };
        let asked = Asked { layout, codes, found: &found[..queries], ranks: &ranks[..queries] };
        asked.each_column(row, None, most, |column, walks| {
            let caps = LISTS.map(|excess| lists_of(layout, without[row][column], excess));
            let recall = CALIBRATED_RECALL[column];
            (calibration[row][column], patience[column]) = best(walks, recall, &caps);
            if row == 0 {
                reach[0][column] = reach_of(walks, recall);
            }
        })?;
    }
    let asked = Asked { layout, codes, found: &found[..few], ranks: &ranks[..few] };
    let tenth = a_tenth(layout);
    let most = |column: usize| without[1][column];
    asked.each_column(0, Some(&tenth), most, |column, walks| {
        reach[1][column] = reach_of(walks, CALIBRATED_RECALL[column]);
    })?;
    layout.header.calibration = calibration;
    layout.header.patience = patience;
    layout.header.reach = reach;
    Ok(())
}

impl Asked<'_> {
    /// Calls `see` with each recall's column and the walks of all queries, each for as many of the rows allowed as row
    /// `row` of the calibration is for, over at least as many lists as `most` says.
    fn each_column(
        &self,
        row: usize,
        allowed: Option<&DocSet>,
        most: impl Fn(usize) -> u32,
        mut see: impl FnMut(usize, &[Walk]),
    ) -> Result<(), VectorError> {
        let mut walks: Vec<Walk> = Vec::new();
        for column in (0..CALIBRATED_RECALL.len()).rev() {
            // Columns come with the most lists first, so the first of a width serves all that share it.
            let width = bound(CALIBRATED_RECALL[column]);
            let alike = |recall: f32| {
                bound(recall) == width && (recall < HIGHEST || CALIBRATED_RECALL[column] > HIGHEST)
            };
            if !CALIBRATED_RECALL.get(column + 1).is_some_and(|&last| alike(last)) {
                let lists = most(column) as usize;
                let queries = self.found.len();
                let highest = CALIBRATED_RECALL[column] > HIGHEST;
                let queries = if highest { queries.min(HIGHEST_QUERIES) } else { queries };
                walks = (0..queries)
                    .into_par_iter()
                    .map(|i| self.walk(i, row, (width, lists), allowed))
                    .collect::<Result<_, _>>()?;
            }
            see(column, &walks);
        }
        Ok(())
    }

    fn walk(
        &self,
        i: usize,
        row: usize,
        (width, lists): (f32, usize),
        allowed: Option<&DocSet>,
    ) -> Result<Walk, VectorError> {
        let (layout, found, ranks) = (self.layout, &self.found[i], self.ranks[i]);
        let k = CALIBRATED_K[row] as usize;
        let mut route = Route::new(layout, &found.query, lists);
        // One more for the row that is the query.
        let mut candidates = Candidates::new(layout, k + 1);
        let mut walk = Walk {
            last: Vec::with_capacity(lists),
            enough: usize::MAX,
            ranks: Vec::new(),
            reaches: Vec::new(),
            wanted: 0,
        };
        let mut worst = Vec::with_capacity(lists);
        let mut last = 0;
        route.take(lists);
        for (i, &id) in route.ids().iter().enumerate() {
            let id = id as usize;
            worst.push(candidates.worst());
            let list = list(layout, self.codes, id)?;
            candidates.scan_within(layout, &found.query, width, id, &list, allowed);
            if candidates.take_changed() {
                last = i as u32 + 1;
            }
            if candidates.len() >= k {
                walk.enough = walk.enough.min(i + 1);
            }
            walk.last.push(last);
        }
        let counts = |doc: u32| allowed.is_none_or(|allowed| allowed.contains(doc));
        let neighbours = (0..found.docs.len()).filter(|&i| counts(found.docs[i])).take(k);
        for i in neighbours {
            walk.wanted += 1;
            if found.passes(row, i, width) {
                let worst = worst.get(ranks[i] as usize).copied();
                let worst = worst.unwrap_or_else(|| candidates.worst());
                walk.ranks.push(ranks[i]);
                walk.reaches.push(route.needed_reach(layout, worst, found.lists[i]));
            }
        }
        Ok(walk)
    }
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

fn needed(walks: &[Walk], recall: f32) -> usize {
    let through = walks.iter().map(|walk| walk.ranks.len()).sum();
    aimed(recall, through, walks.iter().map(|walk| walk.wanted).sum())
}

/// The lists to end at, one of `caps`, and the patience that reach `recall` for the least effort.
fn best(walks: &[Walk], recall: f32, caps: &[u32]) -> (u32, f32) {
    let needed = needed(walks, recall);
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

/// The least reach that comes to the lists of enough neighbours.
fn reach_of(walks: &[Walk], recall: f32) -> f32 {
    let recall = recall + FILTERED_MARGIN * (1.0 - recall);
    let needed = needed(walks, recall);
    let mut reaches: Vec<f32> = walks.iter().flat_map(|walk| walk.reaches.clone()).collect();
    if reaches.is_empty() {
        return 0.0;
    }
    let at = needed.clamp(1, reaches.len()) - 1;
    let (_, &mut reach, _) = reaches.select_nth_unstable_by(at, f32::total_cmp);
    reach.clamp(-REACH_MAX, REACH_MAX)
}

//! From a query to its neighbours: route, scan, rerank.
//!
//! [`route`] orders the lists by how near their rows may be. [`scan`] estimates the distance of every row of the first
//! lists and keeps those that the bounds of their estimates do not rule out. [`rerank`] scores these by their payload,
//! most promising first, until no other can be among the nearest. In memory the three run at once; over ranges
//! [`fetch`] runs the same steps with a round of reads before each of the last two.

pub(crate) mod coarse;
pub(crate) mod fetch;
pub(crate) mod query;
mod ranges;
pub(crate) mod rerank;
mod resident;
pub(crate) mod route;
pub(crate) mod scan;
pub(crate) mod stop;

pub use fetch::Search;
pub(crate) use query::Query;
pub(crate) use resident::{batch, resident};

use infino_format::DocSet;

use crate::SearchParams;
use crate::layout::{CALIBRATED_K, CALIBRATED_RECALL, Layout};
use route::Reach;
use stop::End;

/// So many allowed rows at most are scored one by one, whatever the codes would cost.
const FEW_ROWS: f64 = 64.0;
/// Codes that can be scanned in the time that one row takes to be looked up and scored by its payload.
const CODES_PER_ROW: f64 = 24.0;

/// A filter that passes so large a share of the rows changes little of how near they are.
const UNFILTERED: f64 = 0.9;
/// Of the lists that a filter takes by [`nprobe`], the part that a search with one begins with, and the
/// fewest: the rows found there tell which of the others are within reach.
const FIRST_OF: usize = 4;
const FIRST_MIN: usize = 4;
/// A filter that has nothing to do with the vectors leaves `k` rows in so many times the rows that hold as many by its
/// share of them.
const USUAL_ROWS: f64 = 1.25;

/// How a search goes about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plan {
    /// No row can be found.
    Nothing,
    /// Score the payload of every row that counts.
    All,
    /// Visit lists until an end, then more while rows are missing; see [`stop`].
    Probe(End),
}

impl Plan {
    pub(crate) fn new(layout: &Layout, params: &SearchParams, allowed: Option<&DocSet>) -> Self {
        let rows = layout.header.rows;
        let counts = allowed.map_or(rows, |allowed| allowed.len().min(rows));
        if counts == 0 {
            return Self::Nothing;
        }
        let nlist = layout.lists.len();
        let codes_alone = !layout.header.payload().stands_alone();
        if params.exact {
            return if codes_alone {
                Self::Probe(End::Lists { lists: nlist, patience: 0.0 })
            } else {
                Self::All
            };
        }
        let share = f64::from(counts) / f64::from(rows);
        let lists = nprobe(layout, params, share) as usize;
        let codes = f64::from(rows) * lists as f64 / nlist as f64;
        let few = f64::from(counts) <= FEW_ROWS.max(codes / CODES_PER_ROW);
        let asked = params.nprobe.is_some() || codes_alone || allowed.is_none();
        if few && !asked && layout.positions.is_some() {
            return Self::All;
        }
        let end = match column(layout, params).filter(|_| params.nprobe.is_none()) {
            Some(column) if share < UNFILTERED => {
                let reach = |column| reach(layout, column, params.k, share);
                let far = reach((column + 2).min(CALIBRATED_RECALL.len() - 1));
                let usual = params.k as f64 / share + f64::from(rows) / nlist as f64;
                End::Reach {
                    reach: reach(column),
                    far,
                    rows: (USUAL_ROWS * usual) as u32,
                    first: lists.div_ceil(FIRST_OF).max(FIRST_MIN),
                    read: lists,
                }
            }
            Some(column) => End::Lists { lists, patience: patience(layout, column, params.k) },
            None => End::Lists { lists, patience: 0.0 },
        };
        Self::Probe(end)
    }
}

/// Lists to visit when a share of the rows counts: as calibrated for so many neighbours more as rows do not count.
pub(crate) fn nprobe(layout: &Layout, params: &SearchParams, share: f64) -> u32 {
    let nlist = layout.lists.len() as u32;
    if let Some(nprobe) = params.nprobe {
        return nprobe.min(nlist);
    }
    let Some(column) = column(layout, params) else { return nlist };
    // Rows that count seldom stand as near together as all rows do.
    let room = if share < 1.0 { 1.2 } else { 1.0 };
    let (row, along) = row(room * params.k as f64 / share);
    let at = |row: usize| f64::from(layout.header.calibration[row][column]).max(1.0);
    let wanted = at(row) * (at(row + 1) / at(row)).powf(along);
    (wanted.ceil() as u32).clamp(1.min(nlist), nlist)
}

/// The patience that goes with the lists of [`nprobe`].
fn patience(layout: &Layout, column: usize, k: usize) -> f32 {
    let [few, many] = layout.header.patience.map(|row| f64::from(row[column]));
    let along = (k as f64).max(1.0).log10() - 1.0;
    match along {
        ..=0.0 => few as f32,
        ..=1.0 if few > 0.0 && many > 0.0 => (few * (many / few).powf(along)) as f32,
        // Where one end never ends early, neither does what lies between.
        _ => 0.0,
    }
}

/// How far to go for `k` neighbours where a share of the rows counts: what was calibrated for as many neighbours of all
/// rows as lie no farther than those.
fn reach(layout: &Layout, column: usize, k: usize, share: f64) -> Reach {
    let [all, tenth] = layout.header.reach.map(|row| row[column]);
    let along = (k as f64 / share).max(1.0).log10() - 1.0;
    Reach(all + (tenth - all) * along.clamp(0.0, 1.0) as f32)
}

/// The column of the calibration for the recall asked for; none if it asks for more than is calibrated.
fn column(layout: &Layout, params: &SearchParams) -> Option<usize> {
    let target = params.target_recall.unwrap_or(layout.header.target_recall);
    CALIBRATED_RECALL.iter().position(|&recall| target <= recall + 1e-6)
}

/// The row of the calibration to start from for `k` neighbours, and how far it is from there to the next; past 1 for more
/// than are calibrated.
fn row(k: f64) -> (usize, f64) {
    let k = k.max(1.0);
    let last = CALIBRATED_K.len() - 1;
    let row = (1..last).find(|&row| k <= f64::from(CALIBRATED_K[row])).unwrap_or(last) - 1;
    let (k0, k1) = (f64::from(CALIBRATED_K[row]), f64::from(CALIBRATED_K[row + 1]));
    (row, ((k / k0).ln() / (k1 / k0).ln()).max(0.0))
}

/// Whether `vector` can be indexed, or searched for, under `metric`; says what is wrong with it.
///
/// # Errors
/// If it has another dimension, a coordinate that is not finite, a length that passes 1e18, no direction under
/// cosine, or another coordinate than 0 and 1 under Hamming distance.
pub fn check_vector(
    metric: infino_format::schema::Metric,
    dim: usize,
    vector: &[f32],
) -> Result<(), String> {
    query::scale(metric, dim, vector).map(drop)
}

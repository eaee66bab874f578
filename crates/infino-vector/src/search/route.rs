//! Which lists to visit, in which order.
//!
//! A row of a list lies about `‖q − c‖² + s²` away, `s` the list's spread, give or take a share of `s ‖q − c‖`; the
//! nearest of its rows is what counts. Lists are ordered by `‖q − c‖² + mean · s² − spread · s ‖q − c‖`, under inner
//! product by `−⟨q, c⟩ − spread · s ‖q‖`; both weights are calibrated when the index is built.
//!
//! A search with a filter cannot know from its number of neighbours how many lists that takes: rows that count may be
//! anywhere. It goes by distance instead ([`Reach`]): a list is visited while its rows may be nearer than the rows that
//! were found, which holds for filters that have nothing to do with the vectors and for those that do.

use infino_format::schema::Metric;

use super::Query;
use super::coarse::{self, Coarse};
use crate::kernel;
use crate::layout::{Layout, ProbeOrder};

/// Lists whose centroids are compared after a look at their codes, for each list wanted and beside them.
const LOOKED: usize = 4;
const LOOKED_MIN: usize = 192;

/// The lists of an index in the order of a query, sorted as far as asked for.
pub(crate) struct Route {
    /// A list each: its score in the upper half, so that integers order it, and its number in the lower.
    scores: Vec<u64>,
    ids: Vec<u32>,
    taken: usize,
    /// Of the query with each centroid.
    inner: Vec<f32>,
    norm2: f32,
}

/// How far a list may lie to be visited: while `‖q − c‖² − reach · s ‖q − c‖`, under inner product
/// `−⟨q, c⟩ − reach · s ‖q‖`, does not pass the distance of the rows found so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reach(pub(crate) f32);

impl Route {
    /// The order of the lists, of which the first `wanted` are the ones that matter.
    pub(crate) fn new(layout: &Layout, query: &Query, wanted: usize) -> Self {
        let lists = layout.lists.len();
        let looked = LOOKED * wanted + LOOKED_MIN;
        if lists >= coarse::LISTS_MIN && 2 * looked <= lists {
            return Self::coarsely(layout, query, looked);
        }
        let near = Nearness::new(layout, query);
        let scores = (0..lists).map(|id| key(near.score(layout.header.order, id), id)).collect();
        Self { scores, ids: Vec::new(), taken: 0, inner: near.inner, norm2: query.norm2 }
    }

    /// The order for a search that visits what is within reach, for which the first lists alone need an exact order.
    pub(crate) fn within_reach(layout: &Layout, query: &Query) -> Self {
        Self::new(layout, query, (layout.lists.len() / 2).saturating_sub(LOOKED_MIN) / LOOKED / 2)
    }

    /// Whether list `id` is within reach of rows as far as `worst`.
    pub(crate) fn reaches(&self, layout: &Layout, reach: Reach, worst: f32, id: u32) -> bool {
        self.needed_reach(layout, worst, id) <= reach.0
    }

    /// The least reach that list `id` is within.
    pub(crate) fn needed_reach(&self, layout: &Layout, worst: f32, id: u32) -> f32 {
        let (list, inner) = (&layout.lists[id as usize], self.inner[id as usize]);
        let (nearest, width) = if layout.header.metric == Metric::InnerProduct {
            (-inner, list.spread * self.norm2.sqrt())
        } else {
            let distance2 = (self.norm2 + list.norm2 - 2.0 * inner).max(0.0);
            (distance2, list.spread * distance2.sqrt())
        };
        // A list of equal rows, or a query in its centre: it is as near as its centroid.
        (nearest - worst) / width.max(f32::MIN_POSITIVE)
    }

    /// Leaves out the lists not taken yet that are out of reach.
    pub(crate) fn narrow(&mut self, layout: &Layout, reach: Reach, worst: f32) {
        let mut scores = std::mem::take(&mut self.scores);
        let mut i = 0;
        scores.retain(|&key| {
            i += 1;
            i <= self.taken || self.reaches(layout, reach, worst, key as u32)
        });
        self.scores = scores;
    }

    /// The nearest list.
    pub(crate) fn first(&self) -> u32 {
        self.scores.iter().min().map_or(0, |&key| key as u32)
    }

    /// Lists taken so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Lists not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.scores.len() - self.taken
    }

    /// The lists taken last.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Takes the next `count` lists, fewer at the end.
    pub(crate) fn take(&mut self, count: usize) -> &[u32] {
        let left = &mut self.scores[self.taken..];
        let count = count.min(left.len());
        if count > 0 && count < left.len() {
            left.select_nth_unstable(count - 1);
        }
        left[..count].sort_unstable();
        self.ids.clear();
        self.ids.extend(left[..count].iter().map(|&key| key as u32));
        self.taken += count;
        &self.ids
    }

    /// Scores of all lists by the codes of their centroids, and of the `looked` least of them by the centroids.
    fn coarsely(layout: &Layout, query: &Query, looked: usize) -> Self {
        let order = layout.header.order;
        let products = layout.coarse.get_or_init(|| Coarse::new(layout)).products(layout, query);
        let by_code = Nearness { layout, norm2: query.norm2, inner: products };
        let lists = layout.lists.len();
        let mut scores: Vec<u64> = (0..lists).map(|id| key(by_code.score(order, id), id)).collect();
        scores.select_nth_unstable(looked - 1);
        let mut near = Nearness { layout, norm2: query.norm2, inner: by_code.inner };
        let (bytes, step) = signed_bytes(&query.rotated);
        // What is compared comes before what is not, whatever a code makes of that.
        let mut most = 0;
        for score in &mut scores[..looked] {
            let id = *score as u32 as usize;
            let mut product = [0];
            kernel::dot_i8(&bytes, layout.centroid_bytes(id), &mut product);
            near.inner[id] = step * layout.lists[id].scale * product[0] as f32;
            *score = key(near.score(order, id), id);
            most = most.max(*score);
        }
        scores[looked..].iter_mut().for_each(|score| {
            *score = (*score).max(most >> 32 << 32 | *score & u64::from(u32::MAX))
        });
        Self { scores, ids: Vec::new(), taken: 0, inner: near.inner, norm2: query.norm2 }
    }
}

/// A vector in signed bytes, and their step.
fn signed_bytes(x: &[f32]) -> (Vec<i8>, f32) {
    let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let scale = if max > 0.0 { 127.0 / max } else { 0.0 };
    let scale = if scale.is_finite() { scale } else { 0.0 };
    let step = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    (x.iter().map(|x| nearest(x * scale)).collect(), step)
}

/// The nearest integer, halves away from zero.
fn nearest(x: f32) -> i8 {
    (x + 0.5f32.copysign(x)) as i8
}

/// A number that orders by score, in total order, then by `id`, which is its lower half.
pub(crate) fn key(score: f32, id: usize) -> u64 {
    let bits = score.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | id as u64
}

/// Inner products of a query with all centroids, from bytes alone.
pub(crate) struct Nearness<'a> {
    layout: &'a Layout,
    norm2: f32,
    inner: Vec<f32>,
}

impl<'a> Nearness<'a> {
    pub(crate) fn new(layout: &'a Layout, query: &Query) -> Self {
        let (bytes, step) = signed_bytes(&query.rotated);
        let mut products = vec![0; layout.lists.len()];
        kernel::dot_i8(&bytes, &layout.centroids, &mut products);
        let inner = products
            .into_iter()
            .zip(&layout.lists)
            .map(|(product, list)| step * list.scale * product as f32)
            .collect();
        Self { layout, norm2: query.norm2, inner }
    }

    /// Lower is nearer.
    pub(crate) fn score(&self, order: ProbeOrder, id: usize) -> f32 {
        let list = &self.layout.lists[id];
        if self.layout.header.metric == Metric::InnerProduct {
            return -self.inner[id] - order.spread * list.spread * self.norm2.sqrt();
        }
        let distance2 = (self.norm2 + list.norm2 - 2.0 * self.inner[id]).max(0.0);
        distance2 + list.spread * (order.mean * list.spread - order.spread * distance2.sqrt())
    }
}

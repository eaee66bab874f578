//! Which lists to visit, in which order.
//!
//! A row of a list lies about `‖q − c‖² + s²` away, `s` the list's spread, give or take a share of `s ‖q − c‖`; the
//! nearest of its rows is what counts. Lists are ordered by `‖q − c‖² + mean · s² − spread · s ‖q − c‖`, under inner
//! product by `−⟨q, c⟩ − spread · s ‖q‖`; both weights are calibrated when the index is built.

use infino_format::schema::Metric;

use super::Query;
use crate::kernel;
use crate::layout::{Layout, ProbeOrder};

/// The lists of an index in the order of a query, sorted as far as asked for.
pub(crate) struct Route {
    /// A list each: its score in the upper half, so that integers order it, and its number in the lower.
    scores: Vec<u64>,
    ids: Vec<u32>,
    taken: usize,
}

impl Route {
    pub(crate) fn new(layout: &Layout, query: &Query) -> Self {
        let near = Nearness::new(layout, query);
        let order = layout.header.order;
        let scores = (0..layout.lists.len()).map(|id| key(near.score(order, id), id)).collect();
        Self { scores, ids: Vec::new(), taken: 0 }
    }

    /// The next `count` lists, fewer at the end.
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
        let max = query.rotated.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        let scale = if max > 0.0 { 127.0 / max } else { 0.0 };
        let scale = if scale.is_finite() { scale } else { 0.0 };
        let step = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let bytes: Vec<i8> = query.rotated.iter().map(|x| nearest(x * scale)).collect();
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

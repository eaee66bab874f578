//! The k best hits of a stream.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Hit;

/// Keeps the `k` best hits: higher scores first, equal ones by row.
#[derive(Debug)]
pub(crate) struct TopK {
    k: usize,
    heap: BinaryHeap<Worst>,
    floor: f32,
}

/// Orders the worst hit greatest.
#[derive(Debug, Clone, Copy)]
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.score.total_cmp(&self.0.score).then(self.0.doc.cmp(&other.0.doc))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

impl TopK {
    /// For the `k` best of those that score at least `floor`.
    pub(crate) fn new(k: usize, floor: Option<f32>) -> Self {
        let heap = BinaryHeap::with_capacity(k.min(1024));
        Self { k, heap, floor: floor.unwrap_or(f32::NEG_INFINITY) }
    }

    /// How many hits are kept.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// Whether k hits have been found.
    pub(crate) fn is_full(&self) -> bool {
        self.heap.len() >= self.k
    }

    /// A hit that scores below this cannot be among the best.
    #[inline]
    pub(crate) fn threshold(&self) -> f32 {
        if self.heap.len() < self.k {
            return self.floor;
        }
        self.heap.peek().map_or(f32::INFINITY, |worst| worst.0.score.max(self.floor))
    }

    /// Takes the hit if it is among the best so far; hits may come in any order.
    #[inline]
    pub(crate) fn offer(&mut self, doc: u32, score: f32) {
        if score < self.floor {
            return;
        }
        let hit = Worst(Hit { doc, score });
        if self.heap.len() < self.k {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// The best, best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|worst| worst.0).collect()
    }
}

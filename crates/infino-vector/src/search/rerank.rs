//! Scoring rows by their payload.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use infino_format::schema::Metric;

use super::Query;
use super::scan::distance;
use super::scan::{Candidate, Shortlist};
use crate::layout::Layout;
use crate::payload::{self, Payload};
use crate::{Neighbor, extended, kernel};

/// The nearest of the rows scored so far.
pub(crate) struct Scorer<'a> {
    query: &'a Query,
    metric: Metric,
    layout: &'a Layout,
    payload: Payload,
    raw_norm: f32,
    /// The query as bits, if payload is.
    bits: Vec<u8>,
    k: usize,
    heap: BinaryHeap<Farthest>,
    vector: Vec<f32>,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(layout: &'a Layout, query: &'a Query, k: usize) -> Self {
        let header = &layout.header;
        let k = k.min(header.rows as usize);
        let mut bits = Vec::new();
        if header.payload() == Payload::Bits {
            payload::encode_bits(&query.raw, &mut bits);
        }
        let raw_norm = kernel::dot(&query.raw, &query.raw).sqrt();
        Self {
            query,
            metric: header.metric,
            layout,
            payload: header.payload(),
            bits,
            raw_norm,
            k,
            heap: BinaryHeap::with_capacity(k + 1),
            vector: Vec::new(),
        }
    }

    /// Whether neither this candidate nor any with a greater lower bound can be among the nearest.
    pub(crate) fn rules_out(&self, candidate: &Candidate) -> bool {
        let scale = if self.metric == Metric::Cosine { 0.5 } else { 1.0 };
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.k => candidate.lower * scale > worst.0.distance,
            _ => false,
        }
    }

    /// Offers a row by its payload; `step` is that of its list.
    pub(crate) fn score(&mut self, doc: u32, step: f32, payload: &[u8]) {
        let distance = self.distance(step, payload);
        self.offer(doc, distance);
    }

    /// Offers a candidate by its payload and by what the scan kept of it.
    pub(crate) fn score_candidate(
        &mut self,
        shortlist: &Shortlist,
        candidate: &Candidate,
        payload: &[u8],
    ) {
        let list = candidate.list as usize;
        let Some(scanned) = shortlist.scanned(candidate) else {
            return self.score(candidate.doc, self.layout.lists[list].step, payload);
        };
        let centroid = (self.layout.centroid_bytes(list), self.layout.lists[list].scale);
        let estimate =
            extended::estimate(self.metric, &self.query.rotated, centroid, &scanned, payload);
        self.offer(candidate.doc, distance(self.metric, estimate));
    }

    fn offer(&mut self, doc: u32, distance: f32) {
        let offered = Farthest(Neighbor { doc, distance });
        if self.heap.len() < self.k {
            self.heap.push(offered);
        } else if self.heap.peek().is_some_and(|worst| offered < *worst) {
            self.heap.pop();
            self.heap.push(offered);
        }
    }

    /// Nearest first.
    pub(crate) fn finish(self) -> Vec<Neighbor> {
        let hits = self.heap.into_sorted_vec().into_iter().map(|hit| hit.0);
        hits.take_while(|hit| hit.distance <= self.query.within).collect()
    }

    fn distance(&mut self, step: f32, payload: &[u8]) -> f32 {
        if self.payload == Payload::Bits {
            return kernel::hamming(&self.bits, payload) as f32;
        }
        if self.payload == Payload::Sq8 {
            let query = &self.query.rotated;
            return match self.metric {
                Metric::InnerProduct => -kernel::dot_sq(query, payload, step),
                Metric::Cosine => 0.5 * kernel::l2_sq(query, payload, step),
                _ => kernel::l2_sq(query, payload, step),
            };
        }
        let query = &self.query.raw;
        self.vector.clear();
        let floats = payload.chunks_exact(4);
        self.vector
            .extend(floats.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("chunks of 4"))));
        match self.metric {
            Metric::InnerProduct => -kernel::dot(query, &self.vector),
            Metric::Cosine => {
                let norm = kernel::dot(&self.vector, &self.vector).sqrt() * self.raw_norm;
                1.0 - (kernel::dot(query, &self.vector) / norm).clamp(-1.0, 1.0)
            }
            _ => kernel::l2(query, &self.vector),
        }
    }
}

/// Orders a heap so that the row to give up first is on top.
#[derive(PartialEq)]
struct Farthest(Neighbor);

impl Eq for Farthest {}

impl PartialOrd for Farthest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Farthest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

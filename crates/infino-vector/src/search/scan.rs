//! Estimating the rows of a list, and keeping those that may be among the nearest.

use std::collections::BinaryHeap;

use infino_format::DocSet;
use infino_format::schema::Metric;

use super::Query;
use crate::Neighbor;
use crate::extended::Scanned;
use crate::kernel::{self, BLOCK_ROWS};
use crate::layout::{Block, Layout, ListBytes, f32_at};
use crate::payload::Payload;
use crate::rabitq;

/// A row that the bound of its estimate does not rule out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// No nearer than this, as far as the bound holds.
    pub(crate) lower: f32,
    pub(crate) estimate: f32,
    pub(crate) list: u32,
    pub(crate) position: u32,
    pub(crate) doc: u32,
    /// Which of the rows kept by the scan it is; see [`Kept`].
    kept: u32,
}

/// The codes and factors of candidates, for payloads that need them.
#[derive(Debug, Default)]
struct Kept {
    /// Bytes a code; 0 keeps nothing.
    code_len: usize,
    bytes: Vec<u8>,
}

impl Kept {
    fn push(&mut self, block: &Block<'_>, i: usize) {
        if self.code_len > 0 {
            self.bytes.extend_from_slice(&block.adds[4 * i..4 * i + 4]);
            self.bytes.extend_from_slice(&block.muls[4 * i..4 * i + 4]);
            self.bytes.extend(block.codes.iter().skip(i).step_by(block.width));
        }
    }

    fn get(&self, i: usize) -> Scanned<'_> {
        let len = 8 + self.code_len;
        let row = &self.bytes[i * len..][..len];
        Scanned { add: f32_at(row, 0), mul: f32_at(row, 1), signs: &row[8..] }
    }
}

/// The candidates of the lists scanned so far.
pub(crate) struct Candidates {
    rows: Vec<Candidate>,
    bounds: Bounds,
    kept: Kept,
}

impl Candidates {
    pub(crate) fn new(layout: &Layout, k: usize) -> Self {
        let k = k.min(layout.header.rows as usize);
        let code_len = match layout.header.payload() {
            Payload::Extended { .. } => rabitq::code_len(layout.header.dim),
            _ => 0,
        };
        let kept = Kept { code_len, bytes: Vec::new() };
        Self { rows: Vec::with_capacity(4 * k), bounds: Bounds::new(k), kept }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// No row farther than this can be among the nearest.
    pub(crate) fn worst(&self) -> f32 {
        self.bounds.worst()
    }

    /// Whether the bounds of the nearest rows changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.bounds.changed)
    }

    /// Adds the rows of list `id` that may be among the nearest.
    pub(crate) fn scan(
        &mut self,
        layout: &Layout,
        query: &Query,
        id: usize,
        list: &ListBytes<'_>,
        allowed: Option<&DocSet>,
    ) {
        self.scan_within(layout, query, query.width, id, list, allowed);
    }

    /// [`Candidates::scan`] with another ε than the query's.
    pub(crate) fn scan_within(
        &mut self,
        layout: &Layout,
        query: &Query,
        width: f32,
        id: usize,
        list: &ListBytes<'_>,
        allowed: Option<&DocSet>,
    ) {
        let entry = &layout.lists[id];
        let mut bounding = rabitq::bounding(
            layout.header.metric,
            &query.rotated,
            &query.code,
            (layout.centroid_bytes(id), entry.scale),
            entry.kappa,
            width,
        );
        // What rounding may add to an estimate whose terms are of this size.
        let slack = 4e-6 * (query.norm2 + entry.norm2);
        bounding.base -= slack;
        let (mut sums, mut lowers) = ([0; BLOCK_ROWS], [0.0; BLOCK_ROWS]);
        for (number, block) in list.blocks().enumerate() {
            kernel::scan_block(block.codes, block.width, &query.code.table, &mut sums);
            bounding.worst = self.bounds.worst();
            let mut interest =
                kernel::lower_bounds(&sums, block.adds, block.muls, &bounding, &mut lowers);
            interest &= u64::MAX >> (BLOCK_ROWS - block.rows);
            while interest != 0 {
                let i = interest.trailing_zeros() as usize;
                interest &= interest - 1;
                let row = number * BLOCK_ROWS + i;
                let doc = list.doc(row);
                if allowed.is_some_and(|allowed| !allowed.contains(doc)) {
                    continue;
                }
                let error = f32_at(block.muls, i) * bounding.error + slack;
                let estimate = lowers[i] + error;
                self.bounds.push(estimate + error);
                self.rows.push(Candidate {
                    lower: lowers[i],
                    estimate,
                    list: id as u32,
                    position: entry.first + row as u32,
                    doc,
                    kept: self.rows.len() as u32,
                });
                self.kept.push(&block, i);
            }
        }
    }

    /// Drops what the last bound rules out, and what is too far to be wanted.
    pub(crate) fn finish(mut self, layout: &Layout, query: &Query) -> Shortlist {
        // Estimates under cosine are twice the distance.
        let scale = if layout.header.metric == Metric::Cosine { 2.0 } else { 1.0 };
        let worst = self.bounds.worst().min(scale * query.within);
        self.rows.retain(|row| row.lower <= worst);
        Shortlist { rows: self.rows, kept: self.kept }
    }
}

/// The rows left when all lists are scanned.
pub(crate) struct Shortlist {
    rows: Vec<Candidate>,
    kept: Kept,
}

impl Shortlist {
    /// Brings the most promising to the front.
    pub(crate) fn sort(&mut self) {
        self.rows
            .sort_unstable_by(|a, b| a.lower.total_cmp(&b.lower).then(a.position.cmp(&b.position)));
    }

    pub(crate) fn rows(&self) -> &[Candidate] {
        &self.rows
    }

    /// What the scan kept of a candidate, if its payload needs it.
    pub(crate) fn scanned(&self, candidate: &Candidate) -> Option<Scanned<'_>> {
        (self.kept.code_len > 0).then(|| self.kept.get(candidate.kept as usize))
    }

    /// How many rows of the sorted list will most likely be scored: those whose bound does not pass the `k`th estimate,
    /// with some room for its error.
    pub(crate) fn promising(&self, k: usize) -> usize {
        let mut expected: Vec<f32> =
            self.rows.iter().map(|row| row.estimate + 0.5 * (row.estimate - row.lower)).collect();
        if expected.len() / 2 <= k {
            return expected.len();
        }
        let (_, &mut worst, _) = expected.select_nth_unstable_by(k - 1, f32::total_cmp);
        self.rows.partition_point(|row| row.lower <= worst)
    }

    pub(crate) fn into_rows(self) -> Vec<Candidate> {
        self.rows
    }

    /// The `k` nearest by estimate.
    pub(crate) fn by_estimate(&self, layout: &Layout, within: f32, k: usize) -> Vec<Neighbor> {
        let metric = layout.header.metric;
        let mut hits: Vec<_> = self
            .rows
            .iter()
            .map(|row| Neighbor { doc: row.doc, distance: distance(metric, row.estimate) })
            .filter(|hit| hit.distance <= within)
            .collect();
        if k < hits.len() {
            hits.select_nth_unstable_by(k, Neighbor::order);
            hits.truncate(k);
        }
        hits.sort_unstable_by(Neighbor::order);
        hits
    }
}

/// The metric's distance of an estimate.
pub(crate) fn distance(metric: Metric, estimate: f32) -> f32 {
    match metric {
        Metric::InnerProduct => estimate,
        Metric::Cosine => 0.5 * estimate.max(0.0),
        _ => estimate.max(0.0),
    }
}

/// The `k` least upper bounds seen: no row above the greatest of them can be among the `k` nearest.
struct Bounds {
    k: usize,
    heap: BinaryHeap<Ordered>,
    changed: bool,
}

impl Bounds {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k + 1), changed: false }
    }

    fn worst(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.k => worst.0,
            _ => f32::INFINITY,
        }
    }

    fn push(&mut self, upper: f32) {
        if upper < self.worst() {
            if self.heap.len() >= self.k {
                self.heap.pop();
            }
            self.heap.push(Ordered(upper));
            self.changed = true;
        }
    }
}

/// A float in total order.
#[derive(Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

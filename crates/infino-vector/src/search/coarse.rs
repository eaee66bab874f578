//! A first look at many centroids, by their own RaBitQ codes.
//!
//! Where lists are thousands, comparing a query with every centroid takes longer than scanning the lists it visits. The
//! codes of the centroids, an eighth of their bytes, are scanned instead, and only the centroids that come out nearest are
//! compared. Nothing of this is stored: codes are made from the centroids when a search first needs them.

use infino_format::schema::Metric;

use super::Query;
use crate::kernel::{self, BLOCK_ROWS, Bounding};
use crate::layout::Layout;
use crate::rabitq;

/// Fewer lists are compared one by one.
pub(crate) const LISTS_MIN: usize = 2048;

/// The codes of all centroids, in blocks as those of a list, of their offsets from their mean.
#[derive(Debug)]
pub(crate) struct Coarse {
    mean: Vec<f32>,
    codes: Vec<u8>,
    adds: Vec<u8>,
    muls: Vec<u8>,
}

impl Coarse {
    pub(crate) fn new(layout: &Layout) -> Self {
        let (dim, lists) = (layout.header.dim, layout.lists.len());
        let centroid = |id: usize, out: &mut Vec<f32>| {
            out.clear();
            let scale = layout.lists[id].scale;
            out.extend(layout.centroid_bytes(id).iter().map(|&c| scale * f32::from(c as i8)));
        };
        let (mut point, mut mean) = (Vec::with_capacity(dim), vec![0.0f32; dim]);
        for id in 0..lists {
            centroid(id, &mut point);
            mean.iter_mut().zip(&point).for_each(|(mean, x)| *mean += x / lists as f32);
        }
        let code_len = rabitq::code_len(dim);
        let width = lists.next_multiple_of(BLOCK_ROWS);
        let mut codes = vec![0; width * code_len];
        let (mut adds, mut muls) = (vec![0; 4 * width], vec![0; 4 * width]);
        let mut code = vec![0; code_len];
        for id in 0..lists {
            centroid(id, &mut point);
            let factors = rabitq::encode(Metric::InnerProduct, &point, &mean, &mut code);
            let block = &mut codes[id / BLOCK_ROWS * BLOCK_ROWS * code_len..];
            for (i, &byte) in code.iter().enumerate() {
                block[i * BLOCK_ROWS + id % BLOCK_ROWS] = byte;
            }
            adds[4 * id..4 * id + 4].copy_from_slice(&factors.add.to_le_bytes());
            muls[4 * id..4 * id + 4].copy_from_slice(&factors.mul.to_le_bytes());
        }
        Self { mean, codes, adds, muls }
    }

    /// The inner product of a query with each centroid, about.
    pub(crate) fn products(&self, layout: &Layout, query: &Query) -> Vec<f32> {
        let base = -kernel::dot(&query.rotated, &self.mean);
        let (delta, total) = (query.code.delta, query.code.total);
        let bounding = Bounding { base, error: 0.0, delta, total, worst: f32::INFINITY };
        let block_len = BLOCK_ROWS * rabitq::code_len(layout.header.dim);
        let factors = self.adds.chunks_exact(4 * BLOCK_ROWS);
        let factors = factors.zip(self.muls.chunks_exact(4 * BLOCK_ROWS));
        let mut products = Vec::with_capacity(self.adds.len() / 4);
        let (mut sums, mut negative) = ([0; BLOCK_ROWS], [0.0; BLOCK_ROWS]);
        for (codes, (adds, muls)) in self.codes.chunks_exact(block_len).zip(factors) {
            kernel::scan_block(codes, BLOCK_ROWS, &query.code.table, &mut sums);
            kernel::lower_bounds(&sums, adds, muls, &bounding, &mut negative);
            products.extend(negative.map(|x| -x));
        }
        products.truncate(layout.lists.len());
        products
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use infino_format::schema::RerankCodec;

    use super::super::route::{Nearness, Route, key};
    use super::*;
    use crate::layout::{Calibration, Header, ListEntry, Patience, ProbeOrder, Reach};
    use crate::random::SplitMix64;

    fn layout(metric: Metric, dim: usize, lists: usize, random: &mut SplitMix64) -> Layout {
        let centroids: Vec<u8> = (0..lists * dim).map(|_| random.next() as u8).collect();
        let list = |centroid: &[u8]| ListEntry {
            rows: 1,
            spread: 1.0,
            kappa: 0.0,
            step: 0.0,
            scale: 0.01,
            norm2: centroid.iter().map(|&c| 1e-4 * f32::from(c as i8).powi(2)).sum(),
            first: 0,
            offset: 0,
        };
        let header = Header {
            metric,
            rerank: RerankCodec::None,
            extra_bits: 0,
            dim,
            rows: lists as u32,
            doc_end: lists as u32,
            seed: 1,
            target_recall: 0.95,
            order: ProbeOrder { mean: 0.0, spread: 0.1 },
            calibration: Calibration::default(),
            patience: Patience::default(),
            reach: Reach::default(),
        };
        let entries = centroids.chunks(dim).map(list).collect();
        Layout::new(header, entries, Bytes::from(centroids))
    }

    #[test]
    fn codes_find_the_lists_that_centroids_do() {
        let (dim, lists, wanted) = (96, LISTS_MIN + 70, 20);
        for metric in [Metric::L2, Metric::InnerProduct] {
            let mut random = SplitMix64::new(3, 1);
            let layout = layout(metric, dim, lists, &mut random);
            for _ in 0..20 {
                let query = (0..dim).map(|_| random.below(256) as f32 / 100.0 - 1.28).collect();
                let query = Query::of_row(query);
                let near = Nearness::new(&layout, &query);
                let mut exact: Vec<u64> =
                    (0..lists).map(|id| key(near.score(layout.header.order, id), id)).collect();
                exact.sort_unstable();
                let exact: Vec<u32> = exact[..wanted].iter().map(|&key| key as u32).collect();
                let mut route = Route::new(&layout, &query, wanted);
                let found = route.take(wanted).to_vec();
                let same = found.iter().filter(|id| exact.contains(id)).count();
                assert!(same >= wanted - 2, "{same} of {wanted}, {metric:?}");
                let rest = route.take(lists).to_vec();
                let mut all = [found, rest].concat();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..lists as u32), "every list comes once");
            }
        }
    }
}

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

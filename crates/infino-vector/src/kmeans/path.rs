//! An order of the lists in which near ones follow each other.

use rayon::prelude::*;

use crate::kernel;

/// From the first list, always to the nearest one left: lists that a query visits then stand together, so that fewer
/// ranges cover them.
pub(crate) fn path(points: &[&[f32]]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut path = Vec::with_capacity(points.len());
    let mut at = 0;
    while !left.is_empty() {
        let id = left.swap_remove(at);
        path.push(id);
        let nearest = left
            .par_iter()
            .with_min_len(512)
            .map(|&other| (kernel::l2(points[id], points[other]), other))
            .enumerate()
            .min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        at = nearest.map_or(0, |(at, _)| at);
    }
    path
}

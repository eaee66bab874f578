//! Cutting vectors into lists: Lloyd's k-means.

use rayon::prelude::*;

use crate::kernel;
use crate::random::SplitMix64;

/// Rounds of Lloyd's algorithm; more change the lists by little.
const ROUNDS: usize = 8;
/// The stream of the seed that starting points are drawn from.
const PURPOSE: u64 = 2;

/// Centroids of `dim` floats each.
pub(crate) struct Centroids {
    dim: usize,
    points: Vec<f32>,
    /// `‖c‖²`.
    norms: Vec<f32>,
}

impl Centroids {
    pub(crate) fn new(dim: usize, points: Vec<f32>) -> Self {
        let norms = points.chunks_exact(dim).map(|point| kernel::dot(point, point)).collect();
        Self { dim, points, norms }
    }

    /// At most `count` centroids of `sample`, by the seed's draw and nothing else.
    pub(crate) fn train(dim: usize, sample: &[f32], count: usize, seed: u64) -> Self {
        let rows = sample.len() / dim;
        let starts = SplitMix64::new(seed, PURPOSE).sample(rows, count);
        let points = starts.iter().flat_map(|&row| &sample[row * dim..][..dim]).copied().collect();
        let mut centroids = Self::new(dim, points);
        for _ in 0..ROUNDS {
            let lists = centroids.assign(sample);
            centroids = Self::new(dim, centroids.means(sample, &lists));
        }
        centroids
    }

    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    /// The nearest centroid of each row.
    pub(crate) fn assign(&self, rows: &[f32]) -> Vec<u32> {
        rows.par_chunks_exact(self.dim).map(|row| self.nearest(row)).collect()
    }

    fn nearest(&self, row: &[f32]) -> u32 {
        let mut best = (f32::INFINITY, 0);
        for (id, (point, norm)) in self.points.chunks_exact(self.dim).zip(&self.norms).enumerate() {
            let distance = norm - 2.0 * kernel::dot(row, point);
            if distance < best.0 {
                best = (distance, id as u32);
            }
        }
        best.1
    }

    /// The mean of each list; a list without rows keeps its centroid.
    fn means(&self, rows: &[f32], lists: &[u32]) -> Vec<f32> {
        let mut members = vec![Vec::new(); self.len()];
        for (row, &list) in lists.iter().enumerate() {
            members[list as usize].push(row);
        }
        let mut points = self.points.clone();
        points.par_chunks_exact_mut(self.dim).zip(&members).for_each(|(point, members)| {
            if !members.is_empty() {
                mean(members.iter().map(|&row| &rows[row * self.dim..][..self.dim]), point);
            }
        });
        points
    }
}

/// Writes the mean of `rows`, at least one, to `out`.
pub(crate) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, out: &mut [f32]) {
    let mut sums = vec![0.0f64; out.len()];
    let mut count = 0.0;
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        count += 1.0;
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / count) as f32);
}

/// An order of the lists in which neighbours follow each other: from the first, always to the nearest one left.
pub(crate) fn path(points: &[Vec<f32>]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut path = Vec::with_capacity(points.len());
    let mut at = 0;
    while !left.is_empty() {
        let id = left.remove(at);
        path.push(id);
        let distances: Vec<f32> =
            left.par_iter().map(|&other| kernel::l2(&points[id], &points[other])).collect();
        at = (0..left.len()).min_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap_or(0);
    }
    path
}

//! Distances of rows from points, by products of bytes.
//!
//! Points and rows are taken relative to the mean of the points and rounded, rows to 8 bits with a sign, points to 7 bits,
//! each with a step of its own. What rounding adds to a distance is then small beside the distances among the points,
//! wherever they are; and products of bytes are whole numbers, equal on every machine, at a quarter of the cost of
//! floats.

use super::TILE_ROWS;
use crate::kernel::{self, PANEL, QUAD, Rounded};

/// The greatest size of a point's byte, and what is added to it so that it has no sign.
const POINT_MAX: f32 = 63.0;
const POINT_ZERO: i32 = 64;

/// Points, ready to be compared with.
#[derive(Clone)]
pub(super) struct Near {
    origin: Vec<f32>,
    /// Bytes of a row or a point.
    width: usize,
    /// As [`kernel::dot_panels`] takes them.
    panels: Vec<u8>,
    /// Of each point from the origin: its squared length, and twice its step.
    norms: Vec<f32>,
    steps: Vec<f32>,
}

impl Near {
    pub(super) fn new(dim: usize, points: &[f32]) -> Self {
        let count = points.len() / dim;
        let mut origin = vec![0.0; dim];
        if count > 0 {
            super::mean(points.chunks_exact(dim), &mut origin);
        }
        let width = dim.next_multiple_of(QUAD);
        let mut panels = vec![POINT_ZERO as u8; count.next_multiple_of(PANEL) * width];
        let (mut norms, mut steps) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (i, point) in points.chunks_exact(dim).enumerate() {
            let max = point.iter().zip(&origin).fold(0.0f32, |max, (x, o)| max.max((x - o).abs()));
            let inverse = POINT_MAX / max;
            let inverse = if inverse.is_finite() { inverse } else { 0.0 };
            let panel = &mut panels[i / PANEL * PANEL * width..];
            for (d, (x, o)) in point.iter().zip(&origin).enumerate() {
                let byte = ((x - o) * inverse).round_ties_even() as i32 + POINT_ZERO;
                panel[d / QUAD * QUAD * PANEL + i % PANEL * QUAD + d % QUAD] = byte as u8;
            }
            norms.push(kernel::l2(point, &origin));
            steps.push(if inverse > 0.0 { 2.0 * max / POINT_MAX } else { 0.0 });
        }
        Self { origin, width, panels, norms, steps }
    }

    /// Calls `see` with each row and its squared distances from all points.
    pub(super) fn visit(&self, rows: &[&[f32]], mut see: impl FnMut(usize, &[f32])) {
        let padded = self.panels.len() / self.width;
        if padded == 0 {
            return;
        }
        let mut bytes = vec![0; TILE_ROWS * self.width];
        let mut products = vec![0; TILE_ROWS * padded];
        let mut distances = vec![0.0; self.norms.len()];
        let mut rounded = [Rounded::default(); TILE_ROWS];
        for (r, rows) in rows.chunks(TILE_ROWS).enumerate() {
            let bytes = &mut bytes[..rows.len() * self.width];
            let each = rows.iter().zip(bytes.chunks_exact_mut(self.width)).zip(&mut rounded);
            each.for_each(|((row, out), rounded)| {
                *rounded = kernel::to_bytes(row, &self.origin, out);
            });
            let products = &mut products[..rows.len() * padded];
            kernel::dot_panels(bytes, self.width, &self.panels, products);
            for (i, (products, Rounded { step, sum, squares })) in
                products.chunks_exact(padded).zip(rounded).enumerate()
            {
                let own = step * step * squares as f32;
                // What the points' bytes have too much.
                let excess = POINT_ZERO * sum;
                let points = products.iter().zip(&self.norms).zip(&self.steps);
                for (distance, ((&product, norm2), twice)) in distances.iter_mut().zip(points) {
                    *distance = own + norm2 - step * twice * (product - excess) as f32;
                }
                see(r * TILE_ROWS + i, &distances);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn distances_are_close_wherever_points_are() {
        let mut random = SplitMix64::new(5, 1);
        for (dim, far, size) in [(16, 0.0, 1.0), (50, 1e4, 1.0), (384, -30.0, 1e-3), (97, 0.5, 1e8)]
        {
            let mut draw = |count: usize| -> Vec<f32> {
                (0..count * dim)
                    .map(|_| (random.below(2001) as f32 / 1000.0 - 1.0) * size + far)
                    .collect()
            };
            let (points, rows) = (draw(37), draw(130));
            let near = Near::new(dim, &points);
            let refs: Vec<&[f32]> = rows.chunks_exact(dim).collect();
            let mut seen = 0;
            near.visit(&refs, |row, distances| {
                assert_eq!((row, distances.len()), (seen, 37));
                seen += 1;
                for (point, distance) in points.chunks_exact(dim).zip(distances) {
                    let exact = kernel::l2(refs[row], point);
                    assert!((distance - exact).abs() < 0.02 * exact, "{distance} {exact}");
                }
            });
            assert_eq!(seen, 130);
        }
    }

    #[test]
    fn equal_points_are_as_near_as_each_other() {
        let near = Near::new(16, &[3.0; 64]);
        near.visit(&[&[1.0; 16]], |_, distances| assert_eq!(distances, [64.0; 4]));
    }
}

//! A random rotation that takes O(d log d): signs and Walsh–Hadamard transforms.
//!
//! RaBitQ needs vectors in a random orientation. For a dimension that is a power of two, each of [`ROUNDS`] rounds flips
//! random signs and transforms. For any other, even rounds transform the first `p` coordinates and odd rounds the last
//! `p`, `p` the greatest power of two below, and a butterfly between the two halves ends each round; all steps are
//! orthogonal, so lengths and angles stay as they are and nothing is padded.

use crate::kernel;
use crate::random::SplitMix64;

const ROUNDS: usize = 4;
/// The stream of the seed that signs are drawn from.
const PURPOSE: u64 = 1;

pub(crate) struct Rotation {
    dim: usize,
    window: usize,
    /// ± 1 / √p inside the window of the round, ± 1 outside; `dim` a round.
    signs: Vec<f32>,
}

impl Rotation {
    pub(crate) fn new(dim: usize, seed: u64) -> Self {
        let window = if dim.is_power_of_two() { dim } else { dim.next_power_of_two() / 2 };
        let norm = 1.0 / (window as f32).sqrt();
        let mut random = SplitMix64::new(seed, PURPOSE);
        let mut signs = Vec::with_capacity(ROUNDS * dim);
        for round in 0..ROUNDS {
            let inside = start(round, dim, window)..start(round, dim, window) + window;
            let mut bits = 0;
            for i in 0..dim {
                if i % 64 == 0 {
                    bits = random.next();
                }
                let sign = if bits >> (i % 64) & 1 == 1 { -1.0 } else { 1.0 };
                signs.push(if inside.contains(&i) { sign * norm } else { sign });
            }
        }
        Self { dim, window, signs }
    }

    /// Rotates `x` in place.
    pub(crate) fn apply(&self, x: &mut [f32]) {
        assert_eq!(x.len(), self.dim, "vectors of one index share a dimension");
        for (round, signs) in self.signs.chunks_exact(self.dim).enumerate() {
            x.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            let at = start(round, self.dim, self.window);
            kernel::hadamard(&mut x[at..at + self.window]);
            if self.window < self.dim {
                butterfly(x);
            }
        }
    }
}

/// Where the window of a round begins.
fn start(round: usize, dim: usize, window: usize) -> usize {
    if round.is_multiple_of(2) { 0 } else { dim - window }
}

/// Mixes the first half with the last; the middle coordinate of an odd dimension stays.
fn butterfly(x: &mut [f32]) {
    let half = x.len() / 2;
    let (head, tail) = x.split_at_mut(x.len() - half);
    for (a, b) in head[..half].iter_mut().zip(tail) {
        let (sum, difference) = (*a + *b, *a - *b);
        *a = sum * std::f32::consts::FRAC_1_SQRT_2;
        *b = difference * std::f32::consts::FRAC_1_SQRT_2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_angles_stay() {
        for dim in [16, 17, 24, 100, 128, 383, 768, 1000] {
            let rotation = Rotation::new(dim, 7);
            let mut random = SplitMix64::new(dim as u64, 9);
            let mut draw = || -> Vec<f32> {
                (0..dim).map(|_| random.below(2001) as f32 / 1000.0 - 1.0).collect()
            };
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let (a, b) = (draw(), draw());
            let (mut ra, mut rb) = (a.clone(), b.clone());
            rotation.apply(&mut ra);
            rotation.apply(&mut rb);
            assert!((dot(&a, &a) - dot(&ra, &ra)).abs() < 1e-3, "length at {dim}");
            assert!((dot(&a, &b) - dot(&ra, &rb)).abs() < 1e-3, "angle at {dim}");
        }
    }

    #[test]
    fn one_coordinate_spreads_over_all() {
        for dim in [16, 100, 384, 960] {
            let mut x = vec![0.0; dim];
            x[dim / 3] = 1.0;
            Rotation::new(dim, 7).apply(&mut x);
            let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            assert!(max < 6.0 / (dim as f32).sqrt(), "{max} at {dim}");
        }
    }
}

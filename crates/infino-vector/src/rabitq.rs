//! RaBitQ: one bit a dimension, and an estimate of the distance with a bound on its error.
//!
//! After Gao and Long, "RaBitQ" (arXiv 2405.12497), in the form that shares one query code among all lists. Let `x` be a
//! row, `c` its list's centroid and `q` the query, all rotated; `r = x − c`, `s` the signs of `r` (± 1) and
//! `f = ‖r‖² / ‖r‖₁`. Over random rotations `f ⟨s, v⟩` estimates `⟨r, v⟩` without bias for any `v`; taking `v = q − c`
//! keeps its error small, and since `⟨s, q − c⟩ = ⟨s, q⟩ − ⟨s, c⟩`, all that depends on row and list alone is stored:
//!
//! | metric | distance estimated | `base` of query and list | `add` of the row | `mul` of the row |
//! | --- | --- | --- | --- | --- |
//! | L2, cosine | `‖q − x‖²` | `‖q − c‖²` | `‖r‖² + 2 f ⟨s, c⟩` | `2 f` |
//! | inner product | `−⟨q, x⟩` | `−⟨q, c⟩` | `f ⟨s, c⟩ − ⟨c, r⟩` | `f` |
//!
//! `estimate = base + add − mul ⟨s, q⟩`. With `o = ‖r‖₁ / (√d ‖r‖)`, the error of `⟨s, q − c⟩` passes
//! `ε ‖q − c‖ κ`, `κ = √(d / (d − 1)) √(1 − o²)`, with a probability that falls like `exp(−ε²)`. `κ` hardly varies
//! among rows, so a list stores the greatest of its own. Under cosine, rows and queries are scaled to length 1, where
//! `‖q − x‖²` is twice the cosine distance.

use infino_format::schema::Metric;

use crate::kernel::{self, Bounding};

/// Bytes of a code.
pub(crate) fn code_len(dim: usize) -> usize {
    dim.div_ceil(8)
}

/// What a row's estimate needs beside its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factors {
    pub(crate) add: f32,
    pub(crate) mul: f32,
    /// The row's share in the error bound of its list.
    pub(crate) kappa: f32,
    /// `‖r‖²`.
    pub(crate) norm2: f32,
}

/// Encodes `row` against `centroid`: bit `i % 8` of byte `i / 8` of `code` is set iff coordinate `i` of the offset is
/// not negative.
pub(crate) fn encode(metric: Metric, row: &[f32], centroid: &[f32], code: &mut [u8]) -> Factors {
    let [norm1, norm2, signs_c, r_c] = kernel::signs(row, centroid, code).map(f64::from);
    let factor = if norm1 > 0.0 { norm2 / norm1 } else { 0.0 };
    let dim = row.len() as f64;
    let cosine2 = if norm2 > 0.0 { norm1 * norm1 / (dim * norm2) } else { 1.0 };
    let kappa = (dim / (dim - 1.0) * (1.0 - cosine2).max(0.0)).sqrt();
    let (add, mul) = match metric {
        Metric::InnerProduct => (factor * signs_c - r_c, factor),
        _ => (norm2 + 2.0 * factor * signs_c, 2.0 * factor),
    };
    Factors { add: add as f32, mul: mul as f32, kappa: kappa as f32, norm2: norm2 as f32 }
}

/// A rotated query, quantised once for all lists: a table of sums for each four dimensions.
///
/// Coordinates become integers `u` so that the magnitudes of any four add up to 63 at most, four entries thus fit a byte,
/// and all entries fit 16 bits; entry `b` of a nibble is the sum of the `|u|` whose sign agrees with bit pattern `b`. A scan adds entries up to `t`,
/// and `⟨s, q⟩ = delta (2 t − total)`.
pub(crate) struct QueryCode {
    /// 32 entries a byte of code.
    pub(crate) table: Vec<u8>,
    pub(crate) delta: f32,
    /// Σ|u|.
    pub(crate) total: i32,
    /// Standard deviation that quantising the query adds to `⟨s, q⟩`.
    pub(crate) noise: f32,
}

impl QueryCode {
    pub(crate) fn new(query: &[f32]) -> Self {
        let nibble = query.chunks(4).map(norm1).fold(0.0f32, f32::max);
        let all: f32 = query.chunks(4).map(norm1).sum();
        let mut scale = (61.0 / nibble).min((65_000.0 - 0.5 * query.len() as f32) / all);
        if !scale.is_finite() {
            scale = 0.0;
        }
        let mut table = vec![0; code_len(query.len()) * 32];
        let mut total = 0;
        for (entries, four) in table.chunks_exact_mut(16).zip(query.chunks(4)) {
            let mut agree = [[0u8; 2]; 4];
            for (pair, &x) in agree.iter_mut().zip(four) {
                let u = ((x * scale).abs() + 0.5) as u8;
                total += i32::from(u);
                pair[usize::from(x >= 0.0)] = u;
            }
            for (bits, entry) in entries.iter_mut().enumerate() {
                *entry = (0..4).map(|i| agree[i][bits >> i & 1]).sum();
            }
        }
        let delta = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        Self { table, delta, total, noise: delta * (query.len() as f32 / 12.0).sqrt() }
    }
}

fn norm1(four: &[f32]) -> f32 {
    four.iter().map(|x| x.abs()).sum()
}

/// What the rows of a list share in their estimates: its centroid is `scale` times `centroid`, signed bytes; `width` is ε.
pub(crate) fn bounding(
    metric: Metric,
    query: &[f32],
    code: &QueryCode,
    (centroid, scale): (&[u8], f32),
    kappa: f32,
    width: f32,
) -> Bounding {
    let distance2 = kernel::l2_bytes(query, centroid, scale);
    let base = match metric {
        Metric::InnerProduct => -kernel::dot_bytes(query, centroid, scale),
        _ => distance2,
    };
    // The two errors are independent.
    let error = width * (kappa * kappa * distance2 + code.noise * code.noise).sqrt();
    Bounding { base, error, delta: code.delta, total: code.total, worst: f32::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::rotation::Rotation;

    fn gaussian(random: &mut SplitMix64, dim: usize) -> Vec<f32> {
        let uniform = |random: &mut SplitMix64| random.below(1 << 20) as f32 / (1 << 20) as f32;
        (0..dim).map(|_| (0..12).map(|_| uniform(random)).sum::<f32>() - 6.0).collect()
    }

    fn check_estimates(metric: Metric, dim: usize, exact: impl Fn(&[f32], &[f32]) -> f32) {
        let rotation = Rotation::new(dim, 3);
        let mut random = SplitMix64::new(dim as u64, 5);
        let centre = gaussian(&mut random, dim);
        let mut near = |spread: f32| {
            let mut v = gaussian(&mut random, dim);
            v.iter_mut().zip(&centre).for_each(|(v, c)| *v = *v * spread + c);
            rotation.apply(&mut v);
            v
        };
        let query = near(1.0);
        let bytes: Vec<u8> = near(0.1).iter().map(|x| (x * 20.0) as i8 as u8).collect();
        let centroid: Vec<f32> = bytes.iter().map(|&x| 0.05 * f32::from(x as i8)).collect();
        let code = QueryCode::new(&query);
        let (mut bias, mut outside) = (0.0, 0);
        for _ in 0..400 {
            let row = near(0.7);
            let mut bits = vec![0; code_len(dim)];
            let factors = encode(metric, &row, &centroid, &mut bits);
            let list = bounding(metric, &query, &code, (&bytes, 0.05), factors.kappa, 1.9);
            let block: Vec<u8> = bits.iter().flat_map(|&byte| [byte; 8]).collect();
            let (mut sums, mut lowers) = ([0; 64], [0.0; 64]);
            kernel::scan_block(&block, 8, &code.table, &mut sums);
            let le = |x: f32| x.to_le_bytes().repeat(8);
            let (add, mul) = (le(factors.add), le(factors.mul));
            kernel::lower_bounds(&sums, &add, &mul, &list, &mut lowers);
            let bound = factors.mul * list.error;
            let error = (lowers[0] + bound - exact(&query, &row)) / bound;
            bias += error / 400.0;
            outside += usize::from(error.abs() > 1.0);
        }
        assert!(outside <= 60, "{outside} of 400 outside the bound at {dim}");
        assert!(bias.abs() < 0.15, "bias {bias} at {dim}");
    }

    #[test]
    fn estimates_are_unbiased_and_within_their_bound() {
        for dim in [16, 50, 128, 384, 1000] {
            check_estimates(Metric::L2, dim, kernel::l2);
            check_estimates(Metric::InnerProduct, dim, |a, b| -kernel::dot(a, b));
        }
    }

    #[test]
    fn no_table_overflows() {
        for query in [vec![1.0; 4096], vec![0.0; 64], vec![f32::MIN_POSITIVE; 17], {
            let mut spike = vec![0.0; 100];
            spike[99] = -1e30;
            spike
        }] {
            let code = QueryCode::new(&query);
            let most: u32 =
                code.table.chunks(16).map(|four| u32::from(*four.iter().max().unwrap())).sum();
            assert!(code.table.iter().all(|&entry| entry <= 63));
            assert!(most <= 65_535 && code.total <= 65_535 && code.delta.is_finite());
        }
    }
}

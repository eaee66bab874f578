//! Extended RaBitQ: more bits of a code, for indexes that keep no other payload.
//!
//! After Gao and others, "Practical and Asymptotically Optimal Quantization of High-Dimensional Vectors" (arXiv
//! 2409.09913). The 1-bit code of a row is the signs `s` of its offset `r` from the centroid; `b` more bits a dimension say
//! how far from 0 each coordinate is, on an even grid: `y = s (m + ½)`, `m` from 0 to `2^b − 1`. With
//! `f = ‖r‖² / ⟨y, r⟩`, `f ⟨y, q − c⟩` estimates `⟨r, q − c⟩`, as in [`crate::rabitq`] but closer. The step of the grid is
//! the one of a few that brings `y` closest to the direction of `r`.
//!
//! A row's payload is `f` and then `m`, `b` bits a dimension; the signs, and `‖r‖²` and `⟨c, r⟩`, which its list's factors
//! imply, are taken from the list when it is scanned ([`Scanned`]).

use infino_format::schema::Metric;

use crate::{kernel, rabitq};

/// The most bits beside the sign.
pub(crate) const BITS_MAX: u8 = 7;
/// The step of the best even grid for normally distributed coordinates, in standard deviations, by bits beside the sign.
const STEPS: [f32; BITS_MAX as usize] = [0.996, 0.586, 0.335, 0.188, 0.104, 0.0569, 0.0308];
/// Multiples of that step that are tried.
const TRIED: [f32; 9] = [0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.12, 1.2, 1.35];

/// Appends the payload of a row whose offset from the centroid is `r`.
pub(crate) fn encode(r: &[f32], bits: u8, out: &mut Vec<u8>) {
    let norm2 = r.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    let most = ((1u32 << bits) - 1) as f32;
    let usual = STEPS[usize::from(bits) - 1] * (norm2 / r.len() as f64).sqrt() as f32;
    let level = |x: f32, inverse: f32| (x.abs() * inverse).floor().min(most);
    // ⟨y, |r|⟩ and ‖y‖² at a step.
    let fit = |inverse: f32| {
        r.iter().fold((0.0f64, 0.0f64), |(inner, norm2), &x| {
            let y = level(x, inverse) + 0.5;
            (inner + f64::from(y * x.abs()), norm2 + f64::from(y * y))
        })
    };
    let mut best = (-1.0, 0.0, 0.0);
    for tried in TRIED {
        let inverse = 1.0 / (tried * usual);
        if !inverse.is_finite() {
            break;
        }
        let (inner, y2) = fit(inverse);
        let cosine = inner / y2.sqrt();
        if cosine > best.0 {
            best = (cosine, inner, inverse);
        }
    }
    let (_, inner, inverse) = best;
    let factor = if inner > 0.0 { (norm2 / inner) as f32 } else { 0.0 };
    out.extend_from_slice(&factor.to_le_bytes());
    for eight in r.chunks(8) {
        let word = eight.iter().enumerate().fold(0u64, |word, (i, &x)| {
            word | (level(x, inverse) as u64) << (i * usize::from(bits))
        });
        out.extend_from_slice(&word.to_le_bytes()[..usize::from(bits)]);
    }
}

/// What a scan keeps of a candidate for its payload to be understood.
pub(crate) struct Scanned<'a> {
    pub(crate) add: f32,
    pub(crate) mul: f32,
    /// The 1-bit code.
    pub(crate) signs: &'a [u8],
}

/// The estimate of a row's distance, as in the table of [`crate::rabitq`]; the list's centroid is `scale` times `centroid`.
pub(crate) fn estimate(
    metric: Metric,
    query: &[f32],
    (centroid, scale): (&[u8], f32),
    row: &Scanned<'_>,
    payload: &[u8],
) -> f32 {
    let (factor, code) = payload.split_at(4);
    let factor = f32::from_le_bytes(factor.try_into().expect("4 bytes"));
    let inner = factor * kernel::dot_extended(query, centroid, scale, row.signs, code);
    let signs_c = row.mul * signed_sum(centroid, row.signs) * scale;
    match metric {
        // What is left of the stored factors are ⟨c, r⟩ and ‖r‖².
        Metric::InnerProduct => {
            -kernel::dot_bytes(query, centroid, scale) - inner - (signs_c - row.add)
        }
        _ => kernel::l2_bytes(query, centroid, scale) + (row.add - signs_c) - 2.0 * inner,
    }
}

/// [`estimate`] of a row that is encoded for it.
pub(crate) fn estimate_of(
    metric: Metric,
    bits: u8,
    query: &[f32],
    (bytes, scale): (&[u8], f32),
    row: &[f32],
) -> f32 {
    let centroid: Vec<f32> = bytes.iter().map(|&c| scale * f32::from(c as i8)).collect();
    let offset: Vec<f32> = row.iter().zip(&centroid).map(|(x, c)| x - c).collect();
    let (mut signs, mut payload) = (vec![0; rabitq::code_len(row.len())], Vec::new());
    let factors = rabitq::encode(metric, row, &centroid, &mut signs);
    encode(&offset, bits, &mut payload);
    let scanned = Scanned { add: factors.add, mul: factors.mul, signs: &signs };
    estimate(metric, query, (bytes, scale), &scanned, &payload)
}

/// `⟨s, c⟩` in steps of the centroid.
fn signed_sum(centroid: &[u8], signs: &[u8]) -> f32 {
    let sum: i32 = centroid
        .chunks(8)
        .zip(signs)
        .flat_map(|(eight, &byte)| {
            eight.iter().enumerate().map(move |(i, &c)| {
                let c = i32::from(c as i8);
                if byte >> i & 1 == 1 { c } else { -c }
            })
        })
        .sum();
    sum as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn each_bit_halves_the_error() {
        for (metric, dim) in [(Metric::L2, 128), (Metric::InnerProduct, 133)] {
            let mut random = SplitMix64::new(9, 1);
            let mut draw = |scale: f32| -> Vec<f32> {
                let mut uniform = || random.below(1 << 20) as f32 / (1 << 20) as f32;
                (0..dim).map(|_| scale * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
            };
            let bytes: Vec<u8> = draw(20.0).into_iter().map(|x| x as i8 as u8).collect();
            let centroid: Vec<f32> = bytes.iter().map(|&c| 0.05 * f32::from(c as i8)).collect();
            let mut last = f32::INFINITY;
            for bits in 1..=BITS_MAX {
                let mut error = 0.0;
                for _ in 0..100 {
                    let (query, row) = (draw(1.0), draw(1.0));
                    let r: Vec<f32> = row.iter().zip(&centroid).map(|(x, c)| x - c).collect();
                    let mut signs = vec![0; rabitq::code_len(dim)];
                    let factors = rabitq::encode(metric, &row, &centroid, &mut signs);
                    let mut payload = Vec::new();
                    encode(&r, bits, &mut payload);
                    let scanned = Scanned { add: factors.add, mul: factors.mul, signs: &signs };
                    let found = estimate(metric, &query, (&bytes, 0.05), &scanned, &payload);
                    let truth = match metric {
                        Metric::InnerProduct => -kernel::dot(&query, &row),
                        _ => kernel::l2(&query, &row),
                    };
                    error += (found - truth).abs() / 100.0;
                }
                assert!(error < 0.7 * last, "{error} after {last} at {bits} bits");
                last = error;
            }
        }
    }

    #[test]
    fn an_offset_of_zeros_has_no_factor() {
        let mut payload = Vec::new();
        encode(&[0.0; 20], 3, &mut payload);
        assert_eq!(payload[..4], [0; 4]);
        assert_eq!(payload.len(), 4 + 9);
    }
}

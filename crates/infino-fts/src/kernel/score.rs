//! BM25 of a block, and finding what scores enough.

use super::pack::BLOCK_LEN;
use crate::bm25::Scorer;

/// Scores of `tfs` and `lens`; equals [`Scorer::score`] bit for bit.
#[inline]
pub(crate) fn scores(
    scorer: Scorer,
    tfs: &[u32; BLOCK_LEN],
    lens: &[u32; BLOCK_LEN],
    out: &mut [f32; BLOCK_LEN],
) {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the CPU has AVX2.
        return unsafe { scores_avx2(scorer, tfs, lens, out) };
    }
    scores_any(scorer, tfs, lens, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scores_avx2(
    scorer: Scorer,
    tfs: &[u32; BLOCK_LEN],
    lens: &[u32; BLOCK_LEN],
    out: &mut [f32; BLOCK_LEN],
) {
    scores_any(scorer, tfs, lens, out);
}

#[inline(always)]
fn scores_any(
    scorer: Scorer,
    tfs: &[u32; BLOCK_LEN],
    lens: &[u32; BLOCK_LEN],
    out: &mut [f32; BLOCK_LEN],
) {
    for i in 0..BLOCK_LEN {
        out[i] = scorer.score(tfs[i], lens[i]);
    }
}

/// Sets bit `i` of `bits` iff `sums[i]` is above 0 and at least `least`.
#[inline]
pub(crate) fn reaching(sums: &[f32], least: f32, bits: &mut [u64]) {
    assert_eq!(sums.len(), 64 * bits.len(), "a bit a sum");
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the CPU has AVX2.
        return unsafe { reaching_avx2(sums, least, bits) };
    }
    reaching_any(sums, least, bits);
}

fn reaching_any(sums: &[f32], least: f32, bits: &mut [u64]) {
    for (word, sums) in bits.iter_mut().zip(sums.chunks_exact(64)) {
        *word = 0;
        for (i, &sum) in sums.iter().enumerate() {
            *word |= u64::from(sum > 0.0 && sum >= least) << i;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn reaching_avx2(sums: &[f32], least: f32, bits: &mut [u64]) {
    use std::arch::x86_64::{
        _CMP_GE_OQ, _CMP_GT_OQ, _mm256_and_ps, _mm256_cmp_ps, _mm256_loadu_ps, _mm256_movemask_ps,
        _mm256_set1_ps, _mm256_setzero_ps,
    };
    let (least, zero) = (_mm256_set1_ps(least), _mm256_setzero_ps());
    for (word, sums) in bits.iter_mut().zip(sums.chunks_exact(64)) {
        *word = 0;
        for (i, sums) in sums.chunks_exact(8).enumerate() {
            // SAFETY: `sums` is 8 readable floats, and `loadu` asks for no alignment.
            let sums = unsafe { _mm256_loadu_ps(sums.as_ptr()) };
            let enough = _mm256_and_ps(
                _mm256_cmp_ps::<_CMP_GE_OQ>(sums, least),
                _mm256_cmp_ps::<_CMP_GT_OQ>(sums, zero),
            );
            *word |= u64::from(_mm256_movemask_ps(enough) as u8) << (8 * i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bm25::Norm;

    #[test]
    fn both_builds_give_the_same_bits() {
        let scorer = Scorer { weight: 3.7, norm: Norm::new(1000, 123_456) };
        let tfs = std::array::from_fn(|i| 1 + (i as u32 * 7) % 90);
        let lens = std::array::from_fn(|i| i as u32 * 131 % 4000);
        let mut out = [0.0; BLOCK_LEN];
        scores(scorer, &tfs, &lens, &mut out);
        for i in 0..BLOCK_LEN {
            assert_eq!(out[i].to_bits(), scorer.score(tfs[i], lens[i]).to_bits());
        }
        let sums: Vec<f32> = (0..4096).map(|i| (i * 37 % 100) as f32 / 10.0 - 1.0).collect();
        for least in [-1.0, 0.0, 4.3, 100.0] {
            let (mut fast, mut slow) = (vec![0; 64], vec![1; 64]);
            reaching(&sums, least, &mut fast);
            reaching_any(&sums, least, &mut slow);
            assert_eq!(fast, slow);
        }
    }
}

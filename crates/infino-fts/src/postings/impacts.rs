//! Impacts: what bounds the scores in a block whatever the statistics of the table.
//!
//! A block keeps up to eight (term frequency, length) pairs of which none has both more occurrences and fewer words than
//! another; every document of the block is dominated by one. BM25 under any k1, b, N and average length is then at most
//! its maximum over the pairs. After Grand et al., *From MaxScore to Block-Max WAND* (ECIR 2020).

use crate::bm25::{B, K1};

/// The most pairs a block keeps.
pub(crate) const PAIRS_MAX: usize = 8;
/// As a pair's frequency: this or more.
pub(crate) const TF_OPEN: u8 = 255;

/// `len` as a byte, rounded down: exact below 32, then 4 bits after the leading one.
pub(crate) fn len_code(len: u32) -> u8 {
    if len < 32 {
        return len as u8;
    }
    let exponent = 31 - len.leading_zeros();
    let code = 32 + (exponent - 5) * 16 + (len >> (exponent - 4) & 15);
    code.min(255) as u8
}

/// The least length whose code is `code`.
pub(crate) const fn code_len(code: u8) -> u32 {
    if code < 32 {
        return code as u32;
    }
    let (exponent, low) = ((code as u32 - 32) / 16 + 5, (code as u32 - 32) % 16);
    (16 + low) << (exponent - 4)
}

/// [`code_len`] of every code, ready for the formula.
pub(crate) const CODE_LENS: [f32; 256] = {
    let mut lens = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        lens[code] = code_len(code as u8) as f32;
        code += 1;
    }
    lens
};

/// Appends the pairs of a block, fewest occurrences first, two bytes each; returns how many.
pub(crate) fn write(
    tfs: &[u32],
    lens: impl Iterator<Item = u32>,
    average: f64,
    out: &mut Vec<u8>,
) -> u8 {
    let mut best = [0u8; 256];
    for (&tf, len) in tfs.iter().zip(lens) {
        let slot = &mut best[len_code(len) as usize];
        *slot = (*slot).max(tf.min(TF_OPEN.into()) as u8);
    }
    let mut pairs: Vec<(u8, u8)> = Vec::with_capacity(16);
    for (code, &tf) in best.iter().enumerate() {
        if tf > pairs.last().map_or(0, |&(tf, _)| tf) {
            pairs.push((tf, code as u8));
        }
    }
    while pairs.len() > PAIRS_MAX {
        let cost = |i: usize| {
            let merged = value((pairs[i + 1].0, pairs[i].1), average);
            merged - value(pairs[i], average).max(value(pairs[i + 1], average))
        };
        let cheapest = (0..pairs.len() - 1)
            .min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
            .expect("more than eight pairs");
        pairs[cheapest].0 = pairs[cheapest + 1].0;
        pairs.remove(cheapest + 1);
    }
    pairs.iter().for_each(|&(tf, code)| out.extend([tf, code]));
    pairs.len() as u8
}

fn value((tf, code): (u8, u8), average: f64) -> f64 {
    let tf = f64::from(tf);
    tf / (tf + K1 * (1.0 - B + B * f64::from(code_len(code)) / average))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_down_and_ascend() {
        for len in (0..100_000).chain([1 << 20, u32::MAX]) {
            let back = code_len(len_code(len));
            assert!(back <= len, "{len} became {back}");
            assert!(
                len > 500_000 || f64::from(len - back) <= f64::from(len) / 16.0,
                "{len} became {back}"
            );
        }
        assert!((1..=255u8).all(|code| code_len(code) > code_len(code - 1)));
        assert!((0..=255u8).all(|code| len_code(code_len(code)) == code));
    }

    #[test]
    fn every_document_is_dominated() {
        let tfs: Vec<u32> = (0..128).map(|i| 1 + i * 7 % 40).collect();
        let lens: Vec<u32> = (0..128).map(|i| 20 + i * 13 % 300).collect();
        let mut out = Vec::new();
        let pairs = write(&tfs, lens.iter().copied(), 100.0, &mut out);
        assert!(pairs as usize <= PAIRS_MAX && out.len() == 2 * pairs as usize);
        for (&tf, &len) in tfs.iter().zip(&lens) {
            assert!(out.chunks(2).any(|pair| u32::from(pair[0]) >= tf && code_len(pair[1]) <= len));
        }
    }
}

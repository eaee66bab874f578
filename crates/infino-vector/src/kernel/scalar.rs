//! Every kernel in plain Rust: its definition, and the oracle of the others.

use super::BLOCK_ROWS;

/// Independent sums of a float kernel; part of its definition, since float addition does not associate.
const LANES: usize = 16;

/// For each row of a block, the sum over its code's nibbles of the table entry that the nibble picks.
///
/// `codes` is the block transposed: byte `i` of all `width` rows, then byte `i + 1`; the low nibble of byte `i` looks into
/// entries `32 i..` of `table`, the high one into `32 i + 16..`. Sums of a row stay below 2^16.
pub(crate) fn scan_block(codes: &[u8], width: usize, table: &[u8], sums: &mut [u16; BLOCK_ROWS]) {
    assert!(width > 0 && width <= BLOCK_ROWS && codes.len() / width * 32 == table.len());
    sums.fill(0);
    for (column, entries) in codes.chunks_exact(width).zip(table.chunks_exact(32)) {
        for (sum, &byte) in sums.iter_mut().zip(column) {
            let (low, high) = (byte as usize & 15, byte as usize >> 4);
            *sum += u16::from(entries[low]) + u16::from(entries[16 + high]);
        }
    }
}

/// Inner product.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    sum(a.len(), |i| a[i] * b[i])
}

/// Squared Euclidean distance.
pub(crate) fn l2(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    sum(a.len(), |i| (a[i] - b[i]) * (a[i] - b[i]))
}

/// Inner product of a query with `step` times a 16-bit code, two bytes a dimension, low byte first.
pub(crate) fn dot_sq(query: &[f32], code: &[u8], step: f32) -> f32 {
    assert_eq!(query.len() * 2, code.len(), "two bytes a dimension");
    step * sum(query.len(), |i| query[i] * sq(code, i))
}

/// Squared Euclidean distance of a query from `step` times a 16-bit code.
pub(crate) fn l2_sq(query: &[f32], code: &[u8], step: f32) -> f32 {
    assert_eq!(query.len() * 2, code.len(), "two bytes a dimension");
    sum(query.len(), |i| {
        let difference = query[i] - step * sq(code, i);
        difference * difference
    })
}

/// Inner product of two vectors of bytes.
pub(crate) fn dot_i8(a: &[i8], b: &[u8]) -> i32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b as i8)).sum()
}

fn sq(code: &[u8], i: usize) -> f32 {
    f32::from(i16::from_le_bytes([code[2 * i], code[2 * i + 1]]))
}

#[inline(always)]
fn sum(len: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let whole = len / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(at + lane);
        }
    }
    for i in whole..len {
        sums[i - whole] += term(i);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

//! Every kernel in plain Rust: its definition, and the oracle of the others.

use super::BLOCK_ROWS;

/// Independent sums of a float kernel; part of its definition, since float addition does not associate.
pub(super) const LANES: usize = 32;

/// For each row of a block, the sum over its code's nibbles of the table entry that the nibble picks.
///
/// `codes` is the block transposed: byte `i` of all `width` rows, then byte `i + 1`; the low nibble of byte `i` looks into
/// entries `32 i..` of `table`, the high one into `32 i + 16..`. No entry passes 63, and sums of a row stay below 2^16.
/// `width` is a multiple of 8; sums past it are unspecified.
pub(crate) fn scan_block(codes: &[u8], width: usize, table: &[u8], sums: &mut [u16; BLOCK_ROWS]) {
    check_scan(codes, width, table);
    sums.fill(0);
    for (column, entries) in codes.chunks_exact(width).zip(table.chunks_exact(32)) {
        for (sum, &byte) in sums.iter_mut().zip(column) {
            let (low, high) = (byte as usize & 15, byte as usize >> 4);
            *sum += u16::from(entries[low]) + u16::from(entries[16 + high]);
        }
    }
}

pub(super) fn check_scan(codes: &[u8], width: usize, table: &[u8]) {
    assert!(width > 0 && width.is_multiple_of(8) && width <= BLOCK_ROWS, "a block is 8 to 64 wide");
    assert_eq!(codes.len() * 32, table.len() * width, "32 entries a byte of code");
}

/// What the estimates of a list share for one query; see [`crate::rabitq`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounding {
    pub(crate) base: f32,
    pub(crate) error: f32,
    /// `⟨s, q⟩ = delta (2 sum − total)`.
    pub(crate) delta: f32,
    pub(crate) total: i32,
    /// Rows whose lower bound passes this are of no interest.
    pub(crate) worst: f32,
}

/// For each row of a block, `base + add − mul (⟨s, q⟩ + error)`; bit `i` of the result says that row `i` is of interest.
///
/// `adds` and `muls` are little-endian floats, as many as the block is wide, a multiple of 8; bounds past it are
/// unspecified.
pub(crate) fn lower_bounds(
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    check_bounds(adds, muls);
    let mut mask = 0;
    for (i, (add, mul)) in adds.chunks_exact(4).zip(muls.chunks_exact(4)).enumerate() {
        let (add, mul) = (float(add), float(mul));
        let inner = bounding.delta * (2 * i32::from(sums[i]) - bounding.total) as f32;
        let lower = (bounding.base + add) - mul * (inner + bounding.error);
        lowers[i] = lower;
        mask |= u64::from(lower <= bounding.worst) << i;
    }
    mask
}

pub(super) fn check_bounds(adds: &[u8], muls: &[u8]) {
    assert_eq!(adds.len(), muls.len(), "two factors a row");
    assert!(
        adds.len().is_multiple_of(32) && adds.len() <= 4 * BLOCK_ROWS,
        "a block is 8 to 64 wide"
    );
}

/// Inner product.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    sum(a.len(), |i, sum| a[i].mul_add(b[i], sum))
}

/// Squared Euclidean distance.
pub(crate) fn l2(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    sum(a.len(), |i, sum| {
        let difference = a[i] - b[i];
        difference.mul_add(difference, sum)
    })
}

/// Inner product of a query with `step` times a 16-bit code, two bytes a dimension, low byte first.
pub(crate) fn dot_sq(query: &[f32], code: &[u8], step: f32) -> f32 {
    assert_eq!(query.len() * 2, code.len(), "two bytes a dimension");
    step * sum(query.len(), |i, sum| query[i].mul_add(sq(code, i), sum))
}

/// Squared Euclidean distance of a query from `step` times a 16-bit code.
pub(crate) fn l2_sq(query: &[f32], code: &[u8], step: f32) -> f32 {
    assert_eq!(query.len() * 2, code.len(), "two bytes a dimension");
    sum(query.len(), |i, sum| {
        let difference = (-step).mul_add(sq(code, i), query[i]);
        difference.mul_add(difference, sum)
    })
}

/// Inner product of a query with `step` times a vector of signed bytes.
pub(crate) fn dot_bytes(query: &[f32], bytes: &[u8], step: f32) -> f32 {
    assert_eq!(query.len(), bytes.len(), "vectors of one index share a dimension");
    step * sum(query.len(), |i, sum| query[i].mul_add(f32::from(bytes[i] as i8), sum))
}

/// Squared Euclidean distance of a query from `step` times a vector of signed bytes.
pub(crate) fn l2_bytes(query: &[f32], bytes: &[u8], step: f32) -> f32 {
    assert_eq!(query.len(), bytes.len(), "vectors of one index share a dimension");
    sum(query.len(), |i, sum| {
        let difference = (-step).mul_add(f32::from(bytes[i] as i8), query[i]);
        difference.mul_add(difference, sum)
    })
}

fn sq(code: &[u8], i: usize) -> f32 {
    f32::from(i16::from_le_bytes([code[2 * i], code[2 * i + 1]]))
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("4 bytes"))
}

/// Folds `term` over [`LANES`] sums, index `i` into sum `i % LANES`, and adds these up pairwise.
#[inline(always)]
fn sum(len: usize, term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    for i in 0..len {
        sums[i % LANES] = term(i, sums[i % LANES]);
    }
    halve(&mut sums)
}

/// Adds the upper half to the lower until one is left.
#[inline(always)]
pub(super) fn halve(sums: &mut [f32]) -> f32 {
    let mut width = sums.len() / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Inner products of a query with each of `rows`, vectors of signed bytes that follow each other.
pub(crate) fn dot_i8(query: &[i8], rows: &[u8], out: &mut [i32]) {
    assert_eq!(query.len() * out.len(), rows.len(), "vectors of one index share a dimension");
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *out = query.iter().zip(row).map(|(&a, &b)| i32::from(a) * i32::from(b as i8)).sum();
    }
}

/// Inner product of a query's offset from a centroid, `scale` times `centroid`, with a code of extended RaBitQ: coordinate
/// `i` is `m + ½`, negative where the bit of `signs` is 0, `m` the `i`th number of `b` bits of `code`, `b` bytes for each
/// byte of `signs`.
#[inline(always)]
pub(crate) fn dot_extended(
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    match check_extended(query, centroid, signs, code) {
        1 => extended::<1>(query, centroid, scale, signs, code),
        2 => extended::<2>(query, centroid, scale, signs, code),
        3 => extended::<3>(query, centroid, scale, signs, code),
        4 => extended::<4>(query, centroid, scale, signs, code),
        5 => extended::<5>(query, centroid, scale, signs, code),
        6 => extended::<6>(query, centroid, scale, signs, code),
        _ => extended::<7>(query, centroid, scale, signs, code),
    }
}

/// The bits a dimension of a code.
pub(super) fn check_extended(query: &[f32], centroid: &[u8], signs: &[u8], code: &[u8]) -> usize {
    assert_eq!(query.len(), centroid.len(), "vectors of one index share a dimension");
    assert_eq!(query.len().div_ceil(8), signs.len(), "a bit a dimension");
    let bits = code.len() / signs.len().max(1);
    assert!((1..=7).contains(&bits) && code.len() == bits * signs.len(), "1 to 7 bits more");
    bits
}

#[inline(always)]
fn extended<const BITS: usize>(
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    let mut sums = [0.0f32; LANES];
    let eights =
        query.chunks(8).zip(centroid.chunks(8)).zip(signs.iter().zip(code.chunks_exact(BITS)));
    for (at, ((query, centroid), (&signs, code))) in eights.enumerate() {
        let mut word = [0; 8];
        word[..BITS].copy_from_slice(code);
        let word = u64::from_le_bytes(word);
        let sums = &mut sums[at % (LANES / 8) * 8..][..8];
        let mut term = |i: usize| {
            let level = (word >> (i * BITS)) as u32 & ((1 << BITS) - 1);
            // The sign bit of a float is 1 where that of the code is 0.
            let y =
                f32::from_bits((level as f32 + 0.5).to_bits() ^ (!u32::from(signs) >> i & 1) << 31);
            let offset = (-scale).mul_add(f32::from(centroid[i] as i8), query[i]);
            sums[i] = offset.mul_add(y, sums[i]);
        };
        if query.len() == 8 {
            (0..8).for_each(&mut term);
        } else {
            (0..query.len()).for_each(&mut term);
        }
    }
    halve(&mut sums)
}

/// Bits that differ.
#[inline(always)]
pub(crate) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    assert_eq!(a.len(), b.len(), "vectors of one index share a dimension");
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail = a8.remainder().iter().zip(b8.remainder());
    let word = |x: &[u8]| u64::from_le_bytes(x.try_into().expect("chunks of 8"));
    a8.zip(b8).map(|(a, b)| (word(a) ^ word(b)).count_ones()).sum::<u32>()
        + tail.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>()
}

/// Writes `step` times each number of a 16-bit code, two bytes a dimension, low byte first.
#[inline(always)]
pub(crate) fn floats_of_sq(code: &[u8], step: f32, out: &mut [f32]) {
    assert_eq!(code.len(), 2 * out.len(), "two bytes a dimension");
    for (out, code) in out.iter_mut().zip(code.chunks_exact(2)) {
        *out = step * f32::from(i16::from_le_bytes([code[0], code[1]]));
    }
}

/// Writes the integers nearest to `x / step`, halves to even, −32767 to 32767, two bytes each, low byte first.
#[inline(always)]
pub(crate) fn sq_of_floats(row: &[f32], step: f32, out: &mut [u8]) {
    assert_eq!(2 * row.len(), out.len(), "two bytes a dimension");
    let scale = sq_scale(step);
    for (x, out) in row.iter().zip(out.chunks_exact_mut(2)) {
        let level = (x * scale).round_ties_even().clamp(-32_767.0, 32_767.0);
        out.copy_from_slice(&(level as i16).to_le_bytes());
    }
}

/// What brings a coordinate to steps.
pub(super) fn sq_scale(step: f32) -> f32 {
    if step > 0.0 { (1.0 / step).min(f32::MAX) } else { 0.0 }
}

/// Independent sums of [`signs`].
pub(super) const SIGN_LANES: usize = 16;

/// Writes the signs of `r = row − centroid`, bit `i % 8` of byte `i / 8` set iff coordinate `i` is not negative, and returns
/// `‖r‖₁`, `‖r‖²`, `⟨s, c⟩` and `⟨r, c⟩`, `s` the signs (± 1).
pub(crate) fn signs(row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    assert_eq!(row.len(), centroid.len(), "vectors share a dimension");
    assert_eq!(code.len(), row.len().div_ceil(8), "one bit a dimension");
    code.fill(0);
    let mut sums = [[0.0f32; SIGN_LANES]; 4];
    for (i, (x, c)) in row.iter().zip(centroid).enumerate() {
        let (r, lane) = (x - c, i % SIGN_LANES);
        let positive = r >= 0.0;
        code[i / 8] |= u8::from(positive) << (i % 8);
        sums[0][lane] += r.abs();
        sums[1][lane] = r.mul_add(r, sums[1][lane]);
        sums[2][lane] += if positive { *c } else { -*c };
        sums[3][lane] = r.mul_add(*c, sums[3][lane]);
    }
    sums.map(|mut sums| halve(&mut sums))
}

/// Points of a panel; see [`dot_panels`].
pub(crate) const PANEL: usize = 16;
/// Dimensions of a row in bytes are a multiple of this.
pub(crate) const QUAD: usize = 4;

/// A vector in signed bytes; see [`to_bytes`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rounded {
    pub(crate) step: f32,
    /// Of the bytes.
    pub(crate) sum: i32,
    /// Of their squares.
    pub(crate) squares: i32,
}

/// Writes `row − origin` in signed bytes, zeros past its end: coordinate `i` is about `step` times byte `i`, and the greatest
/// byte is 127 in size.
#[inline(always)]
pub(crate) fn to_bytes(row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded {
    assert_eq!(row.len(), origin.len(), "vectors share a dimension");
    let max = row.iter().zip(origin).fold(0.0f32, |max, (x, o)| max.max((x - o).abs()));
    let (step, inverse) = steps(max);
    let (head, tail) = out.split_at_mut(row.len());
    let (mut sum, mut squares) = (0, 0);
    for ((x, o), out) in row.iter().zip(origin).zip(head) {
        *out = ((x - o) * inverse).round_ties_even() as i8;
        sum += i32::from(*out);
        squares += i32::from(*out) * i32::from(*out);
    }
    tail.fill(0);
    Rounded { step, sum, squares }
}

/// The step of bytes for coordinates up to `max`, and its inverse; zeros if they are too small or too large for one.
pub(super) fn steps(max: f32) -> (f32, f32) {
    let inverse = 127.0 / max;
    if inverse.is_finite() && max.is_finite() { (max / 127.0, inverse) } else { (0.0, 0.0) }
}

/// Inner products of rows of `width` signed bytes, which follow each other, with points of bytes up to 127; those of a row
/// follow each other in `out`.
///
/// Points come in panels of [`PANEL`]: bytes `0..4` of each, then bytes `4..8` of each, and so on; `width` is a multiple of
/// 4.
pub(crate) fn dot_panels(rows: &[i8], width: usize, panels: &[u8], out: &mut [i32]) {
    let points = check_panels(rows, width, panels, out);
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(points)) {
        for (panel, out) in panels.chunks_exact(PANEL * width).zip(out.chunks_exact_mut(PANEL)) {
            out.fill(0);
            for (row, quads) in row.chunks_exact(QUAD).zip(panel.chunks_exact(PANEL * QUAD)) {
                for (out, point) in out.iter_mut().zip(quads.chunks_exact(QUAD)) {
                    let products =
                        row.iter().zip(point).map(|(&a, &b)| i32::from(a) * i32::from(b));
                    *out += products.sum::<i32>();
                }
            }
        }
    }
}

/// The number of points.
pub(super) fn check_panels(rows: &[i8], width: usize, panels: &[u8], out: &[i32]) -> usize {
    assert!(width > 0 && width.is_multiple_of(QUAD), "whole quads");
    assert!(rows.len().is_multiple_of(width), "whole rows");
    assert!(!panels.is_empty() && panels.len().is_multiple_of(PANEL * width), "whole panels");
    let points = panels.len() / width;
    assert_eq!(out.len(), rows.len() / width * points, "one product a pair");
    points
}

/// The Walsh–Hadamard transform without its factor 1 / √len; the length is a power of two from 8.
#[inline(always)]
pub(crate) fn hadamard(x: &mut [f32]) {
    assert!(x.len() >= 8 && x.len().is_power_of_two());
    for eight in x.chunks_exact_mut(8) {
        let v: &mut [f32; 8] = eight.try_into().expect("chunks of 8");
        for step in [1, 2, 4] {
            let mut out = [0.0; 8];
            for i in 0..8 {
                out[i] = if i & step == 0 { v[i] + v[i ^ step] } else { v[i ^ step] - v[i] };
            }
            *v = out;
        }
    }
    let mut step = 8;
    while step < x.len() {
        for pair in x.chunks_exact_mut(2 * step) {
            let (head, tail) = pair.split_at_mut(step);
            for (a, b) in head.iter_mut().zip(tail) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        step *= 2;
    }
}

//! Kernels for CPUs with AVX2, FMA and POPCNT.

use std::arch::x86_64::*;

use super::scalar::{self, Bounding, LANES, TILE_LANES};
use super::{BLOCK_ROWS, scalar::check_bounds, scalar::check_scan, scalar::check_tile};

/// Proof that this CPU has AVX2, FMA and POPCNT; only [`Avx2::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

pub(crate) fn scan_block(
    _: Avx2,
    codes: &[u8],
    width: usize,
    table: &[u8],
    sums: &mut [u16; BLOCK_ROWS],
) {
    check_scan(codes, width, table);
    for at in (0..width).step_by(32) {
        // SAFETY: the `Avx2` argument proves the CPU has it.
        unsafe { scan(codes, width, at, table, &mut sums[at..at + 32]) }
    }
}

/// Scans rows `at..at + 32` of a block, as many of them as it has.
#[target_feature(enable = "avx2")]
fn scan(codes: &[u8], width: usize, at: usize, table: &[u8], sums: &mut [u16]) {
    let nibble = _mm256_set1_epi8(15);
    let (mut all, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let rows = (width - at).min(32);
    for (column, entries) in codes.chunks_exact(width).zip(table.chunks_exact(32)) {
        let bytes = strip(&column[at..at + rows]);
        let low = _mm256_and_si256(bytes, nibble);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
        // SAFETY: `entries` is 32 readable bytes, and `loadu` asks for no alignment.
        let (first, second) = unsafe {
            let at: *const __m128i = entries.as_ptr().cast();
            (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1)))
        };
        let low = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(first), low);
        let high = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(second), high);
        // Even rows are what is left of `all` once 256 times the odd ones are taken away.
        let picked = _mm256_add_epi8(low, high);
        all = _mm256_add_epi16(all, picked);
        odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(picked));
    }
    let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
    let low = _mm256_unpacklo_epi16(even, odd);
    let high = _mm256_unpackhi_epi16(even, odd);
    let sums: &mut [u16; 32] = sums.try_into().expect("a strip is 32 rows");
    let out: *mut __m256i = sums.as_mut_ptr().cast();
    // SAFETY: `sums` is 64 writable bytes, and `storeu` asks for no alignment.
    unsafe {
        _mm256_storeu_si256(out, _mm256_permute2x128_si256::<0x20>(low, high));
        _mm256_storeu_si256(out.add(1), _mm256_permute2x128_si256::<0x31>(low, high));
    }
}

/// 8, 16, 24 or 32 bytes, zeros after them.
#[target_feature(enable = "avx2")]
#[inline]
fn strip(bytes: &[u8]) -> __m256i {
    let at = bytes.as_ptr();
    // SAFETY: each arm reads as many bytes as it names, and neither `loadu` nor `loadl` asks for alignment.
    unsafe {
        match bytes.len() {
            32 => _mm256_loadu_si256(at.cast()),
            24 => _mm256_set_m128i(_mm_loadl_epi64(at.add(16).cast()), _mm_loadu_si128(at.cast())),
            16 => _mm256_zextsi128_si256(_mm_loadu_si128(at.cast())),
            _ => {
                assert_eq!(bytes.len(), 8, "a block is a multiple of 8 wide");
                _mm256_zextsi128_si256(_mm_loadl_epi64(at.cast()))
            }
        }
    }
}

pub(crate) fn lower_bounds(
    _: Avx2,
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    check_bounds(adds, muls);
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { bounds(sums, adds, muls, bounding, lowers) }
}

#[target_feature(enable = "avx2")]
fn bounds(
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    let (base, error) = (_mm256_set1_ps(bounding.base), _mm256_set1_ps(bounding.error));
    let (delta, worst) = (_mm256_set1_ps(bounding.delta), _mm256_set1_ps(bounding.worst));
    let total = _mm256_set1_epi32(bounding.total);
    let mut interest = 0;
    for at in (0..adds.len() / 4).step_by(8) {
        // SAFETY: 8 sums and 8 factors of each kind follow `at`.
        let (sum, add, mul) = unsafe {
            (
                _mm_loadu_si128(sums.as_ptr().add(at).cast()),
                _mm256_loadu_ps(adds.as_ptr().add(4 * at).cast()),
                _mm256_loadu_ps(muls.as_ptr().add(4 * at).cast()),
            )
        };
        let twice = _mm256_slli_epi32::<1>(_mm256_cvtepu16_epi32(sum));
        let inner = _mm256_mul_ps(delta, _mm256_cvtepi32_ps(_mm256_sub_epi32(twice, total)));
        let lower = _mm256_sub_ps(
            _mm256_add_ps(base, add),
            _mm256_mul_ps(mul, _mm256_add_ps(inner, error)),
        );
        // SAFETY: 8 bounds follow `at`.
        unsafe { _mm256_storeu_ps(lowers.as_mut_ptr().add(at), lower) };
        let below = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(lower, worst));
        interest |= (below as u64) << at;
    }
    interest
}

#[target_feature(enable = "avx")]
#[inline]
fn floats(x: &[f32; 8]) -> __m256 {
    // SAFETY: `x` is 32 readable bytes, and `loadu` asks for no alignment.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn codes(code: &[u8; 16]) -> __m256 {
    // SAFETY: `code` is 16 readable bytes, and `loadu` asks for no alignment.
    let codes = unsafe { _mm_loadu_si128(code.as_ptr().cast()) };
    _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(codes))
}

#[target_feature(enable = "avx2")]
#[inline]
fn signed(bytes: &[u8; 8]) -> __m256 {
    // SAFETY: `bytes` is 8 readable bytes, and `loadl` asks for no alignment.
    let bytes = unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) };
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
}

/// Adds up sums of which register `i` holds lanes `8 i..8 i + 8`.
#[target_feature(enable = "avx")]
#[inline]
fn halve<const N: usize>(mut sums: [__m256; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] = _mm256_add_ps(sums[i], sums[i + width]);
        }
        width /= 2;
    }
    let four = _mm_add_ps(_mm256_castps256_ps128(sums[0]), _mm256_extractf128_ps::<1>(sums[0]));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

const REGISTERS: usize = LANES / 8;

macro_rules! folded {
    ($name:ident, $inner:ident, $b:ty, $per:expr, $load:ident, ($($step:ident)?), |$x:ident, $y:ident, $sum:ident| $term:expr, $result:expr) => {
        pub(crate) fn $name(_: Avx2, a: &[f32], b: &[$b] $(, $step: f32)?) -> f32 {
            assert_eq!($per * a.len(), b.len(), "vectors of one index share a dimension");
            // SAFETY: the `Avx2` argument proves the CPU has it.
            unsafe { $inner(a, b $(, $step)?) }
        }

        #[target_feature(enable = "avx2,fma")]
        fn $inner(a: &[f32], b: &[$b] $(, $step: f32)?) -> f32 {
            let mut sums = [_mm256_setzero_ps(); REGISTERS];
            let mut term = |a: &[f32], b: &[$b]| {
                for (i, $sum) in sums.iter_mut().enumerate() {
                    let $x = floats(a[8 * i..][..8].try_into().expect("8 lanes"));
                    let $y = $load(b[$per * 8 * i..][..$per * 8].try_into().expect("8 lanes"));
                    *$sum = $term;
                }
            };
            let (mut whole_a, mut whole_b) = (a.chunks_exact(LANES), b.chunks_exact($per * LANES));
            for (a, b) in (&mut whole_a).zip(&mut whole_b) {
                term(a, b);
            }
            if !whole_a.remainder().is_empty() {
                let (mut tail_a, mut tail_b) = ([0.0; LANES], [<$b>::default(); $per * LANES]);
                tail_a[..whole_a.remainder().len()].copy_from_slice(whole_a.remainder());
                tail_b[..whole_b.remainder().len()].copy_from_slice(whole_b.remainder());
                term(&tail_a, &tail_b);
            }
            $result(halve(sums))
        }
    };
}

folded!(dot, dot_inner, f32, 1, floats, (), |x, y, sum| _mm256_fmadd_ps(x, y, *sum), |sum| sum);
folded!(
    l2,
    l2_inner,
    f32,
    1,
    floats,
    (),
    |x, y, sum| {
        let difference = _mm256_sub_ps(x, y);
        _mm256_fmadd_ps(difference, difference, *sum)
    },
    |sum| sum
);
folded!(
    dot_sq,
    dot_sq_inner,
    u8,
    2,
    codes,
    (step),
    |x, y, sum| _mm256_fmadd_ps(x, y, *sum),
    |sum| step * sum
);
folded!(
    l2_sq,
    l2_sq_inner,
    u8,
    2,
    codes,
    (step),
    |x, y, sum| {
        let difference = _mm256_fnmadd_ps(_mm256_set1_ps(step), y, x);
        _mm256_fmadd_ps(difference, difference, *sum)
    },
    |sum| sum
);

folded!(
    dot_bytes,
    dot_bytes_inner,
    u8,
    1,
    signed,
    (step),
    |x, y, sum| _mm256_fmadd_ps(x, y, *sum),
    |sum| step * sum
);
folded!(
    l2_bytes,
    l2_bytes_inner,
    u8,
    1,
    signed,
    (step),
    |x, y, sum| {
        let difference = _mm256_fnmadd_ps(_mm256_set1_ps(step), y, x);
        _mm256_fmadd_ps(difference, difference, *sum)
    },
    |sum| sum
);

pub(crate) fn dot_i8(_: Avx2, query: &[i8], rows: &[u8], out: &mut [i32]) {
    assert_eq!(query.len() * out.len(), rows.len(), "vectors of one index share a dimension");
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { dot_i8_inner(query, rows, out) }
}

#[target_feature(enable = "avx2")]
fn dot_i8_inner(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let whole = query.len() / 16 * 16;
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        let mut sum = _mm256_setzero_si256();
        for at in (0..whole).step_by(16) {
            // SAFETY: 16 bytes follow `at` in both, and `loadu` asks for no alignment.
            let (a, b) = unsafe {
                (
                    _mm_loadu_si128(query.as_ptr().add(at).cast()),
                    _mm_loadu_si128(row.as_ptr().add(at).cast()),
                )
            };
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
            sum = _mm256_add_epi32(sum, products);
        }
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        let one = _mm_add_epi32(two, _mm_shuffle_epi32::<1>(two));
        let tail = query[whole..].iter().zip(&row[whole..]);
        let tail: i32 = tail.map(|(&a, &b)| i32::from(a) * i32::from(b as i8)).sum();
        *out = _mm_cvtsi128_si32(one) + tail;
    }
}

pub(crate) fn dot_tile(_: Avx2, rows: &[&[f32]], points: &[f32], out: &mut [f32]) {
    let dim = check_tile(rows, points, out);
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { dot_tile_inner(dim, rows, points, out) }
}

#[target_feature(enable = "avx2,fma")]
fn dot_tile_inner(dim: usize, rows: &[&[f32]], points: &[f32], out: &mut [f32]) {
    let width = points.len() / dim;
    for (r, pair) in rows.chunks(2).enumerate() {
        for (p, others) in points.chunks(2 * dim).enumerate() {
            // An odd last row or point is taken twice.
            let point = &others[others.len() - dim..];
            let sums = tile(dim, [pair[0], pair[pair.len() - 1]], [&others[..dim], point]);
            for i in 0..pair.len() {
                for j in 0..others.len() / dim {
                    out[(2 * r + i) * width + 2 * p + j] = sums[i][j];
                }
            }
        }
    }
}

/// The products of two rows with two points.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn tile(dim: usize, rows: [&[f32]; 2], points: [&[f32]; 2]) -> [[f32; 2]; 2] {
    let mut sums = [[[_mm256_setzero_ps(); 2]; 2]; 2];
    let mut add = |at: usize, rows: [&[f32]; 2], points: [&[f32]; 2]| {
        for half in 0..2 {
            let at = at + 8 * half;
            let load = |x: &[f32]| floats(x[at..at + 8].try_into().expect("8 lanes"));
            let points = [load(points[0]), load(points[1])];
            for (sums, row) in sums.iter_mut().zip(rows) {
                let row = load(row);
                for (sum, point) in sums.iter_mut().zip(points) {
                    sum[half] = _mm256_fmadd_ps(row, point, sum[half]);
                }
            }
        }
    };
    let whole = dim / TILE_LANES * TILE_LANES;
    for at in (0..whole).step_by(TILE_LANES) {
        add(at, rows, points);
    }
    if whole < dim {
        let tail = |x: &[f32]| {
            let mut tail = [0.0; TILE_LANES];
            tail[..dim - whole].copy_from_slice(&x[whole..]);
            tail
        };
        let (rows, points) = (rows.map(tail), points.map(tail));
        add(0, [&rows[0], &rows[1]], [&points[0], &points[1]]);
    }
    [[halve(sums[0][0]), halve(sums[0][1])], [halve(sums[1][0]), halve(sums[1][1])]]
}

pub(crate) fn hadamard(_: Avx2, x: &mut [f32]) {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { hadamard_inner(x) }
}

#[target_feature(enable = "avx2")]
fn hadamard_inner(x: &mut [f32]) {
    scalar::hadamard(x);
}

pub(crate) fn dot_extended(
    _: Avx2,
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { dot_extended_inner(query, centroid, scale, signs, code) }
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn dot_extended_inner(
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    scalar::dot_extended(query, centroid, scale, signs, code)
}

pub(crate) fn hamming(_: Avx2, a: &[u8], b: &[u8]) -> u32 {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { hamming_inner(a, b) }
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn hamming_inner(a: &[u8], b: &[u8]) -> u32 {
    scalar::hamming(a, b)
}

//! Kernels for CPUs with AVX-512 (F, BW, VL, VNNI) and POPCNT.

use std::arch::x86_64::*;

use super::avx2::{self, Avx2};
use super::scalar::{self, Bounding, PANEL, QUAD, Rounded};
use super::{BLOCK_ROWS, scalar::check_bounds, scalar::check_panels, scalar::check_scan};

/// Proof that this CPU has what the kernels here need; only [`Avx512::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(Avx2);

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        Avx2::detect().filter(|_| has).map(Self)
    }
}

pub(crate) fn scan_block(
    _: Avx512,
    codes: &[u8],
    width: usize,
    table: &[u8],
    sums: &mut [u16; BLOCK_ROWS],
) {
    check_scan(codes, width, table);
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { scan(codes, width, table, sums) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn scan(codes: &[u8], width: usize, table: &[u8], sums: &mut [u16; BLOCK_ROWS]) {
    let mask = u64::MAX >> (64 - width);
    let nibble = _mm512_set1_epi8(15);
    let (mut all, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut add = |bytes: __m512i| {
        // Even rows are what is left of `all` once 256 times the odd ones are taken away.
        all = _mm512_add_epi16(all, bytes);
        odd = _mm512_add_epi16(odd, _mm512_srli_epi16::<8>(bytes));
    };
    let picked = |column: &[u8], entries: &[u8; 32]| {
        // SAFETY: the mask reads `width` bytes, which a column has.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(mask, column.as_ptr().cast()) };
        let low = _mm512_and_si512(bytes, nibble);
        let high = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble);
        // SAFETY: `entries` is 32 readable bytes, and `loadu` asks for no alignment.
        let (first, second) = unsafe {
            let at: *const __m128i = entries.as_ptr().cast();
            (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1)))
        };
        let low = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(first), low);
        let high = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(second), high);
        _mm512_add_epi8(low, high)
    };
    let mut columns = codes.chunks_exact(2 * width);
    let mut tables = table.chunks_exact(64);
    for (pair, entries) in (&mut columns).zip(&mut tables) {
        let (head, tail) = pair.split_at(width);
        let (first, second) = entries.split_at(32);
        // Four entries of at most 63 fit a byte.
        let head = picked(head, first.try_into().expect("32 of 64"));
        let tail = picked(tail, second.try_into().expect("32 of 64"));
        add(_mm512_add_epi8(head, tail));
    }
    if !columns.remainder().is_empty() {
        let entries = tables.remainder().try_into().expect("check_scan: 32 a column");
        add(picked(columns.remainder(), entries));
    }
    let even = _mm512_sub_epi16(all, _mm512_slli_epi16::<8>(odd));
    let low = _mm512_unpacklo_epi16(even, odd);
    let high = _mm512_unpackhi_epi16(even, odd);
    let first = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high);
    let second =
        _mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high);
    let out: *mut __m512i = sums.as_mut_ptr().cast();
    // SAFETY: `sums` is 128 writable bytes, and `storeu` asks for no alignment.
    unsafe {
        _mm512_storeu_si512(out, first);
        _mm512_storeu_si512(out.add(1), second);
    }
}

pub(crate) fn lower_bounds(
    _: Avx512,
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    check_bounds(adds, muls);
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { bounds(sums, adds, muls, bounding, lowers) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn bounds(
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    let (base, error) = (_mm512_set1_ps(bounding.base), _mm512_set1_ps(bounding.error));
    let (delta, worst) = (_mm512_set1_ps(bounding.delta), _mm512_set1_ps(bounding.worst));
    let total = _mm512_set1_epi32(bounding.total);
    let width = adds.len() / 4;
    let mut interest = 0;
    for at in (0..width).step_by(16) {
        // A block may end with half a register.
        let mask: __mmask16 = if width - at < 16 { 0xff } else { 0xffff };
        // SAFETY: 16 sums follow `at`, and the mask reads no factor past `width`.
        let (sum, add, mul) = unsafe {
            (
                _mm256_loadu_si256(sums.as_ptr().add(at).cast()),
                _mm512_maskz_loadu_ps(mask, adds.as_ptr().add(4 * at).cast()),
                _mm512_maskz_loadu_ps(mask, muls.as_ptr().add(4 * at).cast()),
            )
        };
        let twice = _mm512_slli_epi32::<1>(_mm512_cvtepu16_epi32(sum));
        let inner = _mm512_mul_ps(delta, _mm512_cvtepi32_ps(_mm512_sub_epi32(twice, total)));
        let lower = _mm512_sub_ps(
            _mm512_add_ps(base, add),
            _mm512_mul_ps(mul, _mm512_add_ps(inner, error)),
        );
        // SAFETY: 16 bounds follow `at`.
        unsafe { _mm512_storeu_ps(lowers.as_mut_ptr().add(at), lower) };
        let below = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(mask, lower, worst);
        interest |= u64::from(below) << at;
    }
    interest
}

/// Lanes `at..at + 16` of `x`, zero past its end.
#[target_feature(enable = "avx512f")]
fn floats(x: &[f32], at: usize) -> __m512 {
    let left = x.len().saturating_sub(at);
    let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
    // SAFETY: the mask reads no float past the end.
    unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr().wrapping_add(at)) }
}

/// Codes `at..at + 16` of a 16-bit code as floats, zero past its end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn codes(code: &[u8], at: usize) -> __m512 {
    let left = (code.len() / 2).saturating_sub(at);
    let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
    // SAFETY: the mask reads no code past the end.
    let codes =
        unsafe { _mm256_maskz_loadu_epi16(mask, code.as_ptr().wrapping_add(2 * at).cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(codes))
}

/// Signed bytes `at..at + 16` as floats, zero past the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn signed(bytes: &[u8], at: usize) -> __m512 {
    let left = bytes.len().saturating_sub(at);
    let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
    // SAFETY: the mask reads no byte past the end.
    let bytes = unsafe { _mm_maskz_loadu_epi8(mask, bytes.as_ptr().wrapping_add(at).cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
}

#[target_feature(enable = "avx512f")]
fn halve(sums: __m512) -> f32 {
    let high = _mm512_castpd_ps(_mm512_shuffle_f64x2::<0b1110>(
        _mm512_castps_pd(sums),
        _mm512_castps_pd(sums),
    ));
    let eight = _mm256_add_ps(_mm512_castps512_ps256(sums), _mm512_castps512_ps256(high));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

macro_rules! folded {
    ($name:ident, $inner:ident, ($($arg:ident: $ty:ty),*), $check:expr, $len:expr, |$at:ident, $sum:ident| $term:expr, $result:expr) => {
        pub(crate) fn $name(_: Avx512, $($arg: $ty),*) -> f32 {
            assert_eq!($check.0, $check.1, "vectors of one index share a dimension");
            // SAFETY: the `Avx512` argument proves the CPU has it.
            unsafe { $inner($($arg),*) }
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
        fn $inner($($arg: $ty),*) -> f32 {
            let (mut first, mut second) = (_mm512_setzero_ps(), _mm512_setzero_ps());
            let term = |$at: usize, $sum: __m512| $term;
            for at in (0..$len).step_by(32) {
                first = term(at, first);
                second = term(at + 16, second);
            }
            $result(halve(_mm512_add_ps(first, second)))
        }
    };
}

folded!(dot, dot_inner, (a: &[f32], b: &[f32]), (a.len(), b.len()), a.len(),
    |at, sum| _mm512_fmadd_ps(floats(a, at), floats(b, at), sum), |sum| sum);
folded!(l2, l2_inner, (a: &[f32], b: &[f32]), (a.len(), b.len()), a.len(),
    |at, sum| {
        let difference = _mm512_sub_ps(floats(a, at), floats(b, at));
        _mm512_fmadd_ps(difference, difference, sum)
    }, |sum| sum);
folded!(dot_sq, dot_sq_inner, (query: &[f32], code: &[u8], step: f32), (2 * query.len(), code.len()), query.len(),
    |at, sum| _mm512_fmadd_ps(floats(query, at), codes(code, at), sum), |sum| step * sum);
folded!(l2_sq, l2_sq_inner, (query: &[f32], code: &[u8], step: f32), (2 * query.len(), code.len()), query.len(),
    |at, sum| {
        let difference = _mm512_fnmadd_ps(_mm512_set1_ps(step), codes(code, at), floats(query, at));
        _mm512_fmadd_ps(difference, difference, sum)
    }, |sum| sum);

folded!(
    dot_bytes,
    dot_bytes_inner,
    (query: &[f32], bytes: &[u8], step: f32),
    (query.len(), bytes.len()),
    query.len(),
    |at, sum| _mm512_fmadd_ps(floats(query, at), signed(bytes, at), sum),
    |sum| step * sum
);
folded!(
    l2_bytes,
    l2_bytes_inner,
    (query: &[f32], bytes: &[u8], step: f32),
    (query.len(), bytes.len()),
    query.len(),
    |at, sum| {
        let difference =
            _mm512_fnmadd_ps(_mm512_set1_ps(step), signed(bytes, at), floats(query, at));
        _mm512_fmadd_ps(difference, difference, sum)
    },
    |sum| sum
);

pub(crate) fn dot_i8(_: Avx512, query: &[i8], rows: &[u8], out: &mut [i32]) {
    assert_eq!(query.len() * out.len(), rows.len(), "vectors of one index share a dimension");
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { dot_i8_inner(query, rows, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_i8_inner(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let dim = query.len();
    // The instruction takes one side unsigned, so rows are read 128 too high and the excess is taken off.
    let excess: i32 = 128 * query.iter().map(|&x| i32::from(x)).sum::<i32>();
    let top = _mm512_set1_epi8(-128);
    let load = |bytes: *const u8, at: usize| {
        let left = dim - at;
        let mask = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        // SAFETY: `bytes` begins a vector of `dim` bytes, and the mask reads none past its end.
        unsafe { _mm512_maskz_loadu_epi8(mask, bytes.add(at).cast()) }
    };
    let mut groups = rows.chunks_exact(4 * dim);
    let mut outs = out.chunks_exact_mut(4);
    for (group, out) in (&mut groups).zip(&mut outs) {
        let mut sums = [_mm512_setzero_si512(); 4];
        for at in (0..dim).step_by(64) {
            let query = load(query.as_ptr().cast(), at);
            for (row, sum) in group.chunks_exact(dim).zip(&mut sums) {
                let row = _mm512_xor_si512(load(row.as_ptr(), at), top);
                *sum = _mm512_dpbusd_epi32(*sum, row, query);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = _mm512_reduce_add_epi32(sum) - excess;
        }
    }
    scalar::dot_i8(query, groups.remainder(), outs.into_remainder());
}

pub(crate) fn floats_of_sq(_: Avx512, code: &[u8], step: f32, out: &mut [f32]) {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { floats_of_sq_inner(code, step, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn floats_of_sq_inner(code: &[u8], step: f32, out: &mut [f32]) {
    assert_eq!(code.len(), 2 * out.len(), "two bytes a dimension");
    let each = _mm512_set1_ps(step);
    for at in (0..out.len()).step_by(16) {
        let left = out.len() - at;
        let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
        // SAFETY: the mask writes no float past the end.
        unsafe {
            _mm512_mask_storeu_ps(
                out.as_mut_ptr().add(at),
                mask,
                _mm512_mul_ps(each, codes(code, at)),
            );
        }
    }
}

pub(crate) fn sq_of_floats(_: Avx512, row: &[f32], step: f32, out: &mut [u8]) {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { sq_of_floats_inner(row, step, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn sq_of_floats_inner(row: &[f32], step: f32, out: &mut [u8]) {
    assert_eq!(2 * row.len(), out.len(), "two bytes a dimension");
    let (each, most) = (_mm512_set1_ps(scalar::sq_scale(step)), _mm512_set1_ps(32_767.0));
    let least = _mm512_set1_ps(-32_767.0);
    for at in (0..row.len()).step_by(16) {
        let x = _mm512_mul_ps(floats(row, at), each);
        // Rounds to the nearest, halves to even; what is no number passes for the least.
        let wide = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(x, least), most));
        let left = row.len() - at;
        let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
        // SAFETY: the mask writes no integer past the row's dimension.
        unsafe {
            _mm512_mask_cvtsepi32_storeu_epi16(out.as_mut_ptr().add(2 * at).cast(), mask, wide);
        }
    }
}

pub(crate) fn signs(_: Avx512, row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { signs_inner(row, centroid, code) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn signs_inner(row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    assert_eq!(row.len(), centroid.len(), "vectors share a dimension");
    assert_eq!(code.len(), row.len().div_ceil(8), "one bit a dimension");
    let zero = _mm512_setzero_ps();
    let mut sums = [zero; 4];
    for (i, bytes) in code.chunks_mut(2).enumerate() {
        let at = 16 * i;
        let (x, c) = (floats(row, at), floats(centroid, at));
        let r = _mm512_sub_ps(x, c);
        let left = row.len() - at;
        let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
        let positive = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(r, zero) & mask;
        bytes.copy_from_slice(&positive.to_le_bytes()[..bytes.len()]);
        sums[0] = _mm512_add_ps(sums[0], _mm512_abs_ps(r));
        sums[1] = _mm512_fmadd_ps(r, r, sums[1]);
        let signed = _mm512_mask_sub_ps(c, !positive, zero, c);
        sums[2] = _mm512_add_ps(sums[2], signed);
        sums[3] = _mm512_fmadd_ps(r, c, sums[3]);
    }
    sums.map(|sum| halve(sum))
}

pub(crate) fn to_bytes(_: Avx512, row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { to_bytes_inner(row, origin, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn to_bytes_inner(row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded {
    assert_eq!(row.len(), origin.len(), "vectors share a dimension");
    assert!(out.len() >= row.len(), "a byte a dimension");
    let mut max = _mm512_setzero_ps();
    for at in (0..row.len()).step_by(16) {
        max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_sub_ps(floats(row, at), floats(origin, at))));
    }
    let (step, inverse) = scalar::steps(_mm512_reduce_max_ps(max));
    let each = _mm512_set1_ps(inverse);
    let (mut sums, mut squares) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let low = _mm512_set1_epi32(0xffff);
    for at in (0..row.len()).step_by(16) {
        let offset = _mm512_sub_ps(floats(row, at), floats(origin, at));
        // Rounds to the nearest, halves to even.
        let wide = _mm512_cvtps_epi32(_mm512_mul_ps(offset, each));
        sums = _mm512_add_epi32(sums, wide);
        let halved = _mm512_and_si512(wide, low);
        squares = _mm512_add_epi32(squares, _mm512_madd_epi16(halved, halved));
        let left = row.len() - at;
        let mask = if left >= 16 { 0xffff } else { (1u16 << left) - 1 };
        // SAFETY: the mask writes no byte past the row's dimension, which `out` holds.
        unsafe { _mm512_mask_cvtepi32_storeu_epi8(out.as_mut_ptr().add(at).cast(), mask, wide) };
    }
    out[row.len()..].fill(0);
    let (sum, squares) = (_mm512_reduce_add_epi32(sums), _mm512_reduce_add_epi32(squares));
    Rounded { step, sum, squares }
}

pub(crate) fn dot_panels(_: Avx512, rows: &[i8], width: usize, panels: &[u8], out: &mut [i32]) {
    let points = check_panels(rows, width, panels, out);
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { dot_panels_inner(rows, width, panels, out, points) }
}

/// Rows whose products with two panels are summed at once.
const STRIP: usize = 8;

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_panels_inner(rows: &[i8], width: usize, panels: &[u8], out: &mut [i32], points: usize) {
    for (p, pair) in panels.chunks(2 * PANEL * width).enumerate() {
        // An odd last panel is taken twice.
        let (first, second) = (&pair[..PANEL * width], &pair[pair.len() - PANEL * width..]);
        for (rows, out) in rows.chunks(STRIP * width).zip(out.chunks_mut(STRIP * points)) {
            // Rows past the last are the first once more.
            let row =
                |i: usize| if i * width < rows.len() { &rows[i * width..][..width] } else { rows };
            let sums = strip(std::array::from_fn(row), [first, second]);
            for (out, sums) in out.chunks_exact_mut(points).zip(sums) {
                for (out, sum) in out[2 * p * PANEL..].chunks_exact_mut(PANEL).zip(sums) {
                    // SAFETY: `out` is 64 writable bytes, and `storeu` asks for no alignment.
                    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
                }
            }
        }
    }
}

/// Products of some rows with the points of two panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn strip(rows: [&[i8]; STRIP], panels: [&[u8]; 2]) -> [[__m512i; 2]; STRIP] {
    let mut sums = [[_mm512_setzero_si512(); 2]; STRIP];
    let width = panels[0].len() / PANEL;
    let (rows, panels) =
        (rows.map(|row| &row[..width]), panels.map(|panel| &panel[..PANEL * width]));
    for at in (0..width / QUAD * QUAD).step_by(QUAD) {
        // SAFETY: a panel holds 64 bytes for the four dimensions at `at`, and `loadu` asks for no alignment.
        let points = panels
            .map(|panel| unsafe { _mm512_loadu_si512(panel.as_ptr().add(PANEL * at).cast()) });
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: a row holds four bytes at `at`.
            let quad = unsafe { row.as_ptr().add(at).cast::<i32>().read_unaligned() };
            let quad = _mm512_set1_epi32(quad);
            for (sum, points) in sums.iter_mut().zip(points) {
                *sum = _mm512_dpbusd_epi32(*sum, points, quad);
            }
        }
    }
    sums
}

pub(crate) fn hadamard(_: Avx512, x: &mut [f32]) {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { hadamard_inner(x) }
}

#[target_feature(enable = "avx512f,avx512vl")]
fn hadamard_inner(x: &mut [f32]) {
    scalar::hadamard(x);
}

pub(crate) fn dot_extended(
    Avx512(avx2): Avx512,
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    avx2::dot_extended(avx2, query, centroid, scale, signs, code)
}

pub(crate) fn hamming(_: Avx512, a: &[u8], b: &[u8]) -> u32 {
    // SAFETY: the `Avx512` argument proves the CPU has it.
    unsafe { hamming_inner(a, b) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma,popcnt")]
fn hamming_inner(a: &[u8], b: &[u8]) -> u32 {
    scalar::hamming(a, b)
}

//! Kernels for CPUs with AVX2, FMA, BMI2 and POPCNT.

use std::arch::x86_64::*;

use super::scalar::{self, Bounding, LANES, PANEL, QUAD, Rounded, SIGN_LANES};
use super::{BLOCK_ROWS, scalar::check_bounds, scalar::check_panels, scalar::check_scan};

/// Proof that this CPU has AVX2, FMA, BMI2 and POPCNT; only [`Avx2::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi2")
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

pub(crate) fn floats_of_sq(_: Avx2, code: &[u8], step: f32, out: &mut [f32]) {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { floats_of_sq_inner(code, step, out) }
}

#[target_feature(enable = "avx2")]
fn floats_of_sq_inner(code: &[u8], step: f32, out: &mut [f32]) {
    scalar::floats_of_sq(code, step, out);
}

pub(crate) fn sq_of_floats(_: Avx2, row: &[f32], step: f32, out: &mut [u8]) {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { sq_of_floats_inner(row, step, out) }
}

#[target_feature(enable = "avx2")]
fn sq_of_floats_inner(row: &[f32], step: f32, out: &mut [u8]) {
    assert_eq!(2 * row.len(), out.len(), "two bytes a dimension");
    let (each, most) = (_mm256_set1_ps(scalar::sq_scale(step)), _mm256_set1_ps(32_767.0));
    let least = _mm256_set1_ps(-32_767.0);
    let whole = row.len() / 8 * 8;
    for (x, out) in row.chunks_exact(8).zip(out.chunks_exact_mut(16)) {
        let x = _mm256_mul_ps(floats(x.try_into().expect("chunks of 8")), each);
        // Rounds to the nearest, halves to even; what is no number passes for the least.
        let wide = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(x, least), most));
        let halves =
            _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
        // SAFETY: `out` is 16 writable bytes, and `storeu` asks for no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), halves) };
    }
    scalar::sq_of_floats(&row[whole..], step, &mut out[2 * whole..]);
}

pub(crate) fn signs(_: Avx2, row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { signs_inner(row, centroid, code) }
}

#[target_feature(enable = "avx2,fma")]
fn signs_inner(row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    assert_eq!(row.len(), centroid.len(), "vectors share a dimension");
    assert_eq!(code.len(), row.len().div_ceil(8), "one bit a dimension");
    let size = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    let minus = _mm256_set1_ps(-0.0);
    let zero = _mm256_setzero_ps();
    let mut sums = [[zero; SIGN_LANES / 8]; 4];
    for (i, byte) in code.iter_mut().enumerate() {
        let (row, centroid) = (&row[8 * i..], &centroid[8 * i..]);
        let (mut x, mut c) = ([0.0; 8], [0.0; 8]);
        let here = row.len().min(8);
        x[..here].copy_from_slice(&row[..here]);
        c[..here].copy_from_slice(&centroid[..here]);
        let (x, c) = (floats(&x), floats(&c));
        let r = _mm256_sub_ps(x, c);
        let positive = _mm256_cmp_ps::<_CMP_GE_OQ>(r, zero);
        *byte = _mm256_movemask_ps(positive) as u8 & (0xff >> (8 - here));
        let half = i % (SIGN_LANES / 8);
        sums[0][half] = _mm256_add_ps(sums[0][half], _mm256_and_ps(size, r));
        sums[1][half] = _mm256_fmadd_ps(r, r, sums[1][half]);
        let signed = _mm256_xor_ps(c, _mm256_andnot_ps(positive, minus));
        sums[2][half] = _mm256_add_ps(sums[2][half], signed);
        sums[3][half] = _mm256_fmadd_ps(r, c, sums[3][half]);
    }
    [halve(sums[0]), halve(sums[1]), halve(sums[2]), halve(sums[3])]
}

pub(crate) fn to_bytes(_: Avx2, row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { to_bytes_inner(row, origin, out) }
}

#[target_feature(enable = "avx2")]
fn to_bytes_inner(row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded {
    assert_eq!(row.len(), origin.len(), "vectors share a dimension");
    let (row8, origin8) = (row.chunks_exact(8), origin.chunks_exact(8));
    let tail = row8.remainder().iter().zip(origin8.remainder());
    let size = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    let load = |x: &[f32]| floats(x.try_into().expect("chunks of 8"));
    let max = row8.clone().zip(origin8.clone()).fold(_mm256_setzero_ps(), |max, (x, o)| {
        _mm256_max_ps(max, _mm256_and_ps(size, _mm256_sub_ps(load(x), load(o))))
    });
    let mut lanes = [0.0; 8];
    // SAFETY: `lanes` is 32 writable bytes, and `storeu` asks for no alignment.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), max) };
    let max = lanes.into_iter().chain(tail.map(|(x, o)| (x - o).abs())).fold(0.0, f32::max);
    let (step, inverse) = scalar::steps(max);
    let each = _mm256_set1_ps(inverse);
    let whole = row.len() / 8 * 8;
    let (mut sums, mut squares) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    let low = _mm256_set1_epi32(0xffff);
    for ((x, o), out) in row8.zip(origin8).zip(out.chunks_exact_mut(8)) {
        // Rounds to the nearest, halves to even.
        let wide = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(load(x), load(o)), each));
        sums = _mm256_add_epi32(sums, wide);
        let halved = _mm256_and_si256(wide, low);
        squares = _mm256_add_epi32(squares, _mm256_madd_epi16(halved, halved));
        let halves =
            _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
        let out: &mut [i8; 8] = out.try_into().expect("chunks of 8");
        // SAFETY: `out` is 8 writable bytes, and `storel` asks for no alignment.
        unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_packs_epi16(halves, halves)) };
    }
    let (mut sum, mut squares) = (add_up(sums), add_up(squares));
    for ((x, o), out) in row[whole..].iter().zip(&origin[whole..]).zip(&mut out[whole..]) {
        *out = ((x - o) * inverse).round_ties_even() as i8;
        sum += i32::from(*out);
        squares += i32::from(*out) * i32::from(*out);
    }
    out[row.len()..].fill(0);
    Rounded { step, sum, squares }
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_up(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}

pub(crate) fn dot_panels(_: Avx2, rows: &[i8], width: usize, panels: &[u8], out: &mut [i32]) {
    let points = check_panels(rows, width, panels, out);
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { dot_panels_inner(rows, width, panels, out, points) }
}

#[target_feature(enable = "avx2")]
fn dot_panels_inner(rows: &[i8], width: usize, panels: &[u8], out: &mut [i32], points: usize) {
    for (p, panel) in panels.chunks_exact(PANEL * width).enumerate() {
        for (rows, out) in rows.chunks(4 * width).zip(out.chunks_mut(4 * points)) {
            // Rows past the last are the first once more.
            let row =
                |i: usize| if i * width < rows.len() { &rows[i * width..][..width] } else { rows };
            let sums = panel_of_four([row(0), row(1), row(2), row(3)], panel);
            for (out, sums) in out.chunks_exact_mut(points).zip(sums) {
                let out: &mut [i32] = &mut out[p * PANEL..][..PANEL];
                let out: *mut __m256i = out.as_mut_ptr().cast();
                // SAFETY: 16 integers follow `out`, and `storeu` asks for no alignment.
                unsafe {
                    _mm256_storeu_si256(out, sums[0]);
                    _mm256_storeu_si256(out.add(1), sums[1]);
                }
            }
        }
    }
}

/// Products of four rows with the points of a panel.
#[target_feature(enable = "avx2")]
#[inline]
fn panel_of_four(rows: [&[i8]; 4], panel: &[u8]) -> [[__m256i; 2]; 4] {
    let mut sums = [[_mm256_setzero_si256(); 2]; 4];
    let ones = _mm256_set1_epi16(1);
    for (q, quads) in panel.chunks_exact(PANEL * QUAD).enumerate() {
        let at: *const __m256i = quads.as_ptr().cast();
        // SAFETY: `quads` is 64 readable bytes, and `loadu` asks for no alignment.
        let points = unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] };
        for (row, sums) in rows.iter().zip(&mut sums) {
            let quad = row[q * QUAD..][..QUAD].as_ptr().cast::<i32>();
            // SAFETY: 4 bytes follow `quad`.
            let quad = _mm256_set1_epi32(unsafe { quad.read_unaligned() });
            for (sum, points) in sums.iter_mut().zip(points) {
                // Two products of at most 127 times 127 fit 16 bits.
                let pairs = _mm256_maddubs_epi16(points, quad);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    sums
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
    let bits = scalar::check_extended(query, centroid, signs, code);
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { dot_extended_inner(query, centroid, scale, signs, code, bits) }
}

#[target_feature(enable = "avx2,fma,bmi2")]
fn dot_extended_inner(
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
    bits: usize,
) -> f32 {
    let mut sums = [_mm256_setzero_ps(); REGISTERS];
    // A level in each byte.
    let spread = 0x0101_0101_0101_0101 * ((1u64 << bits) - 1);
    let (step, half) = (_mm256_set1_ps(scale), _mm256_set1_ps(0.5));
    let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    let eights = query.chunks(8).zip(centroid.chunks(8));
    let codes = signs.iter().zip(code.chunks_exact(bits));
    for (at, ((query, centroid), (&signs, code))) in eights.zip(codes).enumerate() {
        let (mut q, mut c, mut word) = ([0.0; 8], [0; 8], [0; 8]);
        // Zeros past the end add nothing.
        if let (Ok(query), Ok(centroid)) = (query.try_into(), centroid.try_into()) {
            (q, c) = (query, centroid);
        } else {
            q[..query.len()].copy_from_slice(query);
            c[..centroid.len()].copy_from_slice(centroid);
        }
        for (byte, &code) in word.iter_mut().zip(code) {
            *byte = code;
        }
        let levels = _pdep_u64(u64::from_le_bytes(word), spread) as i64;
        let levels = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(levels));
        let set = _mm256_and_si256(_mm256_set1_epi32(i32::from(signs)), each);
        let negative = _mm256_slli_epi32::<31>(_mm256_cmpeq_epi32(set, _mm256_setzero_si256()));
        let y = _mm256_add_ps(_mm256_cvtepi32_ps(levels), half);
        let y = _mm256_xor_ps(y, _mm256_castsi256_ps(negative));
        let offset = _mm256_fnmadd_ps(step, signed(&c), floats(&q));
        let sum = &mut sums[at % REGISTERS];
        *sum = _mm256_fmadd_ps(offset, y, *sum);
    }
    let mut lanes = [0.0; LANES];
    for (lanes, sum) in lanes.chunks_exact_mut(8).zip(sums) {
        // SAFETY: 8 writable floats, and `storeu` asks for no alignment.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
    }
    scalar::halve(&mut lanes)
}

pub(crate) fn hamming(_: Avx2, a: &[u8], b: &[u8]) -> u32 {
    // SAFETY: the `Avx2` argument proves the CPU has it.
    unsafe { hamming_inner(a, b) }
}

#[target_feature(enable = "avx2,fma,popcnt")]
fn hamming_inner(a: &[u8], b: &[u8]) -> u32 {
    scalar::hamming(a, b)
}

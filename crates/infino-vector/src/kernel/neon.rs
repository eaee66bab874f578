//! Kernels for 64-bit ARM CPUs.

use std::arch::aarch64::*;

use super::scalar::{self, Bounding};
use super::{BLOCK_ROWS, scalar::check_scan};

/// Proof that this CPU has NEON; only [`Neon::detect`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

pub(crate) fn scan_block(
    _: Neon,
    codes: &[u8],
    width: usize,
    table: &[u8],
    sums: &mut [u16; BLOCK_ROWS],
) {
    check_scan(codes, width, table);
    for at in (0..width).step_by(8) {
        // SAFETY: the `Neon` argument proves the CPU has it.
        unsafe { scan(codes, width, at, table, &mut sums[at..at + 8]) }
    }
}

/// Scans rows `at..at + 8` of a block.
#[target_feature(enable = "neon")]
fn scan(codes: &[u8], width: usize, at: usize, table: &[u8], sums: &mut [u16]) {
    let mut sum = vdupq_n_u16(0);
    for (column, entries) in codes.chunks_exact(width).zip(table.chunks_exact(32)) {
        let column: &[u8; 8] = column[at..at + 8].try_into().expect("8 of a column");
        // SAFETY: `column` is 8 readable bytes and `entries` 32.
        let (bytes, first, second) = unsafe {
            let at = entries.as_ptr();
            (vld1_u8(column.as_ptr()), vld1q_u8(at), vld1q_u8(at.add(16)))
        };
        let low = vqtbl1_u8(first, vand_u8(bytes, vdup_n_u8(15)));
        let high = vqtbl1_u8(second, vshr_n_u8::<4>(bytes));
        sum = vaddw_u8(sum, vadd_u8(low, high));
    }
    let sums: &mut [u16; 8] = sums.try_into().expect("8 rows");
    // SAFETY: `sums` is 16 writable bytes.
    unsafe { vst1q_u16(sums.as_mut_ptr(), sum) };
}

pub(crate) fn dot_i8(_: Neon, query: &[i8], rows: &[u8], out: &mut [i32]) {
    assert_eq!(query.len() * out.len(), rows.len(), "vectors of one index share a dimension");
    // SAFETY: the `Neon` argument proves the CPU has it.
    unsafe { dot_i8_inner(query, rows, out) }
}

#[target_feature(enable = "neon")]
fn dot_i8_inner(query: &[i8], rows: &[u8], out: &mut [i32]) {
    let whole = query.len() / 8 * 8;
    for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        let mut sum = vdupq_n_s32(0);
        for at in (0..whole).step_by(8) {
            // SAFETY: 8 bytes follow `at` in both.
            let (a, b) =
                unsafe { (vld1_s8(query.as_ptr().add(at)), vld1_s8(row.as_ptr().add(at).cast())) };
            sum = vpadalq_s16(sum, vmull_s8(a, b));
        }
        let tail = query[whole..].iter().zip(&row[whole..]);
        let tail: i32 = tail.map(|(&a, &b)| i32::from(a) * i32::from(b as i8)).sum();
        *out = vaddvq_s32(sum) + tail;
    }
}

// Fused multiply-add and four float lanes are part of the base instruction set, so the compiler vectorises what the
// scalar definitions spell out lane by lane.
pub(crate) fn lower_bounds(
    _: Neon,
    sums: &[u16; BLOCK_ROWS],
    adds: &[u8],
    muls: &[u8],
    bounding: &Bounding,
    lowers: &mut [f32; BLOCK_ROWS],
) -> u64 {
    scalar::lower_bounds(sums, adds, muls, bounding, lowers)
}

pub(crate) fn dot(_: Neon, a: &[f32], b: &[f32]) -> f32 {
    scalar::dot(a, b)
}

pub(crate) fn l2(_: Neon, a: &[f32], b: &[f32]) -> f32 {
    scalar::l2(a, b)
}

pub(crate) fn dot_sq(_: Neon, query: &[f32], code: &[u8], step: f32) -> f32 {
    scalar::dot_sq(query, code, step)
}

pub(crate) fn l2_sq(_: Neon, query: &[f32], code: &[u8], step: f32) -> f32 {
    scalar::l2_sq(query, code, step)
}

pub(crate) fn dot_bytes(_: Neon, query: &[f32], bytes: &[u8], step: f32) -> f32 {
    scalar::dot_bytes(query, bytes, step)
}

pub(crate) fn l2_bytes(_: Neon, query: &[f32], bytes: &[u8], step: f32) -> f32 {
    scalar::l2_bytes(query, bytes, step)
}

pub(crate) fn floats_of_sq(_: Neon, code: &[u8], step: f32, out: &mut [f32]) {
    scalar::floats_of_sq(code, step, out);
}

pub(crate) fn sq_of_floats(_: Neon, row: &[f32], step: f32, out: &mut [u8]) {
    scalar::sq_of_floats(row, step, out);
}

pub(crate) fn signs(_: Neon, row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4] {
    scalar::signs(row, centroid, code)
}

pub(crate) fn to_bytes(_: Neon, row: &[f32], origin: &[f32], out: &mut [i8]) -> scalar::Rounded {
    scalar::to_bytes(row, origin, out)
}

pub(crate) fn dot_panels(_: Neon, rows: &[i8], width: usize, panels: &[u8], out: &mut [i32]) {
    scalar::dot_panels(rows, width, panels, out);
}

pub(crate) fn hadamard(_: Neon, x: &mut [f32]) {
    scalar::hadamard(x);
}

pub(crate) fn dot_extended(
    _: Neon,
    query: &[f32],
    centroid: &[u8],
    scale: f32,
    signs: &[u8],
    code: &[u8],
) -> f32 {
    scalar::dot_extended(query, centroid, scale, signs, code)
}

pub(crate) fn hamming(_: Neon, a: &[u8], b: &[u8]) -> u32 {
    scalar::hamming(a, b)
}

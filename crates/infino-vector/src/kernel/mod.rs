//! The loops that a search and a build spend their time in.
//!
//! [`scalar`] defines each of them; the others give the same result bit for bit, float sums included, so that neither an
//! index nor an answer depends on the machine. The widest that the CPU has is chosen at each call.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use scalar::{Bounding, PANEL, QUAD, Rounded};

/// Rows of a full block of codes.
pub(crate) const BLOCK_ROWS: usize = 64;

macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)?) => {
        $(#[$doc])*
        pub(crate) fn $name($($arg: $ty),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(cpu) = avx512::Avx512::detect() {
                    return avx512::$name(cpu, $($arg),*);
                }
                if let Some(cpu) = avx2::Avx2::detect() {
                    return avx2::$name(cpu, $($arg),*);
                }
            }
            #[cfg(target_arch = "aarch64")]
            if let Some(cpu) = neon::Neon::detect() {
                return neon::$name(cpu, $($arg),*);
            }
            scalar::$name($($arg),*)
        }
    };
}

dispatch! {
    /// See [`scalar::scan_block`].
    scan_block(codes: &[u8], width: usize, table: &[u8], sums: &mut [u16; BLOCK_ROWS])
}
dispatch! {
    /// See [`scalar::lower_bounds`].
    lower_bounds(
        sums: &[u16; BLOCK_ROWS], adds: &[u8], muls: &[u8], bounding: &Bounding, lowers: &mut [f32; BLOCK_ROWS]
    ) -> u64
}
dispatch! {
    /// See [`scalar::dot`].
    dot(a: &[f32], b: &[f32]) -> f32
}
dispatch! {
    /// See [`scalar::l2`].
    l2(a: &[f32], b: &[f32]) -> f32
}
dispatch! {
    /// See [`scalar::dot_sq`].
    dot_sq(query: &[f32], code: &[u8], step: f32) -> f32
}
dispatch! {
    /// See [`scalar::l2_sq`].
    l2_sq(query: &[f32], code: &[u8], step: f32) -> f32
}
dispatch! {
    /// See [`scalar::dot_bytes`].
    dot_bytes(query: &[f32], bytes: &[u8], step: f32) -> f32
}
dispatch! {
    /// See [`scalar::l2_bytes`].
    l2_bytes(query: &[f32], bytes: &[u8], step: f32) -> f32
}
dispatch! {
    /// See [`scalar::dot_i8`].
    dot_i8(query: &[i8], rows: &[u8], out: &mut [i32])
}
dispatch! {
    /// See [`scalar::dot_extended`].
    dot_extended(query: &[f32], centroid: &[u8], scale: f32, signs: &[u8], code: &[u8]) -> f32
}
dispatch! {
    /// See [`scalar::hamming`].
    hamming(a: &[u8], b: &[u8]) -> u32
}
dispatch! {
    /// See [`scalar::to_bytes`].
    to_bytes(row: &[f32], origin: &[f32], out: &mut [i8]) -> Rounded
}
dispatch! {
    /// See [`scalar::floats_of_sq`].
    floats_of_sq(code: &[u8], step: f32, out: &mut [f32])
}
dispatch! {
    /// See [`scalar::sq_of_floats`].
    sq_of_floats(row: &[f32], step: f32, out: &mut [u8])
}
dispatch! {
    /// See [`scalar::signs`].
    signs(row: &[f32], centroid: &[f32], code: &mut [u8]) -> [f32; 4]
}
dispatch! {
    /// See [`scalar::dot_panels`].
    dot_panels(rows: &[i8], width: usize, panels: &[u8], out: &mut [i32])
}
dispatch! {
    /// See [`scalar::hadamard`].
    hadamard(x: &mut [f32])
}

/// Starts to bring `bytes` near; a hint without effect on any result.
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing, and every x86-64 CPU has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

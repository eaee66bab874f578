//! Loops over blocks of 128 numbers, in several builds: for any machine, and for those with AVX2, BMI2 or AVX-512.
//!
//! The portable loop is the definition; the other builds are the same source under `#[target_feature]`, or tested against it, so
//! that all give the same bits. The choice is made at run time.
#![allow(unsafe_code)]

pub(crate) mod bits;
pub(crate) mod elias_fano;
pub(crate) mod find;
pub(crate) mod pack;
pub(crate) mod planes;
pub(crate) mod rice;
pub(crate) mod score;

/// Whether this machine has AVX2.
#[inline(always)]
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Whether this machine moves the bytes that a mask picks together in one step, and has the rest of AVX-512 that goes with it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn has_vbmi2() -> bool {
    std::is_x86_feature_detected!("avx512vbmi2")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vl")
        && has_bmi2()
}

/// Whether this machine counts and picks bits in one step.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn has_bmi2() -> bool {
    std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("popcnt")
}

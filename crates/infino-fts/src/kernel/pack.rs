//! Bit packing: blocks of 128 numbers in four interleaved lanes, and plain streams for what does not fill a block.
//!
//! In a block of width `w`, number `i` is in lane `i % 4` at row `i / 4`; a lane holds its 32 numbers one after the other,
//! low bits first, in `w` little-endian words, and word `j` of lane `l` is word `4 * j + l` of the block. So four numbers
//! unpack with the same shifts, whatever the vector length of the machine. A stream is numbers of `w` bits one after
//! the other, low bits first, up to the next whole byte.

use super::planes;

/// Numbers in a block.
pub(crate) const BLOCK_LEN: usize = 128;

/// Bits of the widest of `values`.
pub(crate) fn width(values: &[u32]) -> u8 {
    (32 - values.iter().fold(0, |all, &value| all | value).leading_zeros()) as u8
}

/// Bytes of a packed block of `width`.
pub(crate) const fn block_bytes(width: u8) -> usize {
    16 * width as usize
}

/// Bytes of a stream of `len` numbers of `width`.
pub(crate) const fn stream_bytes(len: usize, width: u8) -> usize {
    (len * width as usize).div_ceil(8)
}

/// Appends `values`, each below 2^`width`.
pub(crate) fn pack(values: &[u32; BLOCK_LEN], width: u8, out: &mut Vec<u8>) {
    let w = width as usize;
    let mut words = [0u32; BLOCK_LEN];
    for (i, &value) in values.iter().enumerate() {
        let (lane, bit) = (i % 4, i / 4 * w);
        let (word, shift) = (bit / 32, bit % 32);
        if w == 0 {
            break;
        }
        words[4 * word + lane] |= value << shift;
        if shift + w > 32 {
            words[4 * (word + 1) + lane] |= value >> (32 - shift);
        }
    }
    words[..4 * w].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// Reads a block of `width` bits.
///
/// # Panics
/// If `bytes` is shorter than the block or `width` above 32.
#[inline]
pub(crate) fn unpack(bytes: &[u8], width: u8, out: &mut [u32; BLOCK_LEN]) {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the CPU has AVX2.
        return unsafe { unpack_avx2(bytes, width, out) };
    }
    unpack_any(bytes, width, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn unpack_avx2(bytes: &[u8], width: u8, out: &mut [u32; BLOCK_LEN]) {
    unpack_any(bytes, width, out);
}

#[inline(always)]
fn unpack_any(bytes: &[u8], width: u8, out: &mut [u32; BLOCK_LEN]) {
    macro_rules! widths {
        ($($w:literal)*) => {
            match width {
                0 => out.fill(0),
                $($w => unpack_width::<$w>(bytes, out),)*
                _ => panic!("a width of {width} bits"),
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

#[inline(always)]
fn unpack_width<const W: usize>(bytes: &[u8], out: &mut [u32; BLOCK_LEN]) {
    let bytes = &bytes[..16 * W];
    let lanes = |word: usize| -> [u32; 4] {
        let at = 16 * word;
        std::array::from_fn(|lane| {
            let at = at + 4 * lane;
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
        })
    };
    let mask = (u64::MAX >> (64 - W)) as u32;
    let mut row = 0;
    while row < 32 {
        let bit = row * W;
        let (word, shift) = (bit / 32, bit % 32);
        let low = lanes(word);
        let high = if shift + W > 32 { lanes(word + 1) } else { [0; 4] };
        for lane in 0..4 {
            let mut value = low[lane] >> shift;
            if shift + W > 32 {
                value |= high[lane] << (32 - shift);
            }
            out[4 * row + lane] = value & mask;
        }
        row += 1;
    }
}

/// Numbers of a patched block that may be wider than the rest.
const PATCHES_MAX: usize = 6;
/// Bits by which they may be wider.
const PATCH_BITS: u8 = 8;
/// Widths from 0 to 32.
const WIDTHS: u8 = 33;

/// The first code of a block of [`planes`], one per size.
pub(crate) const PLANES: u8 = (PATCHES_MAX as u8 + 1) * WIDTHS;

/// Bytes of a block by its code: patched ones, then planes; 0 where there is none.
pub(crate) const CODE_BYTES: [u16; 256] = {
    let mut bytes = [0; 256];
    let mut code = 0;
    while code < (PATCHES_MAX + 1) * WIDTHS as usize {
        bytes[code] = (16 * (code % WIDTHS as usize) + 2 * (code / WIDTHS as usize)) as u16;
        code += 1;
    }
    let mut i = 0;
    while i < planes::SIZES {
        bytes[PLANES as usize + i] = planes::size(i) as u16;
        i += 1;
    }
    bytes
};

/// A width below which most numbers of a block stay, and how many do not; as a byte `width + 33 * patches`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patched {
    width: u8,
    patches: u8,
}

impl Patched {
    /// What makes `values` smallest.
    pub(crate) fn best(values: &[u32; BLOCK_LEN]) -> Self {
        let mut counts = [0u8; WIDTHS as usize];
        values.iter().for_each(|value| counts[32 - value.leading_zeros() as usize] += 1);
        let widest = counts.iter().rposition(|&count| count > 0).unwrap_or(0) as u8;
        let (mut best, mut above) = (Self { width: widest, patches: 0 }, 0);
        for width in (widest.saturating_sub(PATCH_BITS)..widest).rev() {
            above += usize::from(counts[width as usize + 1]);
            if above > PATCHES_MAX {
                break;
            }
            let narrow = Self { width, patches: above as u8 };
            if narrow.bytes() < best.bytes() {
                best = narrow;
            }
        }
        best
    }

    /// Reads [`Patched::code`]; `None` if it is none.
    #[inline]
    pub(crate) fn read(code: u8) -> Option<Self> {
        let (width, patches) = (code % WIDTHS, code / WIDTHS);
        (usize::from(patches) <= PATCHES_MAX).then_some(Self { width, patches })
    }

    pub(crate) fn code(self) -> u8 {
        self.width + WIDTHS * self.patches
    }

    /// Bits of the widest number, or more.
    pub(crate) fn bits(self) -> u8 {
        self.width + if self.patches > 0 { PATCH_BITS } else { 0 }
    }

    /// Bytes of the block.
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        block_bytes(self.width) + 2 * usize::from(self.patches)
    }

    /// Appends the low bits of all `values`, then place and high bits of those that are wider.
    pub(crate) fn pack(self, values: &[u32; BLOCK_LEN], out: &mut Vec<u8>) {
        let low = ((1u64 << self.width) - 1) as u32;
        pack(&values.map(|value| value & low), self.width, out);
        for (i, &value) in values.iter().enumerate().filter(|&(_, &value)| value > low) {
            out.extend([i as u8, (value >> self.width) as u8]);
        }
    }

    /// Reads a block.
    ///
    /// # Panics
    /// If `bytes` is shorter than the block.
    #[inline]
    pub(crate) fn unpack(self, bytes: &[u8], out: &mut [u32; BLOCK_LEN]) {
        unpack(bytes, self.width, out);
        for patch in bytes[block_bytes(self.width)..self.bytes()].as_chunks::<2>().0 {
            let high = u64::from(patch[1]) << self.width;
            out[usize::from(patch[0]) % BLOCK_LEN] |= high as u32;
        }
    }
}

/// Turns the gaps of a block into documents: document `i` is `next` plus the first `i + 1` gaps plus `i`. Sums wrap.
#[inline]
pub(crate) fn sum_block(gaps: &mut [u32; BLOCK_LEN], next: u32) {
    #[cfg(target_arch = "x86_64")]
    sum_block_sse2(gaps, next);
    #[cfg(not(target_arch = "x86_64"))]
    sum_block_any(gaps, next);
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn sum_block_any(gaps: &mut [u32; BLOCK_LEN], next: u32) {
    let mut next = next;
    for gap in gaps {
        *gap = gap.wrapping_add(next);
        next = gap.wrapping_add(1);
    }
}

#[cfg(target_arch = "x86_64")]
fn sum_block_sse2(gaps: &mut [u32; BLOCK_LEN], next: u32) {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_loadu_si128, _mm_set1_epi32, _mm_shuffle_epi32, _mm_slli_si128,
        _mm_storeu_si128,
    };
    // SAFETY: SSE2 is part of x86-64; each load and store is of the 16 bytes of `four`.
    unsafe {
        let one = _mm_set1_epi32(1);
        let mut carry = _mm_set1_epi32(next.wrapping_sub(1) as i32);
        for four in gaps.as_chunks_mut::<4>().0 {
            let mut sum = _mm_add_epi32(_mm_loadu_si128(four.as_ptr().cast::<__m128i>()), one);
            sum = _mm_add_epi32(sum, _mm_slli_si128::<4>(sum));
            sum = _mm_add_epi32(sum, _mm_slli_si128::<8>(sum));
            sum = _mm_add_epi32(sum, carry);
            carry = _mm_shuffle_epi32::<0xff>(sum);
            _mm_storeu_si128(four.as_mut_ptr().cast::<__m128i>(), sum);
        }
    }
}

/// Appends a stream of `values`, each below 2^`width`.
pub(crate) fn pack_stream(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut pending, mut bits) = (0u64, 0);
    for &value in values {
        pending |= u64::from(value) << bits;
        bits += u32::from(width);
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// Reads number `index` of a packed block.
#[inline]
pub(crate) fn lane_at(bytes: &[u8], width: u8, index: usize) -> u32 {
    let (lane, bit) = (index % 4, index / 4 * usize::from(width));
    let word = |word: usize| match bytes.get(16 * word + 4 * lane..16 * word + 4 * lane + 4) {
        Some(four) => u32::from_le_bytes(four.try_into().expect("four bytes")),
        None => 0,
    };
    let two = u64::from(word(bit / 32 + 1)) << 32 | u64::from(word(bit / 32));
    (two >> (bit % 32) & ((1 << width) - 1)) as u32
}

/// Reads number `index` of a stream; bytes past its end count as zero.
#[inline]
pub(crate) fn stream_at(bytes: &[u8], width: u8, index: usize) -> u32 {
    let bit = index * width as usize;
    (word_at(bytes, bit / 8) >> (bit % 8) & ((1 << width) - 1)) as u32
}

/// The eight bytes from `at` on; those past the end count as zero.
#[inline]
pub(crate) fn word_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8) {
        Some(word) => u64::from_le_bytes(word.try_into().expect("eight bytes")),
        None => {
            let mut word = [0; 8];
            let rest = bytes.get(at..).unwrap_or_default();
            word[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(word)
        }
    }
}

/// Reads the first `out.len()` numbers of a stream.
pub(crate) fn unpack_stream(bytes: &[u8], width: u8, out: &mut [u32]) {
    out.iter_mut().enumerate().for_each(|(i, value)| *value = stream_at(bytes, width, i));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(width in 0u8..=32, seed: u64, len in 0usize..=128) {
            let mut state = seed;
            let values: [u32; 128] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 32) & ((1u64 << width) - 1)) as u32
            });
            let mut bytes = Vec::new();
            pack(&values, width, &mut bytes);
            prop_assert_eq!(bytes.len(), block_bytes(width));
            let mut back = [1; 128];
            unpack(&bytes, width, &mut back);
            prop_assert_eq!(back, values);
            unpack_any(&bytes, width, &mut back);
            prop_assert_eq!(back, values);
            prop_assert_eq!(lane_at(&bytes, width, len.min(127)), values[len.min(127)]);
            let (mut fast, mut slow) = (values, values);
            sum_block(&mut fast, seed as u32);
            sum_block_any(&mut slow, seed as u32);
            prop_assert_eq!(fast, slow);
            let mut patched = values.map(|value| value >> width.min(20));
            patched[len.min(127)] = values[0];
            let (code, mut bytes) = (Patched::best(&patched), Vec::new());
            code.pack(&patched, &mut bytes);
            prop_assert_eq!(bytes.len(), code.bytes());
            prop_assert!(patched.iter().all(|&value| u64::from(value) < 1 << code.bits().min(32)));
            prop_assert_eq!(usize::from(CODE_BYTES[usize::from(code.code())]), code.bytes());
            Patched::read(code.code()).unwrap().unpack(&bytes, &mut back);
            prop_assert_eq!(back, patched);
            let mut bytes = Vec::new();
            pack_stream(&values[..len], width, &mut bytes);
            prop_assert_eq!(bytes.len(), stream_bytes(len, width));
            let mut back = vec![1; len];
            unpack_stream(&bytes, width, &mut back);
            prop_assert_eq!(&back[..], &values[..len]);
        }
    }
}

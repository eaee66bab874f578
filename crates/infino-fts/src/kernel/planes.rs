//! Blocks of 128 small numbers in unary, turned on its side: one bit a number tells whether it is more than 0, then one a number
//! of these whether it is more than 1, and so on until none is. Any number, and the sum of those before it, take a few
//! counts of bits.

use super::pack::{BLOCK_LEN, word_at};

/// The sizes in bytes that a block may have: from the first on, as many as there are codes.
const BYTES_MIN: usize = 17;
const BYTES_MAX: usize = 40;

/// Bytes of the block of these numbers; `None` if planes are no way to write them.
pub(crate) fn bytes_of(values: &[u32; BLOCK_LEN]) -> Option<usize> {
    let sum: u64 = values.iter().map(|&value| u64::from(value)).sum();
    let bytes = (BLOCK_LEN as u64 + sum).div_ceil(8) as usize;
    (BYTES_MIN..=BYTES_MAX).contains(&bytes).then_some(bytes)
}

/// How many sizes a block may have.
pub(crate) const SIZES: usize = BYTES_MAX - BYTES_MIN + 1;

/// Size number `i`, in bytes.
pub(crate) const fn size(i: usize) -> usize {
    BYTES_MIN + i
}

/// Appends the block of `values`.
pub(crate) fn pack(values: &[u32; BLOCK_LEN], out: &mut Vec<u8>) {
    let (start, mut bit) = (out.len(), 0);
    for level in 0.. {
        let mut alive = values.iter().filter(|&&value| value >= level).peekable();
        if alive.peek().is_none() {
            return;
        }
        for &value in alive {
            if bit % 8 == 0 {
                out.push(0);
            }
            out[start + bit / 8] |= u8::from(value > level) << (bit % 8);
            bit += 1;
        }
    }
}

/// A block in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planes {
    words: [u64; WORDS + 1],
    bits: usize,
}

/// Words of the longest block.
const WORDS: usize = BYTES_MAX / 8;

impl Planes {
    /// The block of `len` bytes at the start of `bytes`, which may go on.
    #[inline]
    pub(crate) fn new(bytes: &[u8], len: usize) -> Self {
        let len = len.min(8 * WORDS);
        let mut words = [0; WORDS + 1];
        for (i, word) in words[..len.div_ceil(8)].iter_mut().enumerate() {
            *word = word_at(bytes, 8 * i);
        }
        if !len.is_multiple_of(8) {
            words[len / 8] &= (1 << (8 * (len % 8))) - 1;
        }
        Self { words, bits: 8 * len }
    }

    /// The 64 bits from `bit` on; those past the end are zero.
    #[inline(always)]
    fn bits_at(&self, bit: usize) -> u64 {
        let word = |i: usize| self.words[i.min(WORDS)];
        let two = u128::from(word(bit / 64 + 1)) << 64 | u128::from(word(bit / 64));
        (two >> (bit % 64)) as u64
    }

    /// How many ones there are among the `len` bits, at most 128, from `bit` on.
    #[inline(always)]
    fn ones(&self, bit: usize, len: usize) -> usize {
        let cut = |word: u64, len: usize| if len < 64 { word & ((1 << len) - 1) } else { word };
        let ones = cut(self.bits_at(bit), len).count_ones();
        if len <= 64 {
            return ones as usize;
        }
        (ones + cut(self.bits_at(bit + 64), len - 64).count_ones()) as usize
    }

    /// All numbers, each plus one.
    #[inline]
    pub(crate) fn unpack_plus_one(&self, out: &mut [u32; BLOCK_LEN]) {
        #[cfg(target_arch = "x86_64")]
        if super::has_vbmi2() {
            // SAFETY: the CPU has AVX-512 with BW, POPCNT and BMI2.
            return unsafe { self.unpack_avx512(out) };
        } else if super::has_bmi2() {
            // SAFETY: the CPU has POPCNT, BMI1 and BMI2.
            return unsafe { self.unpack_bmi2(out) };
        }
        self.unpack_any(out, deposit);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt,bmi1,bmi2")]
    fn unpack_bmi2(&self, out: &mut [u32; BLOCK_LEN]) {
        self.unpack_any(out, |bits, mask| std::arch::x86_64::_pdep_u64(bits, mask));
    }

    #[inline(always)]
    fn unpack_any(&self, out: &mut [u32; BLOCK_LEN], deposit: impl Fn(u64, u64) -> u64) {
        out.fill(1);
        self.each_plane(deposit, |masks| {
            for (base, mut mask) in [0, 64].into_iter().zip(masks) {
                while mask != 0 {
                    out[base + mask.trailing_zeros() as usize] += 1;
                    mask &= mask - 1;
                }
            }
        });
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,popcnt,bmi1,bmi2")]
    fn unpack_avx512(&self, out: &mut [u32; BLOCK_LEN]) {
        use std::arch::x86_64::{
            __m128i, __m512i, _mm_loadu_si128, _mm512_cvtepu8_epi32, _mm512_mask_add_epi8,
            _mm512_set1_epi8, _mm512_storeu_si512,
        };
        let one = _mm512_set1_epi8(1);
        let mut sums = [one; 2];
        self.each_plane(
            |bits, mask| std::arch::x86_64::_pdep_u64(bits, mask),
            |masks| {
                for (sum, mask) in sums.iter_mut().zip(masks) {
                    *sum = _mm512_mask_add_epi8(*sum, mask, *sum, one);
                }
            },
        );
        for (sum, half) in sums.into_iter().zip(out.as_chunks_mut::<64>().0) {
            let mut bytes = [0u8; 64];
            // SAFETY: `bytes` is 64 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast::<__m512i>(), sum) };
            for (bytes, out) in bytes.as_chunks::<16>().0.iter().zip(half.as_chunks_mut::<16>().0) {
                // SAFETY: `bytes` is 16 readable and `out` 64 writable bytes.
                unsafe {
                    let wide =
                        _mm512_cvtepu8_epi32(_mm_loadu_si128(bytes.as_ptr().cast::<__m128i>()));
                    _mm512_storeu_si512(out.as_mut_ptr().cast::<__m512i>(), wide);
                }
            }
        }
    }

    /// Calls `each` with every plane spread over the 128 numbers.
    #[inline(always)]
    fn each_plane(&self, deposit: impl Fn(u64, u64) -> u64, mut each: impl FnMut([u64; 2])) {
        let mut masks = [self.words[0], self.words[1]];
        let mut bit = BLOCK_LEN;
        while masks != [0, 0] {
            each(masks);
            if bit >= self.bits {
                return;
            }
            let counts = masks.map(|mask| mask.count_ones() as usize);
            masks = [
                deposit(self.bits_at(bit), masks[0]),
                deposit(self.bits_at(bit + counts[0]), masks[1]),
            ];
            bit += counts[0] + counts[1];
        }
    }

    /// Number `index` and the sum of those before it.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> (u32, u32) {
        #[cfg(target_arch = "x86_64")]
        if super::has_bmi2() {
            // SAFETY: the CPU has POPCNT and BMI2.
            return unsafe { self.at_popcnt(index) };
        }
        self.at_any(index)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt,bmi1,bmi2")]
    fn at_popcnt(&self, index: usize) -> (u32, u32) {
        self.at_any(index)
    }

    #[inline(always)]
    fn at_any(&self, index: usize) -> (u32, u32) {
        let (mut value, mut before, mut alive) = (0, 0, true);
        let (mut plane, mut len, mut at) = (0, BLOCK_LEN, index);
        while plane < self.bits {
            alive = alive && self.bits_at(plane + at) & 1 == 1;
            let ones = self.ones(plane, at);
            value += u32::from(alive);
            before += ones as u32;
            if ones == 0 && !alive {
                break;
            }
            (plane, len, at) = (plane + len, self.ones(plane, len), ones);
        }
        (value, before)
    }

    /// The sum of all numbers.
    #[inline]
    pub(crate) fn sum(&self) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if super::has_bmi2() {
            // SAFETY: the CPU has POPCNT.
            return unsafe { self.sum_popcnt() };
        }
        self.sum_any()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt")]
    fn sum_popcnt(&self) -> u32 {
        self.sum_any()
    }

    #[inline(always)]
    fn sum_any(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }
}

/// Spreads the low bits of `bits` over the places of the ones of `mask`.
#[inline]
fn deposit(bits: u64, mask: u64) -> u64 {
    let (mut mask, mut bits, mut out) = (mask, bits, 0);
    while mask != 0 {
        let lowest = mask & mask.wrapping_neg();
        out |= if bits & 1 == 1 { lowest } else { 0 };
        bits >>= 1;
        mask ^= lowest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            values in prop::collection::vec(0u32..40, BLOCK_LEN),
            scale in 0u32..7,
            damage: u16,
        ) {
            let values: [u32; BLOCK_LEN] = std::array::from_fn(|i| values[i] >> scale);
            let mut bytes = Vec::new();
            pack(&values, &mut bytes);
            if let Some(len) = bytes_of(&values) {
                prop_assert_eq!(bytes.len(), len);
            }
            let len = bytes.len().min(BYTES_MAX);
            // What follows a block does not matter.
            bytes.extend([0xff; 8]);
            let check = |planes: Planes| {
                let (mut back, mut slow) = ([9; BLOCK_LEN], [9; BLOCK_LEN]);
                planes.unpack_plus_one(&mut back);
                planes.unpack_any(&mut slow, deposit);
                prop_assert_eq!(slow, back);
                let mut before = 0;
                for (i, &plus_one) in back.iter().enumerate() {
                    prop_assert_eq!(planes.at(i), (plus_one - 1, before), "{}", i);
                    before += plus_one - 1;
                }
                Ok(back.map(|plus_one| plus_one - 1))
            };
            let planes = Planes::new(&bytes, len);
            let back = check(planes)?;
            if bytes_of(&values).is_some() {
                prop_assert_eq!(back, values);
                prop_assert_eq!(planes.sum(), values.iter().sum::<u32>());
            }
            let bit = usize::from(damage) % (8 * len);
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(Planes::new(&bytes, len))?;
        }
    }
}

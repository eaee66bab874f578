//! Finding the ones of a bit string.

use super::pack::{BLOCK_LEN, word_at};

/// A word of a bit string and how many ones stand before it, from which a search goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    word: usize,
    ones: usize,
}

impl Place {
    /// The bit after the first `count` ones of `bits`, `None` if there are fewer. Cheap if the counts asked for ascend.
    #[inline]
    pub(crate) fn after_ones(&mut self, bits: &[u8], count: usize) -> Option<usize> {
        if count == 0 {
            return Some(0);
        }
        if count <= self.ones {
            *self = Self::default();
        }
        #[cfg(target_arch = "x86_64")]
        if super::has_bmi2() {
            // SAFETY: the CPU has POPCNT and BMI2.
            return unsafe { self.find_bmi2(bits, count) };
        }
        self.find(bits, count, select_any)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "popcnt,bmi1,bmi2")]
    fn find_bmi2(&mut self, bits: &[u8], count: usize) -> Option<usize> {
        self.find(bits, count, |word, nth| {
            std::arch::x86_64::_pdep_u64(1 << (nth - 1), word).trailing_zeros()
        })
    }

    #[inline(always)]
    fn find(
        &mut self,
        bits: &[u8],
        count: usize,
        select: impl Fn(u64, usize) -> u32,
    ) -> Option<usize> {
        while 8 * self.word < bits.len() {
            let word = word_at(bits, 8 * self.word);
            let ones = word.count_ones() as usize;
            if self.ones + ones >= count {
                return Some(64 * self.word + select(word, count - self.ones) as usize + 1);
            }
            self.ones += ones;
            self.word += 1;
        }
        None
    }
}

/// The place of the `nth` zero of `bits`, counted from 1; `None` if there are fewer.
#[inline]
pub(crate) fn nth_zero(bits: &[u8], nth: usize) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if super::has_bmi2() {
        // SAFETY: the CPU has POPCNT and BMI2.
        return unsafe { nth_zero_bmi2(bits, nth) };
    }
    nth_zero_by(bits, nth, select_any)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt,bmi1,bmi2")]
fn nth_zero_bmi2(bits: &[u8], nth: usize) -> Option<usize> {
    nth_zero_by(bits, nth, |word, nth| {
        std::arch::x86_64::_pdep_u64(1 << (nth - 1), word).trailing_zeros()
    })
}

#[inline(always)]
fn nth_zero_by(bits: &[u8], nth: usize, select: impl Fn(u64, usize) -> u32) -> Option<usize> {
    let mut left = nth;
    for at in (0..bits.len()).step_by(8) {
        let zeros = !word_at(bits, at);
        let count = zeros.count_ones() as usize;
        if count >= left {
            return Some(8 * at + select(zeros, left) as usize);
        }
        left -= count;
    }
    None
}

/// The place of the `nth` one of `word`, counted from 1.
#[inline(always)]
fn select_any(word: u64, nth: usize) -> u32 {
    let mut word = word;
    for _ in 1..nth {
        word &= word - 1;
    }
    word.trailing_zeros()
}

/// How many ones of `bits` stand before bit `at`; `None` if that is not one itself.
#[inline]
pub(crate) fn rank(bits: &[[u8; 8]], at: usize) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if super::has_bmi2() {
        // SAFETY: the CPU has POPCNT.
        return unsafe { rank_popcnt(bits, at) };
    }
    rank_any(bits, at)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn rank_popcnt(bits: &[[u8; 8]], at: usize) -> Option<usize> {
    rank_any(bits, at)
}

#[inline(always)]
fn rank_any(bits: &[[u8; 8]], at: usize) -> Option<usize> {
    let word = u64::from_le_bytes(*bits.get(at / 64)?);
    if word >> (at % 64) & 1 == 0 {
        return None;
    }
    let before = bits[..at / 64].iter().map(|&word| u64::from_le_bytes(word).count_ones());
    Some((before.sum::<u32>() + (word & ((1 << (at % 64)) - 1)).count_ones()) as usize)
}

/// Writes the places of all ones of `bits`, counted from `first`; false if they are not as many as `out` has room for.
#[inline]
pub(crate) fn ones(bits: &[[u8; 8]], first: u32, out: &mut [u32; BLOCK_LEN]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if super::has_bmi2() {
        // SAFETY: the CPU has POPCNT and BMI1.
        return unsafe { ones_bmi(bits, first, out) };
    }
    ones_any(bits, first, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt,bmi1,bmi2")]
fn ones_bmi(bits: &[[u8; 8]], first: u32, out: &mut [u32; BLOCK_LEN]) -> bool {
    ones_any(bits, first, out)
}

#[inline(always)]
fn ones_any(bits: &[[u8; 8]], first: u32, out: &mut [u32; BLOCK_LEN]) -> bool {
    let mut len = 0;
    for (i, &word) in bits.iter().enumerate() {
        let mut word = u64::from_le_bytes(word);
        let base = first.wrapping_add(64 * i as u32);
        let count = word.count_ones() as usize;
        let Some(out) = out.get_mut(len..len + count) else { return false };
        for out in out {
            *out = base.wrapping_add(word.trailing_zeros());
            word &= word.wrapping_sub(1);
        }
        len += count;
    }
    len == BLOCK_LEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_nth_one_is_found(
            bits in prop::collection::vec(any::<u8>(), 0..60),
            counts in prop::collection::vec(0usize..300, 1..20),
        ) {
            let ones: Vec<usize> =
                (0..8 * bits.len()).filter(|&at| bits[at / 8] >> (at % 8) & 1 == 1).collect();
            let mut place = Place::default();
            for (nth, zero) in (0..8 * bits.len()).filter(|at| !ones.contains(at)).enumerate() {
                prop_assert_eq!(nth_zero(&bits, nth + 1), Some(zero));
                prop_assert_eq!(nth_zero_by(&bits, nth + 1, select_any), Some(zero));
            }
            let (words, rest) = bits.as_chunks::<8>();
            for at in 0..8 * (bits.len() - rest.len()) {
                prop_assert_eq!(rank(words, at), ones.iter().position(|&one| one == at));
            }
            for count in counts {
                let expected = match count {
                    0 => Some(0),
                    count => ones.get(count - 1).map(|at| at + 1),
                };
                prop_assert_eq!(place.after_ones(&bits, count), expected);
            }
        }
    }
}

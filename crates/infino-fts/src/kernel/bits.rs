//! Finding the n-th one of a bit string.

use super::pack::word_at;

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
        self.find(bits, count, |word, nth| {
            let mut word = word;
            for _ in 1..nth {
                word &= word - 1;
            }
            word.trailing_zeros()
        })
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

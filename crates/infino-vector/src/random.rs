//! Random numbers that are the same on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014): a 64-bit counter behind a mixing function.
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream of its own for each use of one seed.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(purpose)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `bound`, which is not 0; the bias is under 2^-32 for the counts drawn here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// `count` of `0..len`, ascending; all of them if there are no more.
    pub(crate) fn sample(&mut self, len: usize, count: usize) -> Vec<usize> {
        let mut left = count.min(len);
        let mut taken = Vec::with_capacity(left);
        for i in 0..len {
            if left == 0 {
                break;
            }
            if self.below((len - i) as u64) < left as u64 {
                taken.push(i);
                left -= 1;
            }
        }
        taken
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_ascending_distinct_and_as_large_as_asked() {
        for (len, count) in [(0, 3), (5, 5), (5, 9), (1000, 37)] {
            let sample = SplitMix64::new(1, 2).sample(len, count);
            assert_eq!(sample.len(), count.min(len));
            assert!(sample.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(sample.iter().all(|&i| i < len));
        }
    }
}

//! Looking documents up in a block.

use std::ops::Range;

use super::pack::BLOCK_LEN;

/// What is looked up in one block after the other: numbers of documents of another block, those found moved to the front.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The documents still in question, then those found.
    pub(crate) kept: [u8; BLOCK_LEN],
    /// Where each of those found is in its block.
    pub(crate) places: [u8; BLOCK_LEN],
    /// How many have been found.
    pub(crate) found: usize,
}

impl Lookup {
    /// Finds those of `docs[kept[range]]` that are in the full block `own`.
    #[inline]
    pub(crate) fn full(
        &mut self,
        own: &[u32; BLOCK_LEN],
        docs: &[u32; BLOCK_LEN],
        range: Range<usize>,
    ) {
        debug_assert!(self.found <= range.start, "what is found never passes what is sought");
        #[cfg(target_arch = "x86_64")]
        if super::has_avx2() && super::has_bmi2() {
            // SAFETY: the CPU has AVX2 and POPCNT.
            return unsafe { self.full_avx2(own, docs, range) };
        }
        self.each(docs, range, |doc| place_of(own, BLOCK_LEN, doc), own);
    }

    /// Finds those of `docs[kept[range]]` that are among the first `len` of `own`.
    pub(crate) fn partial(
        &mut self,
        own: &[u32; BLOCK_LEN],
        len: usize,
        docs: &[u32; BLOCK_LEN],
        range: Range<usize>,
    ) {
        self.each(docs, range, |doc| place_of(own, len, doc), own);
    }

    #[inline(always)]
    fn each(
        &mut self,
        docs: &[u32; BLOCK_LEN],
        range: Range<usize>,
        place_of: impl Fn(u32) -> usize,
        own: &[u32; BLOCK_LEN],
    ) {
        for at in range {
            let i = self.kept[at];
            let doc = docs[usize::from(i) % BLOCK_LEN];
            let place = place_of(doc);
            let to = self.found % BLOCK_LEN;
            self.kept[to] = i;
            self.places[to] = place as u8;
            self.found += usize::from(own[place % BLOCK_LEN] == doc);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,popcnt")]
    fn full_avx2(&mut self, own: &[u32; BLOCK_LEN], docs: &[u32; BLOCK_LEN], range: Range<usize>) {
        use std::arch::x86_64::{
            __m256i, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_loadu_si256,
            _mm256_movemask_ps, _mm256_set1_epi32,
        };
        let lasts: [u32; 8] = std::array::from_fn(|part| own[16 * part + 15]);
        // Rows are below 2^31, so that they compare alike with a sign.
        let below = |eight: &[u32; 8], doc: __m256i| {
            // SAFETY: `eight` is 32 readable bytes, and `loadu` asks for no alignment.
            let eight = unsafe { _mm256_loadu_si256(eight.as_ptr().cast::<__m256i>()) };
            _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(doc, eight))) as u32
        };
        let parts = own.as_chunks::<8>().0;
        self.each(
            docs,
            range,
            |doc| {
                let doc = _mm256_set1_epi32(doc as i32);
                let part = (below(&lasts, doc).count_ones() as usize).min(7);
                let low = below(&parts[2 * part], doc);
                let high = below(&parts[2 * part + 1], doc);
                (16 * part + (low | high << 8).count_ones() as usize).min(BLOCK_LEN - 1)
            },
            own,
        );
    }
}

/// The first of the first `len` of `docs` that is at least `doc`, or the last.
#[inline(always)]
pub(crate) fn place_of(docs: &[u32; BLOCK_LEN], len: usize, doc: u32) -> usize {
    if len == BLOCK_LEN {
        let mut at = 0;
        for step in [64, 32, 16, 8, 4, 2, 1] {
            at += if docs[(at + step - 1) & (BLOCK_LEN - 1)] < doc { step } else { 0 };
        }
        return at.min(BLOCK_LEN - 1);
    }
    docs[..len].partition_point(|&own| own < doc).min(len - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_in_both_is_found(
            own in prop::sample::subsequence((0u32..600).collect::<Vec<_>>(), BLOCK_LEN),
            docs in prop::sample::subsequence((0u32..600).collect::<Vec<_>>(), BLOCK_LEN),
            from in 0usize..100,
            len in 0usize..28,
        ) {
            let kept = std::array::from_fn(|i| i as u8);
            let mut fast = Lookup { kept, places: [0; BLOCK_LEN], found: from / 2 };
            let mut slow = Lookup { kept, places: [0; BLOCK_LEN], found: from / 2 };
            let own: [u32; BLOCK_LEN] = own.try_into().unwrap();
            let docs: [u32; BLOCK_LEN] = docs.try_into().unwrap();
            fast.full(&own, &docs, from..from + len);
            slow.partial(&own, BLOCK_LEN, &docs, from..from + len);
            prop_assert_eq!(fast.found, slow.found);
            prop_assert_eq!(&fast.kept[..fast.found], &slow.kept[..fast.found]);
            prop_assert_eq!(&fast.places[..fast.found], &slow.places[..fast.found]);
            let expected: Vec<u32> =
                docs[from..from + len].iter().copied().filter(|doc| own.contains(doc)).collect();
            let found: Vec<u32> =
                fast.kept[from / 2..fast.found].iter().map(|&i| docs[usize::from(i)]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

//! Blocks of 128 ascending documents whose high bits stand in unary, so that one is found without reading the others.
//!
//! Of a block whose documents lie from `first` to `last`, each document's distance from `first` is cut in two. The low bits, as
//! many as make the high parts of neighbours differ by about one, are a packed block. Document `i` with high part `h` sets
//! bit `h + i` of the string behind it. After Elias, *Efficient storage and retrieval by content and address of static files*
//! (1974), and Fano, *On the number of bits required to implement an associative memory* (1971).

use super::bits::nth_zero;
use super::pack::{BLOCK_LEN, block_bytes, lane_at, pack, unpack, word_at};

/// The numbers of a word's bits.
#[cfg(target_arch = "x86_64")]
const BITS: [u8; 64] = {
    let mut bits = [0; 64];
    let mut bit = 0;
    while bit < 64 {
        bits[bit] = bit as u8;
        bit += 1;
    }
    bits
};

/// The frame of a block: what its first and last document tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EliasFano {
    first: u32,
    /// From the first to the last.
    distance: u32,
    low: u8,
}

impl EliasFano {
    /// Of 128 documents from `first` or later to `last`; `None` if there is no room for them.
    #[inline]
    pub(crate) fn new(first: u32, last: u32) -> Option<Self> {
        let distance = last.checked_sub(first)?;
        let low =
            (distance / BLOCK_LEN as u32 + u32::from(distance % 128 == 127)).checked_ilog2()?;
        Some(Self { first, distance, low: low as u8 })
    }

    /// Bytes of the block.
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        block_bytes(self.low) + self.high_bits().div_ceil(8)
    }

    /// Appends the block of `docs`.
    pub(crate) fn pack(self, docs: &[u32; BLOCK_LEN], out: &mut Vec<u8>) {
        let low = (1 << self.low) - 1;
        pack(&docs.map(|doc| (doc - self.first) & low), self.low, out);
        let at = out.len();
        out.resize(at + self.bytes() - block_bytes(self.low), 0);
        for (i, doc) in docs.iter().enumerate() {
            let bit = ((doc - self.first) >> self.low) as usize + i;
            out[at + bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Reads the documents of the block at the start of `bytes`; false if these are not 128 that ascend.
    ///
    /// # Panics
    /// If `bytes` is shorter than the block.
    #[inline]
    pub(crate) fn unpack(self, bytes: &[u8], out: &mut [u32; BLOCK_LEN]) -> bool {
        unpack(bytes, self.low, out);
        let highs = &bytes[block_bytes(self.low)..];
        #[cfg(target_arch = "x86_64")]
        if super::has_vbmi2() {
            // SAFETY: the CPU has AVX-512 with VBMI2, BW and VL, POPCNT and BMI2.
            return unsafe { self.place_avx512(highs, out) };
        } else if super::has_bmi2() && super::has_avx2() {
            // SAFETY: the CPU has AVX2, POPCNT, BMI1 and BMI2.
            return unsafe { self.place_avx2(highs, out) };
        }
        self.place(highs, out)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
    fn place_avx2(self, highs: &[u8], out: &mut [u32; BLOCK_LEN]) -> bool {
        self.place(highs, out)
    }

    /// Adds the high parts to the low ones in `out`.
    #[inline(always)]
    fn place(self, highs: &[u8], out: &mut [u32; BLOCK_LEN]) -> bool {
        let mut i = 0;
        for base in (0..self.high_bits()).step_by(64) {
            let mut word = self.word(highs, base);
            let ones = word.count_ones() as usize;
            let Some(own) = out.get_mut(i..i + ones) else { return false };
            // Wraps only where it is made good by what is added.
            let mut high = (base as u32).wrapping_sub(i as u32);
            for doc in own {
                let part = high.wrapping_add(word.trailing_zeros());
                *doc = self.first.wrapping_add(part << self.low | *doc);
                word &= word.wrapping_sub(1);
                high = high.wrapping_sub(1);
            }
            i += ones;
        }
        i == BLOCK_LEN && self.ascend(out)
    }

    /// [`EliasFano::place`], the places of a word's ones moved together at once. A high part fits a byte, and is computed in one.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,popcnt,bmi1,bmi2")]
    fn place_avx512(self, highs: &[u8], out: &mut [u32; BLOCK_LEN]) -> bool {
        use std::arch::x86_64::{
            __m128i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm512_add_epi8,
            _mm512_add_epi32, _mm512_cvtepu8_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
            _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_sll_epi32,
            _mm512_storeu_si512, _mm512_sub_epi8,
        };
        // SAFETY: `BITS` is 64 readable bytes, and `loadu` asks for no alignment.
        let bits = unsafe { _mm512_loadu_si512(BITS.as_ptr().cast::<__m512i>()) };
        let mut parts = [0u8; BLOCK_LEN + 64];
        let mut i = 0;
        for base in (0..self.high_bits()).step_by(64) {
            let word = self.word(highs, base);
            let ones = word.count_ones() as usize;
            if i + ones > BLOCK_LEN {
                return false;
            }
            let places = _mm512_maskz_compress_epi8(word, bits);
            let before = _mm512_set1_epi8((base as u8).wrapping_sub(i as u8) as i8);
            let own = _mm512_sub_epi8(_mm512_add_epi8(places, before), bits);
            let to = parts[i..i + 64].as_mut_ptr().cast::<__m512i>();
            // SAFETY: these are 64 writable bytes, and `storeu` asks for no alignment.
            unsafe { _mm512_storeu_si512(to, own) };
            i += ones;
        }
        let (first, low) =
            (_mm512_set1_epi32(self.first as i32), _mm_cvtsi32_si128(self.low.into()));
        for (parts, docs) in parts.as_chunks::<16>().0.iter().zip(out.as_chunks_mut::<16>().0) {
            let docs = docs.as_mut_ptr().cast::<__m512i>();
            // SAFETY: `parts` is 16 readable bytes, `docs` 64 that are readable and writable; none need be aligned.
            unsafe {
                let parts = _mm512_cvtepu8_epi32(_mm_loadu_si128(parts.as_ptr().cast::<__m128i>()));
                let all = _mm512_or_si512(_mm512_sll_epi32(parts, low), _mm512_loadu_si512(docs));
                _mm512_storeu_si512(docs, _mm512_add_epi32(first, all));
            }
        }
        i == BLOCK_LEN && self.ascend(out)
    }

    /// Bits of the string of high parts.
    #[inline(always)]
    fn high_bits(self) -> usize {
        BLOCK_LEN + (self.distance >> self.low) as usize
    }

    /// The bits of the string from `base` on.
    #[inline(always)]
    fn word(self, highs: &[u8], base: usize) -> u64 {
        let word = word_at(highs, base / 8);
        match self.high_bits() - base {
            left @ 0..64 => word & ((1 << left) - 1),
            _ => word,
        }
    }

    #[inline(always)]
    fn ascend(self, docs: &[u32; BLOCK_LEN]) -> bool {
        let (before, after) = (&docs[..BLOCK_LEN - 1], &docs[1..]);
        let ascend = before.iter().zip(after).fold(true, |all, (a, b)| all & (a < b));
        ascend && docs[0] >= self.first
    }

    /// Where `doc` is in the block at the start of `bytes`.
    ///
    /// # Panics
    /// If `bytes` is shorter than the block.
    #[inline]
    pub(crate) fn find(self, bytes: &[u8], doc: u32) -> Option<usize> {
        let distance = doc.wrapping_sub(self.first);
        if distance > self.distance {
            return None;
        }
        let (high, low) = ((distance >> self.low) as usize, distance & ((1 << self.low) - 1));
        let highs = &bytes[block_bytes(self.low)..];
        // The documents of this high part stand behind so many zeros.
        let mut bit = match high {
            0 => 0,
            high => nth_zero(highs, high)? + 1,
        };
        while highs.get(bit / 8)? >> (bit % 8) & 1 == 1 {
            let i = bit.checked_sub(high).filter(|&i| i < BLOCK_LEN)?;
            match lane_at(bytes, self.low, i) {
                own if own == low => return Some(i),
                own if own > low => return None,
                _ => bit += 1,
            }
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
        fn documents_come_back_and_are_found(
            gaps in prop::collection::vec(0u32..2000, BLOCK_LEN),
            scale in 0u32..11,
            first in 0u32..1 << 20,
            damage in 0usize..4000,
        ) {
            let mut next = first;
            let docs: [u32; BLOCK_LEN] = std::array::from_fn(|i| {
                let doc = next + (gaps[i] >> scale);
                next = doc + 1;
                doc
            });
            let frame = EliasFano::new(first, docs[BLOCK_LEN - 1]).unwrap();
            let mut bytes = Vec::new();
            frame.pack(&docs, &mut bytes);
            prop_assert_eq!(bytes.len(), frame.bytes());
            let mut back = [1; BLOCK_LEN];
            prop_assert!(frame.unpack(&bytes, &mut back));
            prop_assert_eq!(back, docs);
            unpack(&bytes, frame.low, &mut back);
            prop_assert!(frame.place(&bytes[block_bytes(frame.low)..], &mut back));
            prop_assert_eq!(back, docs);
            // What follows a block does not matter.
            let longer = [&bytes[..], &[0xff; 9]].concat();
            prop_assert!(frame.unpack(&longer, &mut back));
            prop_assert_eq!(back, docs);
            for doc in first.saturating_sub(2)..docs[40] {
                let place = docs.iter().position(|&own| own == doc);
                prop_assert_eq!(frame.find(&bytes, doc), place, "{}", doc);
            }
            for (i, &doc) in docs.iter().enumerate() {
                prop_assert_eq!(frame.find(&bytes, doc), Some(i));
            }
            let bit = damage % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            if frame.unpack(&bytes, &mut back) {
                prop_assert!(back.is_sorted_by(|a, b| a < b) && back[0] >= first);
            }
            docs.iter().for_each(|&doc| {
                frame.find(&bytes, doc);
            });
        }
    }

    #[test]
    fn no_room_is_no_block() {
        assert!(EliasFano::new(5, 4).is_none());
        assert!(EliasFano::new(0, 126).is_none());
        assert_eq!(EliasFano::new(0, 127).map(|frame| frame.low), Some(0));
        assert!(EliasFano::new(0, u32::MAX).is_some());
    }
}

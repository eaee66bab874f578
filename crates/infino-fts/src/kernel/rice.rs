//! Reading all numbers of a Rice code: low bits in a stream, high parts in unary behind it.

use super::pack::word_at;

/// Reads as many numbers as `out` has room for, whose low `width` bits are the stream `lows` and whose high parts stand in
/// `highs`, a one ending each; false if there are fewer.
#[inline]
pub(crate) fn unpack(lows: &[u8], width: u8, highs: &[u8], out: &mut [u32]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if super::has_bmi2() {
        // SAFETY: the CPU has POPCNT, BMI1 and BMI2.
        return unsafe { unpack_bmi2(lows, width, highs, out) };
    }
    unpack_any(lows, width, highs, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt,bmi1,bmi2")]
fn unpack_bmi2(lows: &[u8], width: u8, highs: &[u8], out: &mut [u32]) -> bool {
    unpack_any(lows, width, highs, out)
}

#[inline(always)]
fn unpack_any(lows: &[u8], width: u8, highs: &[u8], out: &mut [u32]) -> bool {
    let (mut i, mut next) = (0, 0);
    for base in (0..highs.len()).step_by(8) {
        let mut word = word_at(highs, base);
        let ones = (word.count_ones() as usize).min(out.len() - i);
        for number in &mut out[i..i + ones] {
            let at = 8 * base as u64 + u64::from(word.trailing_zeros());
            // The high part is the way from the one before.
            *number = ((at - next) << width) as u32;
            next = at + 1;
            word &= word - 1;
        }
        i += ones;
        if i == out.len() {
            add_stream(lows, width, out);
            return true;
        }
    }
    out.is_empty()
}

/// Adds a stream of `width` bits a number.
#[inline(always)]
fn add_stream(bytes: &[u8], width: u8, out: &mut [u32]) {
    if width == 0 {
        return;
    }
    let (width, mask) = (usize::from(width), (1u64 << width) - 1);
    // So many whole numbers are in a word that begins within a byte.
    let a_word = (64 - 7) / width;
    for (i, numbers) in out.chunks_mut(a_word).enumerate() {
        let bit = i * a_word * width;
        let mut word = word_at(bytes, bit / 8) >> (bit % 8);
        for number in numbers {
            *number |= (word & mask) as u32;
            word >>= width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::pack::pack_stream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in prop::collection::vec(0u32..1 << 16, 0..200),
            width in 0u8..=31,
            spread in 0u32..16,
        ) {
            let numbers: Vec<u32> = numbers.iter().map(|number| number >> spread).collect();
            let width = width.max(if spread > 8 { 0 } else { 8 });
            let low = ((1u64 << width) - 1) as u32;
            let (mut lows, mut highs, mut bit) = (Vec::new(), Vec::new(), 0usize);
            pack_stream(&numbers.iter().map(|number| number & low).collect::<Vec<_>>(), width, &mut lows);
            for number in &numbers {
                bit += (number >> width) as usize;
                highs.resize(highs.len().max(bit / 8 + 1), 0);
                highs[bit / 8] |= 1 << (bit % 8);
                bit += 1;
            }
            let mut back = vec![0; numbers.len()];
            prop_assert!(unpack(&lows, width, &highs, &mut back));
            prop_assert_eq!(&back, &numbers);
            back.fill(0);
            prop_assert!(unpack_any(&lows, width, &highs, &mut back));
            prop_assert_eq!(&back, &numbers);
            back.push(0);
            prop_assert!(!unpack(&lows, width, &highs, &mut back));
        }
    }
}

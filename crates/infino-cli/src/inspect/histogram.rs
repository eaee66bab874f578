//! How many values are how large, by powers of two.

use std::io::{self, Write};

/// Longest bar, in characters.
const BAR: u64 = 40;

/// Counts of values between one power of two and the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// At `n` the values from `2^(n-1)` up to but not including `2^n`; at 0 the zeros.
    counts: Vec<u64>,
    min: u64,
    max: u64,
}

impl Histogram {
    pub(super) fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut histogram = Self { min: u64::MAX, ..Self::default() };
        for value in values {
            let at = (u64::BITS - value.leading_zeros()) as usize;
            if histogram.counts.len() <= at {
                histogram.counts.resize(at + 1, 0);
            }
            histogram.counts[at] += 1;
            histogram.min = histogram.min.min(value);
            histogram.max = histogram.max.max(value);
        }
        histogram
    }

    /// Writes a line for each power of two from the least to the greatest value.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        indent: &str,
        shown: impl Fn(u64) -> String,
    ) -> io::Result<()> {
        let Some(most) = self.counts.iter().max() else { return Ok(()) };
        let first = self.counts.iter().position(|&count| count > 0).unwrap_or(0);
        writeln!(out, "{indent}from {} to {}", shown(self.min), shown(self.max))?;
        for (at, &count) in self.counts.iter().enumerate().skip(first) {
            let from = if at == 0 { 0 } else { 1 << (at - 1) };
            let bar = "#".repeat(usize::try_from((count * BAR).div_ceil(*most)).unwrap_or(0));
            let line = format!("{indent}{:>9} up  {count:>9}  {bar}", shown(from));
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_between_powers_of_two() {
        let mut out = Vec::new();
        let histogram = Histogram::of([5, 4, 7, 0, 9]);
        histogram.write(&mut out, " ", |n| n.to_string()).expect("a vector takes all bytes");
        let full = "#".repeat(40);
        let third = "#".repeat(14);
        let want = format!(
            " from 0 to 9\n         0 up          1  {third}\n         1 up          0\n         2 up          0\n\
             \x20        4 up          3  {full}\n         8 up          1  {third}\n"
        );
        assert_eq!(String::from_utf8(out).expect("text"), want);
        assert_eq!(Histogram::of([u64::MAX]).counts.len(), 65);
    }
}

//! What to read, in few ranges, and what came.

use std::ops::Range;

use bytes::Bytes;
use infino_format::FormatError;

use crate::layout::{Layout, verify_tail};

/// Ranges of a round up to which gaps stay unread.
pub(super) const RANGES_FEW: usize = 8;
/// Ranges of a search that are few enough, if most are small.
pub(super) const RANGES_ENOUGH: usize = 18;

/// Ascending numbers, repeated or not, as runs.
pub(super) fn runs(numbers: impl Iterator<Item = u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(last) if number < last.end => {}
            Some(last) if number == last.end => last.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

/// Ascending ranges with the smallest gaps closed: until no more than `few` are left, or `spare` bytes are read in vain.
pub(super) fn close_gaps(ranges: Vec<Range<u64>>, mut spare: u64, few: usize) -> Vec<Range<u64>> {
    let gap = |i: usize| ranges[i + 1].start - ranges[i].end;
    let mut by_gap: Vec<usize> = (0..ranges.len().saturating_sub(1)).collect();
    by_gap.sort_by_key(|&i| (gap(i), i));
    let mut closed = vec![false; ranges.len()];
    let mut left = ranges.len();
    for i in by_gap {
        if gap(i) > spare || (left <= few && gap(i) > 0) {
            break;
        }
        spare -= gap(i);
        closed[i] = true;
        left -= 1;
    }
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(left);
    for (i, range) in ranges.into_iter().enumerate() {
        match merged.last_mut() {
            Some(last) if closed[i - 1] => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
}

/// The bytes of a round.
pub(super) struct Read {
    ranges: Vec<Range<u64>>,
    bytes: Vec<Bytes>,
}

impl Read {
    pub(super) fn new(ranges: Vec<Range<u64>>, bytes: Vec<Bytes>) -> Result<Self, FormatError> {
        let read: Vec<_> = bytes.iter().map(|bytes| bytes.len() as u64).collect();
        let asked: Vec<_> = ranges.iter().map(|range| range.end - range.start).collect();
        if read != asked {
            let problem = format!("ranges of {asked:?} bytes were asked for, {read:?} came");
            return Err(FormatError::invalid("vector index", problem));
        }
        Ok(Self { ranges, bytes })
    }

    /// A part of one of the ranges, if it was read.
    pub(super) fn slice(&self, part: &Range<u64>) -> Option<&[u8]> {
        let i = self.ranges.partition_point(|range| range.end < part.end);
        let start = self.ranges.get(i)?.start;
        let at = part.start.checked_sub(start)? as usize;
        Some(&self.bytes[i][at..at + (part.end - part.start) as usize])
    }

    /// The payload of the row at `position`, verified, if it was read.
    pub(super) fn payload(
        &self,
        layout: &Layout,
        position: u32,
    ) -> Result<Option<&[u8]>, FormatError> {
        let (group, i) = (position / layout.group_rows(), position % layout.group_rows());
        let Some(group) = self.slice(&layout.group_range(group)) else {
            return Ok(None);
        };
        verify_tail("vector payload", group)?;
        Ok(Some(&group[i as usize * layout.stride()..][..layout.stride()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_close_smallest_first() {
        let ranges = |gaps: &[u64]| -> Vec<Range<u64>> {
            let mut at = 0;
            let one = |gap: &u64| {
                let start = at + gap;
                at = start + 10;
                start..at
            };
            gaps.iter().map(one).collect()
        };
        let few = ranges(&[0, 5, 0, 7]);
        assert_eq!(close_gaps(few, 1000, 8), [0..10, 15..35, 42..52], "only what touches");
        let many = ranges(&[0, 9, 1, 9, 9, 9, 9, 9, 9, 2, 9]);
        assert_eq!(close_gaps(many.clone(), 1000, 8).len(), 8);
        assert_eq!(close_gaps(many.clone(), 3, 8).len(), many.len() - 2);
        assert_eq!(close_gaps(many.clone(), 0, 8), many);
        assert_eq!(close_gaps(Vec::new(), 9, 8), []);
    }
}

//! Which rows go into which superfile.

use std::ops::Range;

/// Cuts `rows` into at most `shards` runs of consecutive rows whose lengths differ by at most one; no run is empty and
/// none is longer than `rows_max`.
///
/// Only the number of rows matters, not how they were batched, so the same rows always give the same files.
pub(crate) fn cut(rows: usize, shards: usize, rows_max: usize) -> Vec<Range<usize>> {
    let shards = shards.max(rows.div_ceil(rows_max.max(1))).clamp(1, rows.max(1));
    (0..shards)
        .map(|i| rows * i / shards..rows * (i + 1) / shards)
        .filter(|run| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_even_and_cover() {
        for rows in [0usize, 1, 2, 7, 100, 1001] {
            for shards in [1usize, 2, 3, 8] {
                let cut = cut(rows, shards, 300);
                assert_eq!(cut.iter().map(ExactSizeIterator::len).sum::<usize>(), rows);
                let (min, max) =
                    (cut.iter().map(|c| c.len()).min(), cut.iter().map(|c| c.len()).max());
                assert!(max.unwrap_or(0) - min.unwrap_or(0) <= 1);
                assert!(max.unwrap_or(0) <= 300 && min != Some(0));
                assert!(cut.windows(2).all(|pair| pair[0].end == pair[1].start));
            }
        }
    }
}

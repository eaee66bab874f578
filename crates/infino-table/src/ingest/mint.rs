//! Row ids: time-ordered, unique across processes without asking anybody.

use std::sync::Mutex;

use infino_format::{RowId, entropy};

const RANDOM_BITS: u32 = 54;
const COUNTER_BITS: u32 = 24;
/// Rows in one run of consecutive ids.
const RUN_MAX: u64 = 1 << COUNTER_BITS;

/// Gives out runs of consecutive row ids that ascend from call to call.
#[derive(Debug, Default)]
pub(crate) struct RowIdMint {
    /// Past the last id given out.
    next: Mutex<u128>,
}

impl RowIdMint {
    /// The first of `rows` consecutive ids.
    ///
    /// A run carries 54 random bits under its millisecond, so two processes that mint in the same millisecond clash with a
    /// chance of 2^-54; a clock that steps back moves the run forward to stay above the ids already given out.
    pub(crate) fn run(&self, rows: u64) -> Vec<(RowId, u64)> {
        let mut next = self.next.lock().expect("no panic while minting");
        let mut runs = Vec::new();
        let mut left = rows;
        while left > 0 {
            let len = left.min(RUN_MAX);
            let mut start = fresh_start();
            if start < *next {
                // The same millisecond or an earlier one: go on in the millisecond after the last id.
                let bits = RANDOM_BITS + COUNTER_BITS;
                start = (((*next >> bits) + 1) << bits) | (start & ((1 << bits) - 1));
            }
            *next = start + u128::from(len);
            runs.push((RowId(start), len));
            left -= len;
        }
        runs
    }
}

fn fresh_start() -> u128 {
    let ms = u128::from(entropy::now_ms());
    let random = u128::from(entropy::random() >> (64 - RANDOM_BITS));
    ((ms & ((1 << 48) - 1)) << (RANDOM_BITS + COUNTER_BITS)) | (random << COUNTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_ascend_and_never_overlap() {
        let mint = RowIdMint::default();
        let mut last = RowId(0);
        for rows in [1, 3, RUN_MAX, 2 * RUN_MAX + 5, 1] {
            let runs = mint.run(rows);
            assert_eq!(runs.iter().map(|run| run.1).sum::<u64>(), rows);
            for (first, len) in runs {
                assert!(first > last, "{first} follows {last}");
                last = RowId(first.0 + u128::from(len) - 1);
                assert!(last.0 < 10u128.pow(38), "fits Decimal128(38, 0)");
            }
        }
    }
}

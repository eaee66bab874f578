//! Where the rows of merged superfiles went, so that a delete that lands meanwhile can follow them.

use infino_format::{DocId, DocSet};

/// Where the live rows of one input went.
#[derive(Debug, Clone)]
pub(super) struct Places {
    keep: DocSet,
    /// Rows kept before each word of `keep`.
    before: Vec<u32>,
    /// Runs of kept rows: the first by its rank among the kept, and its row in the merged file.
    runs: Vec<(u32, DocId)>,
}

impl Places {
    /// For an input of which the rows `keep` are merged.
    pub(super) fn new(keep: DocSet) -> Self {
        let ranks = keep.words().iter().scan(0, |rank, word| {
            let before = *rank;
            *rank += word.count_ones();
            Some(before)
        });
        Self { before: ranks.collect(), keep, runs: Vec::new() }
    }

    /// Notes that the kept row of rank `rank` and those behind it begin at `doc` of the merged file.
    pub(super) fn run(&mut self, rank: u32, doc: DocId) {
        self.runs.push((rank, doc));
    }

    /// The row of the merged file that `doc` became; `None` if it was dead.
    pub(super) fn of(&self, doc: DocId) -> Option<DocId> {
        if !self.keep.contains(doc) {
            return None;
        }
        let (word, below) = (doc as usize / 64, (1u64 << (doc % 64)) - 1);
        let rank = self.before[word] + (self.keep.words()[word] & below).count_ones();
        let run = self.runs.partition_point(|&(first, _)| first <= rank).checked_sub(1)?;
        let (first, at) = self.runs[run];
        Some(at + (rank - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_rows_are_found_and_dead_ones_are_not() {
        let mut keep = DocSet::full(200);
        keep.remove(0);
        keep.remove(70);
        let mut places = Places::new(keep);
        places.run(0, 10); // rows 1..=69 at 10..
        places.run(69, 500); // rows 71.. at 500..
        assert_eq!(places.of(0), None);
        assert_eq!(places.of(1), Some(10));
        assert_eq!(places.of(69), Some(78));
        assert_eq!(places.of(70), None);
        assert_eq!(places.of(71), Some(500));
        assert_eq!(places.of(199), Some(628));
        assert_eq!(places.of(200), None);
    }
}

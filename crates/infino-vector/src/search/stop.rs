//! When a search has seen enough lists.
//!
//! Some queries find their neighbours in the first lists, some in many. A search ends at the calibrated number of lists, or
//! earlier, when it has gone on for long without a change among the nearest rows: after `v` lists, the last change in
//! list `l`, when `(v − l)² ≥ patience · l · lists`. What is long thus grows with how late rows were still found, and with
//! how many lists such searches take; the patience is calibrated when the index is built.

/// The end of one search.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    lists: usize,
    /// 0 never ends early.
    patience: f32,
    visited: usize,
    last: usize,
}

impl Stop {
    pub(crate) fn new(lists: usize, patience: f32) -> Self {
        Self { lists, patience, visited: 0, last: 0 }
    }

    /// Notes a visited list; `changed` says whether it changed the nearest rows, `enough` whether there are `k` of them.
    /// Returns whether the search ends here.
    pub(crate) fn after(&mut self, changed: bool, enough: bool) -> bool {
        self.visited += 1;
        if changed {
            self.last = self.visited;
        }
        enough
            && self.patience > 0.0
            && waited(self.visited, self.last, self.lists) >= self.patience
    }
}

/// How long ago the last change was, in what [`Stop`] compares with a patience.
pub(crate) fn waited(visited: usize, last: usize, lists: usize) -> f32 {
    let since = (visited - last) as f32;
    since * since / (last.max(1) as f32 * lists as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_when_it_waited_long_enough() {
        let mut stop = Stop::new(16, 1.0);
        assert!(!stop.after(true, false));
        let ended = (2..16).find(|_| stop.after(false, true));
        assert_eq!(ended, Some(5), "4 lists after the first");
        let mut never = Stop::new(4, 0.0);
        assert!(!(0..100).any(|_| never.after(false, true)));
        let mut few = Stop::new(1, 0.1);
        assert!(!(0..100).any(|_| few.after(false, false)), "rows are missing");
    }
}

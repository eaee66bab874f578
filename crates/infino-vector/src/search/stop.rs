//! When a search has seen enough lists.
//!
//! Some queries find their neighbours in the first lists, some in many. A search ends at the calibrated number of lists, or
//! earlier, when it has gone on for long without a change among the nearest rows: after `v` lists, the last change in
//! list `l`, when `(v − l)² ≥ patience · l · lists`. What is long thus grows with how late rows were still found, and with
//! how many lists such searches take; the patience is calibrated when the index is built. A search with a filter ends when
//! no list is within its reach.

use super::Query;
use super::route::{Reach, Route};
use crate::layout::Layout;

/// What ends a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// So many lists, or fewer after a patience; one of 0 never ends early.
    Lists { lists: usize, patience: f32 },
    /// No list is within reach. The nearest `first` are looked at to begin with; where each round waits for storage, the
    /// nearest `read`. Where it takes more than `rows` rows to find `k` that count, the filter keeps away from the query, its
    /// rows lie on the far side of the lists they are in, and the reach is `far`.
    Reach { reach: Reach, far: Reach, rows: u32, first: usize, read: usize },
}

impl End {
    /// Lists to begin with.
    pub(crate) fn first(self) -> usize {
        match self {
            Self::Lists { lists, .. } => lists,
            Self::Reach { first, .. } => first,
        }
    }

    /// Lists to read to begin with.
    pub(crate) fn first_read(self) -> usize {
        match self {
            Self::Lists { lists, .. } => lists,
            Self::Reach { read, .. } => read,
        }
    }

    /// The order of the lists that such a search takes them in.
    pub(crate) fn route(self, layout: &Layout, query: &Query) -> Route {
        match self {
            Self::Lists { lists, .. } => Route::new(layout, query, lists),
            Self::Reach { .. } => Route::within_reach(layout, query),
        }
    }
}

/// How one search goes on.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    end: End,
    visited: usize,
    last: usize,
    narrowed: bool,
    /// Rows of the lists visited until `k` were found.
    rows: u32,
}

impl Stop {
    pub(crate) fn new(end: End) -> Self {
        Self { end, visited: 0, last: 0, narrowed: false, rows: 0 }
    }

    /// Whether list `id` is to be visited, the next one of `route`.
    pub(crate) fn visits(&self, layout: &Layout, route: &Route, worst: f32, id: u32) -> bool {
        match self.end {
            End::Lists { .. } => true,
            End::Reach { .. } => route.reaches(layout, self.reach(), worst, id),
        }
    }

    fn reach(&self) -> Reach {
        match self.end {
            End::Reach { far, rows, .. } if self.rows > rows => far,
            End::Reach { reach, .. } => reach,
            End::Lists { .. } => Reach(f32::INFINITY),
        }
    }

    /// Notes a visited list of `rows` rows; `changed` says whether it changed the nearest rows, `enough` whether there are
    /// `k` of them. Returns whether the search ends here.
    pub(crate) fn after(&mut self, rows: u32, changed: bool, enough: bool) -> bool {
        self.visited += 1;
        if !enough {
            self.rows = self.rows.saturating_add(rows);
        }
        if changed {
            self.last = self.visited;
        }
        match self.end {
            End::Lists { lists, patience } if enough && patience > 0.0 => {
                waited(self.visited, self.last, lists) >= patience
            }
            _ => false,
        }
    }

    /// How many lists of `route` to go on with once those taken are scanned, and found `found` rows of `k`, the farthest
    /// of the nearest at `worst`; 0 ends the search.
    pub(crate) fn more(
        &mut self,
        layout: &Layout,
        route: &mut Route,
        (found, k): (usize, usize),
        worst: f32,
    ) -> usize {
        match self.end {
            _ if found < k => route.taken().min(route.left()),
            End::Reach { .. } if !self.narrowed => {
                self.narrowed = true;
                route.narrow(layout, self.reach(), worst);
                route.left()
            }
            _ => 0,
        }
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
        let mut stop = Stop::new(End::Lists { lists: 16, patience: 1.0 });
        assert!(!stop.after(1, true, false));
        let ended = (2..16).find(|_| stop.after(1, false, true));
        assert_eq!(ended, Some(5), "4 lists after the first");
        let mut never = Stop::new(End::Lists { lists: 4, patience: 0.0 });
        assert!(!(0..100).any(|_| never.after(1, false, true)));
        let mut few = Stop::new(End::Lists { lists: 1, patience: 0.1 });
        assert!(!(0..100).any(|_| few.after(1, false, false)), "rows are missing");
    }
}

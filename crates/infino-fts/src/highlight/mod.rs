//! Where a text answers a query, and the parts of it worth showing.
//!
//! Works from the text and its analyzer alone, no index needed. A row's text is analyzed as it was when indexed, so what is
//! marked is what was found: a word by its stem, a phrase only where it stands, a pattern by the terms it accepts.

mod fragment;
mod leaves;

use std::ops::Range;

pub use fragment::{Fragment, FragmentOptions, Markup};
use leaves::Leaves;

use crate::{Analyzer, FtsError, Query};

/// Finds what of a field's texts answers a query.
#[derive(Debug, Clone)]
pub struct Highlighter {
    analyzer: Analyzer,
    leaves: Leaves,
}

/// A part of a text that answers a condition of the query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Match {
    pub(crate) range: Range<usize>,
    pub(crate) leaf: usize,
    pub(crate) weight: f32,
}

impl Highlighter {
    /// For texts of `field`, which are analyzed by `analyzer`. Conditions on other fields and excluded ones mark nothing.
    ///
    /// # Errors
    /// [`FtsError::BadPattern`] or [`FtsError::Invalid`] if the query could not be asked either.
    pub fn new(query: &Query, field: &str, analyzer: &Analyzer) -> Result<Self, FtsError> {
        Ok(Self { analyzer: analyzer.clone(), leaves: Leaves::of(query, field, analyzer)? })
    }

    /// The bytes of `text` that answer the query, ascending; what overlaps or touches within a word is one range.
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        merged(&self.matches(text))
    }

    /// The parts of `text` that answer best, in the order of the text.
    pub fn fragments(&self, text: &str, options: &FragmentOptions) -> Vec<Fragment> {
        fragment::best(text, &self.matches(text), options)
    }

    fn matches(&self, text: &str) -> Vec<Match> {
        let mut matches = match self.leaves.is_empty() {
            true => Vec::new(),
            false => self.leaves.find(&self.analyzer.analyze(text)),
        };
        matches.sort_by_key(|found| (found.range.start, found.range.end));
        matches
    }
}

/// The ranges of `matches`, which are sorted, without overlaps.
pub(crate) fn merged(matches: &[Match]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for Match { range, .. } in matches.iter().filter(|found| !found.range.is_empty()) {
        match ranges.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => ranges.push(range.clone()),
        }
    }
    ranges
}

#[cfg(test)]
mod tests;

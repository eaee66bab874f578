//! What goes wrong, and when.

use std::time::Duration;

use super::Operation;

/// One thing that goes wrong with an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, the caller gets `Unavailable` (a swap: `Unclear`).
    Fail,
    /// It happens, the caller gets `Unavailable` (a swap: `Unclear`).
    FailAfter,
    /// Nothing happens yet: the caller gets `Unavailable` (a swap: `Unclear`) at once, the write lands so much later.
    Late(Duration),
    /// A write happens twice, the caller gets the second answer: a swap that won is told that it lost.
    Duplicate,
    /// Nothing happens, the caller gets `Denied`.
    Deny,
    /// `get` returns the first half of the bytes; `get_ranges` fails with `Range`.
    Truncate,
    /// A read returns the bytes with one bit changed, which one is drawn from the store's seed.
    BitFlip,
    /// A list misses so many of the objects written last.
    StaleList(usize),
    /// It happens, so much later.
    Delay(Duration),
}

impl Fault {
    /// Whether it can befall `operation` at all.
    pub(super) fn fits(&self, operation: Operation) -> bool {
        match self {
            Self::Fail | Self::FailAfter | Self::Deny | Self::Delay(_) => true,
            Self::Late(_) | Self::Duplicate => operation.is_write(),
            Self::Truncate => {
                matches!(operation, Operation::Get | Operation::GetIfChanged | Operation::GetRanges)
            }
            Self::BitFlip => {
                matches!(operation, Operation::Get | Operation::GetIfChanged | Operation::GetRanges)
            }
            Self::StaleList(_) => operation == Operation::List,
        }
    }
}

/// A fault, and the operations it befalls: by kind, by path, after so many, at most so often, with a chance.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(super) fault: Fault,
    operations: Option<Vec<Operation>>,
    path: String,
    skip: u64,
    left: u64,
    pub(super) chance: f64,
}

impl Rule {
    /// `fault` befalls every operation that it can.
    pub fn new(fault: Fault) -> Self {
        Self { fault, operations: None, path: String::new(), skip: 0, left: u64::MAX, chance: 1.0 }
    }

    /// Only these operations.
    #[must_use]
    pub fn on(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations = Some(operations.into_iter().collect());
        self
    }

    /// Only operations on paths that contain `part`.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        part.clone_into(&mut self.path);
        self
    }

    /// Not the first `count` that match.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.left = count;
        self
    }

    /// With this probability, drawn from the store's seed.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Whether it befalls this operation, given a number drawn from `0.0..1.0`. Counts.
    pub(super) fn befalls(&mut self, operation: Operation, path: &str, drawn: f64) -> bool {
        let matches = self.left > 0
            && self.fault.fits(operation)
            && self.operations.as_ref().is_none_or(|only| only.contains(&operation))
            && path.contains(&self.path);
        if !matches {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let befalls = drawn < self.chance;
        self.left -= u64::from(befalls);
        befalls
    }
}

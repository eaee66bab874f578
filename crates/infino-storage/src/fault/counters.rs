//! How often a store was asked, and how much passed.

use std::fmt;

/// What a store can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// [`crate::Store::get`]
    Get,
    /// [`crate::Store::get_if_changed`]
    GetIfChanged,
    /// [`crate::Store::get_ranges`]
    GetRanges,
    /// [`crate::Store::head`]
    Head,
    /// [`crate::Store::put`]
    Put,
    /// [`crate::Store::put_file`]
    PutFile,
    /// [`crate::Store::swap`]
    Swap,
    /// [`crate::Store::list`]
    List,
    /// [`crate::Store::delete`]
    Delete,
}

impl Operation {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::GetIfChanged,
        Self::GetRanges,
        Self::Head,
        Self::Put,
        Self::PutFile,
        Self::Swap,
        Self::List,
        Self::Delete,
    ];

    /// Whether it changes the store.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Put | Self::PutFile | Self::Swap | Self::Delete)
    }

    /// What it does, for an error's text.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Get | Self::GetIfChanged | Self::GetRanges => "reading",
            Self::Head => "looking up",
            Self::Put | Self::PutFile => "writing",
            Self::Swap => "swapping",
            Self::List => "listing",
            Self::Delete => "deleting",
        }
    }
}

/// How often one operation was called, and what it moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Calls, failed ones among them. Calls that wait for each other are as many round trips.
    pub calls: u64,
    /// Ranges asked for by them; other operations count none.
    pub ranges: u64,
    /// Bytes handed back.
    pub bytes_read: u64,
    /// Bytes handed over.
    pub bytes_written: u64,
    /// Calls that ended in an error or, of swaps, not in success.
    pub failed: u64,
}

/// Counts of all operations since the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    counts: [Count; Operation::ALL.len()],
}

impl Counters {
    /// The count of one operation.
    pub fn of(&self, operation: Operation) -> Count {
        self.counts[operation as usize]
    }

    pub(crate) fn of_mut(&mut self, operation: Operation) -> &mut Count {
        &mut self.counts[operation as usize]
    }

    /// All operations together.
    pub fn total(&self) -> Count {
        self.counts.iter().fold(Count::default(), |sum, count| Count {
            calls: sum.calls + count.calls,
            ranges: sum.ranges + count.ranges,
            bytes_read: sum.bytes_read + count.bytes_read,
            bytes_written: sum.bytes_written + count.bytes_written,
            failed: sum.failed + count.failed,
        })
    }
}

impl fmt::Display for Counters {
    /// One line: the operations that were called at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = Operation::ALL.into_iter().filter(|&operation| self.of(operation).calls > 0);
        for (at, operation) in called.enumerate() {
            let Count { calls, ranges, bytes_read, bytes_written, .. } = self.of(operation);
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{operation:?} {calls}")?;
            if ranges > 0 {
                write!(f, " ({ranges} ranges)")?;
            }
            if bytes_read + bytes_written > 0 {
                write!(f, " {} bytes", bytes_read + bytes_written)?;
            }
        }
        Ok(())
    }
}

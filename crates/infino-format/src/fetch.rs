//! Reading without I/O: a computation says which bytes it needs, somebody else reads them.
//!
//! An index reader knows what to read, not how. It hands out a [`Fetch`]; whoever owns the bytes (memory, a map, an
//! object store) feeds it until it is done. Each [`Step::Ranges`] is one round trip: all its ranges are read in parallel.

use std::ops::Range;

use bytes::Bytes;

use crate::FormatError;

/// What a [`Fetch`] says when it is asked to go on.
#[derive(Debug)]
pub enum Step<T> {
    /// It needs these byte ranges of its section, in this order, before it can go on.
    Ranges(Vec<Range<u64>>),
    /// It is done.
    Done(T),
}

/// A computation over one index section that asks for bytes instead of reading them.
pub trait Fetch {
    /// What it computes.
    type Output;
    /// How it fails; bytes that do not verify are its business.
    type Error: From<FormatError>;

    /// Goes on with the bytes of the ranges asked for last, in the same order; the first call passes none.
    ///
    /// # Errors
    /// The computation's own; it must not be stepped again.
    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Self::Output>, Self::Error>;
}

/// Runs `fetch` over a section that is wholly in memory; ranges are slices of it, nothing is copied.
///
/// # Errors
/// The computation's own, or [`FormatError::Truncated`] if it asks past the end.
pub fn run_resident<F: Fetch>(section: &Bytes, mut fetch: F) -> Result<F::Output, F::Error> {
    let mut bytes = Vec::new();
    loop {
        match fetch.step(bytes)? {
            Step::Done(output) => return Ok(output),
            Step::Ranges(ranges) => {
                bytes =
                    ranges.iter().map(|range| slice(section, range)).collect::<Result<_, _>>()?;
            }
        }
    }
}

fn slice(section: &Bytes, range: &Range<u64>) -> Result<Bytes, FormatError> {
    if range.start > range.end || range.end > section.len() as u64 {
        return Err(FormatError::Truncated {
            what: "section",
            at: range.start as usize,
            needed: range.end.saturating_sub(range.start) as usize,
            len: section.len(),
        });
    }
    Ok(section.slice(range.start as usize..range.end as usize))
}

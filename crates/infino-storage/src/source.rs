//! Exact range reads: which requests a set of ranges becomes, and running a [`Fetch`] over a part of an object.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use infino_format::{Fetch, FormatError, Step};

use crate::{StorageError, Store};

/// Why a computation over a stored section did not end.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The bytes could not be had.
    #[error(transparent)]
    Storage(StorageError),
    /// The computation's own failure, bytes that do not verify among them.
    #[error(transparent)]
    Fetch(E),
}

/// Runs `fetch` over the section of `path` that begins at byte `base` and is `section_len` long.
///
/// Each step of it is one round trip; ranges are relative to the section.
///
/// # Errors
/// [`RunError::Storage`] if a range cannot be read; [`RunError::Fetch`] if the computation fails or asks for bytes outside
/// of its section.
pub async fn run<F: Fetch>(
    store: &dyn Store,
    path: &str,
    base: u64,
    section_len: u64,
    mut fetch: F,
) -> Result<F::Output, RunError<F::Error>> {
    let mut bytes = Vec::new();
    loop {
        let ranges = match fetch.step(bytes).map_err(RunError::Fetch)? {
            Step::Done(output) => return Ok(output),
            Step::Ranges(ranges) => ranges,
        };
        let placed: Vec<_> = ranges
            .iter()
            .map(|range| place(range, base, section_len))
            .collect::<Result<_, FormatError>>()
            .map_err(|error| RunError::Fetch(error.into()))?;
        bytes = store.get_ranges(path, &placed).await.map_err(RunError::Storage)?;
        check_lengths(path, &placed, &bytes).map_err(RunError::Storage)?;
    }
}

fn place(range: &Range<u64>, base: u64, section_len: u64) -> Result<Range<u64>, FormatError> {
    let outside = || FormatError::Truncated {
        what: "section",
        at: usize::try_from(range.start).unwrap_or(usize::MAX),
        needed: usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX),
        len: usize::try_from(section_len).unwrap_or(usize::MAX),
    };
    if range.start > range.end || range.end > section_len {
        return Err(outside());
    }
    let end = base.checked_add(range.end).ok_or_else(outside)?;
    Ok(base + range.start..end)
}

/// Refuses an answer that is not exactly the ranges asked for.
///
/// # Errors
/// `Range`, naming the first range that differs.
pub fn check_lengths(
    path: &str,
    ranges: &[Range<u64>],
    bytes: &[Bytes],
) -> Result<(), StorageError> {
    for (at, range) in ranges.iter().enumerate() {
        match bytes.get(at) {
            Some(got) if range.end.checked_sub(range.start) == Some(got.len() as u64) => {}
            Some(got) => return Err(not_exact(path, range, format!("{} bytes", got.len()))),
            None => return Err(not_exact(path, range, "nothing".to_owned())),
        }
    }
    Ok(())
}

/// Refuses an answer in which a range holds nothing, or more than was asked for: it must begin inside the object.
pub(crate) fn check_begun(
    path: &str,
    ranges: &[Range<u64>],
    bytes: &[Bytes],
) -> Result<(), StorageError> {
    for (range, got) in ranges.iter().zip(bytes) {
        let wanted = range.end.saturating_sub(range.start);
        if got.len() as u64 > wanted || (got.is_empty() && wanted > 0) {
            return Err(not_exact(path, range, format!("{} bytes", got.len())));
        }
    }
    Ok(())
}

pub(crate) fn not_exact(path: &str, range: &Range<u64>, got: String) -> StorageError {
    StorageError::Range { path: path.to_owned(), start: range.start, end: range.end, got }
}

/// The part `range` of a whole object, without copying.
pub(crate) fn slice(path: &str, object: &Bytes, range: &Range<u64>) -> Result<Bytes, StorageError> {
    if range.start > range.end || range.end > object.len() as u64 {
        return Err(not_exact(path, range, format!("an object of {} bytes", object.len())));
    }
    // Both ends are at most the length of something in memory.
    Ok(object.slice(range.start as usize..range.end as usize))
}

/// The requests that a set of ranges becomes: near ones joined, long ones cut.
#[derive(Debug)]
pub(crate) struct Requests {
    /// What to read, ascending, none empty.
    pub(crate) spans: Vec<Range<u64>>,
}

impl Requests {
    /// Joins ranges at most `gap` bytes apart, then cuts what is longer than `part` into parts of that size.
    pub(crate) fn plan(
        path: &str,
        ranges: &[Range<u64>],
        gap: u64,
        part: u64,
    ) -> Result<Self, StorageError> {
        if let Some(range) = ranges.iter().find(|range| range.start > range.end) {
            return Err(not_exact(path, range, "a range that ends before it begins".to_owned()));
        }
        let mut wanted: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        wanted.sort_unstable_by_key(|range| (range.start, range.end));
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in wanted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(gap) => {
                    last.end = last.end.max(range.end);
                }
                _ => joined.push(range),
            }
        }
        Ok(Self { spans: joined.into_iter().flat_map(|span| cut(span, part)).collect() })
    }

    /// The bytes of each of `ranges` out of those of the spans.
    pub(crate) fn answer(&self, ranges: &[Range<u64>], spans: &[Bytes]) -> Vec<Bytes> {
        ranges.iter().map(|range| self.bytes_of(range, spans)).collect()
    }

    /// Spans may be shorter than planned if the object ends in them.
    fn bytes_of(&self, range: &Range<u64>, bytes: &[Bytes]) -> Bytes {
        if range.is_empty() {
            return Bytes::new();
        }
        let first = self.spans.partition_point(|span| span.end <= range.start);
        let overlap = |at: usize| {
            let (span, bytes) = (&self.spans[at], &bytes[at]);
            let clip = |offset: u64| (offset - span.start).min(bytes.len() as u64) as usize;
            bytes.slice(clip(range.start.max(span.start))..clip(range.end.min(span.end)))
        };
        if range.end <= self.spans[first].end {
            return overlap(first);
        }
        let within = (first..self.spans.len()).take_while(|&at| self.spans[at].start < range.end);
        let parts: Vec<Bytes> = within.map(overlap).collect();
        let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        whole.freeze()
    }
}

/// Cuts a span longer than `part` by more than half a part into parts.
fn cut(span: Range<u64>, part: u64) -> impl Iterator<Item = Range<u64>> {
    let len = span.end - span.start;
    // The last part takes what is left over if that is under half a part: a request for a sliver costs a round trip.
    let parts = (len / part + u64::from(len % part * 2 >= part)).max(1);
    (0..parts).map(move |n| {
        let end = if n + 1 == parts { span.end } else { span.start + (n + 1) * part };
        span.start + n * part..end
    })
}

#[cfg(test)]
mod tests;

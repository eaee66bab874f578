//! Checksums made right, so that what stands behind them is decoded.

use bytes::Bytes;
use infino_format::{Fetch, FormatError, Step, checksum};

/// `bytes` with the last four of them replaced by the CRC-32C of the rest; shorter bytes stay as they are.
pub fn tail(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    if let Some(body) = sealed.len().checked_sub(4) {
        let crc = checksum::crc32c(&sealed[..body]);
        sealed[body..].copy_from_slice(&crc.to_le_bytes());
    }
    sealed
}

/// `section` with the first `open_len` of its bytes sealed by [`tail`]; unchanged if it is not that long.
pub fn open(section: &[u8], open_len: u64) -> Vec<u8> {
    let mut sealed = section.to_vec();
    if let Some(open) = usize::try_from(open_len).ok().and_then(|len| section.get(..len)) {
        sealed[..open.len()].copy_from_slice(&tail(open));
    }
    sealed
}

/// Feeds `fetch` from `section`, each range sealed by [`tail`] when `sealed`, in at most `rounds_max` rounds.
///
/// # Errors
/// The computation's own, or that a range is not in the section.
pub fn feed<F: Fetch>(
    section: &Bytes,
    mut fetch: F,
    sealed: bool,
    rounds_max: usize,
) -> Result<F::Output, F::Error> {
    let mut bytes = Vec::new();
    for _ in 0..=rounds_max {
        let ranges = match fetch.step(bytes)? {
            Step::Done(output) => return Ok(output),
            Step::Ranges(ranges) => ranges,
        };
        bytes = Vec::with_capacity(ranges.len());
        for range in ranges {
            let found = section
                .get(range.start as usize..range.end as usize)
                .ok_or_else(|| FormatError::invalid("section", "a range is not in it"))?;
            bytes.push(if sealed { tail(found).into() } else { section.slice_ref(found) });
        }
    }
    panic!("still asks for bytes after {rounds_max} rounds");
}

//! Bytes as a vector section.

use bytes::Bytes;
use infino_format::FormatError;
use infino_vector::{IvfIndex, Neighbor, SearchParams, VectorError};

use crate::seal;

/// The rounds a search may take: a few, and one for each time it widens.
const ROUNDS_MAX: usize = 1 << 10;
/// What the lists' number and the dimension end at; they tell how long the open bytes are.
const SHAPE_LEN: usize = 16;

/// Opens `data` as a section and searches it: as it is in memory, then with its open bytes and every range sealed.
pub fn run(data: &[u8]) {
    let section = Bytes::copy_from_slice(data);
    if let Ok(index) = IvfIndex::resident(section.clone()) {
        for (params, query) in searches(index.dim()) {
            check(&index, index.search_resident(&query, &params, None));
        }
    }
    let shape = section.slice(..SHAPE_LEN.min(data.len()));
    let Some(open_len) = needed(IvfIndex::open(shape, 0)) else { return };
    let sealed = Bytes::from(seal::open(data, open_len));
    let len = needed(IvfIndex::open(sealed.clone(), u64::MAX)).unwrap_or_default();
    let Ok(index) = IvfIndex::open(sealed.clone(), len) else { return };
    // Many lists or dimensions are slow, not wrong.
    if index.dim() > 256 || index.nlist() > 256 {
        return;
    }
    for (params, query) in searches(index.dim()) {
        if let Ok(search) = index.search(&query, &params, None) {
            check(&index, seal::feed(&sealed, search, true, ROUNDS_MAX));
        }
    }
}

/// How many bytes it takes to open what these are the first of.
fn needed(opened: Result<IvfIndex, VectorError>) -> Option<u64> {
    match opened {
        Err(VectorError::Corrupt(FormatError::Truncated { needed, .. })) => Some(needed as u64),
        _ => None,
    }
}

fn check(index: &IvfIndex, answer: Result<Vec<Neighbor>, VectorError>) {
    if let Ok(hits) = answer {
        assert!(hits.len() <= index.len() as usize);
    }
}

/// Every kind of search, for floats and for bits.
fn searches(dim: usize) -> impl Iterator<Item = (SearchParams, Vec<f32>)> {
    let bits = |dim| query(dim).iter().map(|x| f32::from(u8::from(*x > 0.0))).collect();
    params().into_iter().flat_map(move |params| [(params.clone(), query(dim)), (params, bits(dim))])
}

/// A query of `dim` floats.
pub fn query(dim: usize) -> Vec<f32> {
    (0..dim).map(|i| (i % 5) as f32 - 1.5).collect()
}

/// Searches of every kind.
pub fn params() -> [SearchParams; 4] {
    let plain = SearchParams { k: 5, ..SearchParams::default() };
    [
        SearchParams { nprobe: Some(1), ..plain.clone() },
        SearchParams { exact: true, ..plain.clone() },
        SearchParams { within: Some(4.0), target_recall: Some(1.0), ..plain.clone() },
        plain,
    ]
}

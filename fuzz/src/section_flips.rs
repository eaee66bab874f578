//! Damaged bits: each gives an error or the answer of the sound section.

use std::sync::OnceLock;

use bytes::Bytes;
use infino_fts::{FtsReader, Hit};
use infino_vector::{IvfIndex, Neighbor};

use crate::{seeds, text_reader, vector_reader};

/// CRC-32C is sure to see so many flipped bits, whatever the length of what it covers.
const FLIPS_MAX: usize = 3;

struct Sound {
    text: Vec<u8>,
    hits: Vec<Option<(Vec<Hit>, u64)>>,
    vectors: Vec<u8>,
    neighbors: Vec<Option<Vec<Neighbor>>>,
}

/// Flips the bits of a section that `data` names, three bytes for each.
pub fn run(data: &[u8]) {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    let sound = SOUND.get_or_init(|| {
        let (text, vectors) = (seeds::text_section(), seeds::vector_section());
        let hits = ask_text(text.clone().into()).expect("a sound section");
        let neighbors = ask_vectors(vectors.clone().into()).expect("a sound section");
        Sound { text, hits, vectors, neighbors }
    });
    if let Some(found) = ask_text(flipped(&sound.text, data)) {
        for (found, right) in found.iter().zip(&sound.hits) {
            assert!(found.is_none() || found == right, "{found:?} is not {right:?}");
        }
    }
    if let Some(found) = ask_vectors(flipped(&sound.vectors, data)) {
        for (found, right) in found.iter().zip(&sound.neighbors) {
            assert!(found.is_none() || found == right, "{found:?} is not {right:?}");
        }
    }
}

fn flipped(section: &[u8], data: &[u8]) -> Bytes {
    let mut section = section.to_vec();
    for flip in data.chunks_exact(3).take(FLIPS_MAX) {
        let at = usize::from(u16::from_le_bytes([flip[0], flip[1]])) % section.len();
        section[at] ^= 1 << (flip[2] % 8);
    }
    section.into()
}

/// Each query's answer, `None` where it is an error; `None` if the section does not open or is of other fields.
fn ask_text(section: Bytes) -> Option<Vec<Option<(Vec<Hit>, u64)>>> {
    let reader = FtsReader::resident(section.clone()).ok()?;
    let asked = ["a", "b"].into_iter().flat_map(text_reader::queries);
    Some(asked.map(|query| text_reader::answer(&reader, &section, &query, false).ok()).collect())
}

fn ask_vectors(section: Bytes) -> Option<Vec<Option<Vec<Neighbor>>>> {
    let index = IvfIndex::resident(section).ok()?;
    let query = vector_reader::query(index.dim());
    let asked = vector_reader::params();
    Some(asked.iter().map(|params| index.search_resident(&query, params, None).ok()).collect())
}

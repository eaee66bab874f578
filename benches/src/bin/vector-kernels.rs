//! What the steps of a vector search take, each seen from outside: nanoseconds a code scanned, microseconds to order lists.
//!
//! `vector-kernels [ROUNDS]`: vectors are random; times are the least of all rounds, so that a busy machine shows less.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::error::Error;
use std::time::Instant;

use infino_format::schema::{Metric, RerankCodec};
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};

/// Numbers from 0 to 1 that are the same every time, by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 40) as f32 / (1u64 << 24) as f32
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(300), |rounds| rounds.parse())?;
    for dim in [384, 768, 1024] {
        // Codes alone, and few enough to stay in the second cache.
        let rows = 4_000;
        let (index, query) = index(dim, rows, 8, RerankCodec::None)?;
        let few = search_us(&index, &query, 1, rounds)?;
        let all = search_us(&index, &query, 8, rounds)?;
        let (_, counts) = index.search_counted(&query, &params(1), None)?;
        let scanned = rows - counts.scanned;
        println!("{dim} dimensions: {:.2} ns a code", (all - few) * 1e3 / f64::from(scanned));
    }
    for (dim, lists) in [(384, 1024), (768, 4096)] {
        let (index, query) = index(dim, 2 * lists, lists, RerankCodec::None)?;
        let us = search_us(&index, &query, 1, rounds)?;
        println!("{dim} dimensions, {} lists: {us:.1} µs to visit one", index.nlist());
    }
    Ok(())
}

fn params(nprobe: u32) -> SearchParams {
    SearchParams { k: 1, nprobe: Some(nprobe), ..Default::default() }
}

fn index(
    dim: usize,
    rows: u32,
    nlist: u32,
    rerank: RerankCodec,
) -> Result<(IvfIndex, Vec<f32>), Box<dyn Error>> {
    let mut random = Random(dim as u64);
    let spec = IvfSpec { rerank, nlist: Some(nlist), ..IvfSpec::new(dim, Metric::L2) };
    let mut builder = IvfBuilder::new(spec, BuildOptions::default())?;
    for doc in 0..rows {
        let vector: Vec<f32> = (0..dim).map(|_| random.next()).collect();
        builder.push(doc, &vector)?;
    }
    let query = (0..dim).map(|_| random.next()).collect();
    Ok((IvfIndex::resident(builder.finish()?.0.into())?, query))
}

/// Microseconds of a search, the least of all rounds.
fn search_us(
    index: &IvfIndex,
    query: &[f32],
    nprobe: u32,
    rounds: u32,
) -> Result<f64, Box<dyn Error>> {
    let params = params(nprobe);
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let started = Instant::now();
        std::hint::black_box(index.search_resident(query, &params, None)?);
        least = least.min(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(least)
}

//! Builds an index over a file of vectors, saves it, and prints what share of the exact neighbours it finds, how fast.
//!
//! `cargo run --release -p infino-vector --example recall -- base.fvecs query.npy l2`: files are `.fvecs`, `.bvecs` or
//! `.npy` (two-dimensional, little-endian floats); the metric is `l2`, `cosine` or `ip`.
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::Instant;

use infino_format::schema::Metric;
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Vectors of one dimension, one after the other.
struct Vectors {
    dim: usize,
    floats: Vec<f32>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base, queries, metric] = args.as_slice() else {
        return Err("usage: recall BASE QUERIES l2|cosine|ip".into());
    };
    let metric = match metric.as_str() {
        "l2" => Metric::L2,
        "cosine" => Metric::Cosine,
        "ip" => Metric::InnerProduct,
        other => return Err(format!("unknown metric {other:?}").into()),
    };
    let (rows, queries) = (read(base)?, read(queries)?);

    let started = Instant::now();
    let mut builder = IvfBuilder::new(IvfSpec::new(rows.dim, metric), BuildOptions::default())?;
    for (doc, vector) in (0..).zip(rows.floats.chunks_exact(rows.dim)) {
        builder.push(doc, vector)?;
    }
    let path = format!("{base}.ivf");
    let mut file = BufWriter::new(File::create(&path)?);
    let built = builder.finish_to(&mut file)?;
    file.flush()?;
    println!(
        "{} vectors of {} floats in {:.1} s; {path}: {} bytes a row",
        built.vectors,
        rows.dim,
        started.elapsed().as_secs_f64(),
        built.len / u64::from(built.vectors.max(1))
    );

    let index = IvfIndex::open_file(&path)?;
    let exact = SearchParams { exact: true, ..Default::default() };
    let truth = index.search_batch(&queries.floats, &exact, None)?;
    println!("target  recall@10  lists  µs a query");
    for target in [0.8, 0.9, 0.95, 0.99] {
        let params = SearchParams { target_recall: Some(target), ..Default::default() };
        let started = Instant::now();
        let (mut found, mut wanted) = (0, 0);
        for (query, truth) in queries.floats.chunks_exact(queries.dim).zip(&truth) {
            let hits = index.search_resident(query, &params, None)?;
            wanted += truth.len();
            found += hits.iter().filter(|hit| truth.iter().any(|near| near.doc == hit.doc)).count();
        }
        let micros = started.elapsed().as_secs_f64() * 1e6 / truth.len().max(1) as f64;
        let recall = found as f64 / wanted.max(1) as f64;
        println!("{target:6}  {recall:9.4}  {:5}  {micros:.0}", index.nprobe(&params));
    }
    Ok(())
}

fn read(path: &str) -> Result<Vectors> {
    let bytes = fs::read(path)?;
    let vectors = match path.rsplit('.').next() {
        Some("fvecs") => vecs(&bytes, 4, floats),
        Some("bvecs") => vecs(&bytes, 1, |bytes| bytes.iter().map(|&x| f32::from(x)).collect()),
        Some("npy") => npy(&bytes),
        _ => None,
    };
    vectors.ok_or_else(|| format!("{path} is no .fvecs, .bvecs or .npy file of floats").into())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let four = bytes.chunks_exact(4);
    four.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("chunks of 4"))).collect()
}

/// Each vector behind its dimension, a 32-bit integer.
fn vecs(mut bytes: &[u8], width: usize, decode: fn(&[u8]) -> Vec<f32>) -> Option<Vectors> {
    let dim = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*head) as usize != dim || rest.len() < dim * width {
            return None;
        }
        let (vector, rest) = rest.split_at(dim * width);
        all.extend(decode(vector));
        bytes = rest;
    }
    Some(Vectors { dim, floats: all })
}

/// A header that names type and shape, then the floats row by row.
fn npy(bytes: &[u8]) -> Option<Vectors> {
    let wide = *bytes.strip_prefix(b"\x93NUMPY")?.first()? > 1;
    let (at, len) = if wide {
        (12, u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize)
    } else {
        (10, usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)))
    };
    let header = std::str::from_utf8(bytes.get(at..at + len)?).ok()?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let dim = shape.split(',').nth(1)?.trim().parse().ok()?;
    Some(Vectors { dim, floats: floats(&bytes[at + len..]) })
}

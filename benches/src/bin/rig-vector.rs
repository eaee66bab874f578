//! The vector index as an engine of the peer rig: JSON requests on standard input, one reply each on standard output.
//!
//! `info`, `build`, `open` and `search`; vectors are little-endian floats in files, answers row numbers in a file.
//! Settings are target recalls, so what is measured is what the calibration of the index makes of them. A search with
//! `"counts": true` adds averages: the lists, rows scanned and rows reranked, and the rounds, ranges and bytes of a search
//! that reads by range.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "standard output is the protocol")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use infino_format::schema::{Metric, RerankCodec};
use infino_format::{DocSet, Fetch, Step};
use infino_vector::{BuildOptions, IvfBuilder, IvfIndex, IvfSpec, SearchParams};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const RECALLS: [f64; 7] = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

fn main() -> Result<()> {
    let mut engine = Engine::default();
    for line in std::io::stdin().lock().lines() {
        let reply = match serde_json::from_str(&line?) {
            Ok(request) => engine.answer(&request),
            Err(error) => Err(error.into()),
        };
        println!("{}", reply.unwrap_or_else(|error| json!({ "error": error.to_string() })));
        std::io::stdout().flush()?;
    }
    Ok(())
}

#[derive(Default)]
struct Engine {
    open: Option<(IvfIndex, Bytes, Vec<i32>)>,
}

impl Engine {
    fn answer(&mut self, request: &Value) -> Result<Value> {
        match text(request, "op")? {
            "info" => {
                let settings: Vec<Value> = RECALLS.map(|recall| json!({ "recall": recall })).into();
                Ok(json!({ "settings": settings, "filters": true }))
            }
            "build" => build(request),
            "open" => {
                let dir = Path::new(text(request, "dir")?);
                let section = Bytes::from(fs::read(dir.join("index.ivf"))?);
                let attr = fs::read(dir.join("attr.i32"))?;
                let attr = attr.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()));
                self.open = Some((IvfIndex::resident(section.clone())?, section, attr.collect()));
                Ok(json!({}))
            }
            "search" => {
                let (index, section, attr) = self.open.as_ref().ok_or("search before open")?;
                search(index, section, attr, request)
            }
            other => Err(format!("unknown op {other:?}").into()),
        }
    }
}

fn build(request: &Value) -> Result<Value> {
    let dir = Path::new(text(request, "dir")?);
    let metric = match text(request, "metric")? {
        "cosine" => Metric::Cosine,
        "l2" => Metric::L2,
        "ip" => Metric::InnerProduct,
        other => return Err(format!("unknown metric {other:?}").into()),
    };
    let rerank = match std::env::var("RERANK").as_deref() {
        Ok("none") => RerankCodec::None,
        Ok("f32") => RerankCodec::F32,
        _ => RerankCodec::Sq8Residual,
    };
    let dim = number(request, "dim")?;
    let extra_bits = std::env::var("EXTRA_BITS").map_or(Ok(0), |bits| bits.parse())?;
    let spec = IvfSpec { rerank, extra_bits, ..IvfSpec::new(dim, metric) };
    let options = BuildOptions {
        threads: number(request, "threads")?,
        scratch_dir: Some(dir.to_path_buf()),
        ..Default::default()
    };
    let started = Instant::now();
    let mut builder = IvfBuilder::new(spec, options)?;
    let mut vectors =
        std::io::BufReader::with_capacity(1 << 20, File::open(text(request, "vectors")?)?);
    let mut row = vec![0; dim * 4];
    let mut vector = Vec::with_capacity(dim);
    for doc in 0..number(request, "n")? {
        std::io::Read::read_exact(&mut vectors, &mut row)?;
        vector.clear();
        vector.extend(floats(&row));
        builder.push(doc as u32, &vector)?;
    }
    let pushed_s = started.elapsed().as_secs_f64();
    let mut out = BufWriter::new(File::create(dir.join("index.ivf"))?);
    let built = builder.finish_to(&mut out)?;
    out.flush()?;
    fs::copy(text(request, "attr")?, dir.join("attr.i32"))?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(
        json!({ "len": built.len, "open_len": built.open_len, "push_s": pushed_s, "build_s": seconds }),
    )
}

fn search(index: &IvfIndex, section: &Bytes, attr: &[i32], request: &Value) -> Result<Value> {
    let (nq, k) = (number(request, "nq")?, number(request, "k")?);
    let clients = number(request, "clients").unwrap_or(1).max(1);
    let bytes = fs::read(text(request, "queries")?)?;
    let all: Vec<f32> = floats(&bytes).collect();
    let queries: Vec<&[f32]> = all.chunks_exact(index.dim()).take(nq).collect();
    let params = SearchParams {
        k,
        nprobe: request["params"]["nprobe"].as_u64().map(|nprobe| nprobe as u32),
        target_recall: request["params"]["recall"].as_f64().map(|recall| recall as f32),
        exact: request["params"]["exact"].as_bool().unwrap_or(false),
        bound: request["params"]["bound"].as_f64().map(|bound| bound as f32),
        ..Default::default()
    };
    let allowed = request["filter"]["attr_lt"].as_i64().map(|limit| {
        let mut allowed = DocSet::empty(attr.len() as u32);
        allowed.extend((0..attr.len() as u32).filter(|&i| i64::from(attr[i as usize]) < limit));
        allowed
    });
    let started = Instant::now();
    let parts: Vec<(Vec<f64>, Vec<i64>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = queries
            .chunks(nq.div_ceil(clients).max(1))
            .map(|queries| scope.spawn(|| client(index, queries, &params, allowed.as_ref())))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client ran")).collect()
    });
    let wall_s = started.elapsed().as_secs_f64();
    let latencies: Vec<f64> = parts.iter().flat_map(|part| part.0.iter().copied()).collect();
    let ids: Vec<u8> =
        parts.iter().flat_map(|part| &part.1).flat_map(|id| id.to_le_bytes()).collect();
    fs::write(text(request, "out")?, ids)?;
    let mut reply = json!({ "lat_us": latencies, "wall_s": wall_s });
    if request["counts"] == json!(true) {
        let mut totals = [0u64; 3];
        for query in &queries {
            let (_, counts) = index.search_counted(query, &params, allowed.as_ref())?;
            for (total, count) in
                totals.iter_mut().zip([counts.lists, counts.scanned, counts.reranked])
            {
                *total += u64::from(count);
            }
        }
        let mut reads = [0u64; 3];
        for query in &queries {
            let mut search = index.search(query, &params, allowed.as_ref())?;
            let mut bytes = Vec::new();
            while let Step::Ranges(ranges) = search.step(bytes)? {
                let read =
                    |range: &Range<u64>| section.slice(range.start as usize..range.end as usize);
                bytes = ranges.iter().map(read).collect();
                reads[0] += 1;
                reads[1] += ranges.len() as u64;
                reads[2] += ranges.iter().map(|range| range.end - range.start).sum::<u64>();
            }
        }
        let reads = reads.map(|read| read as f64 / nq as f64);
        reply["rounds"] = json!(reads[0]);
        reply["ranges"] = json!(reads[1]);
        reply["bytes"] = json!(reads[2]);
        let mean = totals.map(|total| total as f64 / nq as f64);
        reply["lists"] = json!(mean[0]);
        reply["scanned"] = json!(mean[1]);
        reply["reranked"] = json!(mean[2]);
    }
    Ok(reply)
}

/// One client's queries, one after the other: microseconds of each, and the rows found, -1 where there is none.
fn client(
    index: &IvfIndex,
    queries: &[&[f32]],
    params: &SearchParams,
    allowed: Option<&DocSet>,
) -> (Vec<f64>, Vec<i64>) {
    let (mut latencies, mut ids) = (Vec::new(), Vec::new());
    for query in queries {
        let started = Instant::now();
        let hits = index.search_resident(query, params, allowed).expect("the query is sound");
        latencies.push(started.elapsed().as_secs_f64() * 1e6);
        ids.extend(hits.iter().map(|hit| i64::from(hit.doc)));
        ids.resize(latencies.len() * params.k, -1);
    }
    (latencies, ids)
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("chunks of 4")))
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str> {
    request[key].as_str().ok_or_else(|| format!("{key} is missing").into())
}

fn number(request: &Value, key: &str) -> Result<usize> {
    request[key].as_u64().map(|x| x as usize).ok_or_else(|| format!("{key} is missing").into())
}

//! The full-text index behind the JSON-lines protocol of the peer rig: one request a line, one answer a line.
//!
//! Operations: `ready`, `build` (a corpus of JSON lines `{"id", "text"}` to a folder), `open`, `search`, `count`, `qps`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_format::{DocSet, Fetch};
use infino_fts::{
    Boolean, BuildOptions, CorpusStats, FtsBuilder, FtsError, FtsReader, Hit, Query, RowMap,
    merge_sections,
};
use serde_json::{Value, json};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Texts that are compressed together.
const TEXTS_A_BLOCK: usize = 8;

fn main() -> Result<()> {
    let mut engine: Option<Arc<Engine>> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = match request["op"].as_str().unwrap_or_default() {
            "ready" => Ok(json!({})),
            "build" => build(&request),
            "open" => Engine::open(&request).map(|open| {
                engine = Some(Arc::new(open));
                json!({})
            }),
            op => match &engine {
                None => Err("nothing is open".into()),
                Some(engine) => engine.answer(op, &request),
            },
        };
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn text_of<'a>(request: &'a Value, key: &str) -> Result<&'a str> {
    request[key].as_str().ok_or_else(|| format!("the request has no {key}").into())
}

fn build(request: &Value) -> Result<Value> {
    let dir = Path::new(text_of(request, "dir")?);
    let corpus = BufReader::with_capacity(
        1 << 20,
        File::open(format!("{}.jsonl", text_of(request, "corpus")?))?,
    );
    let positions = request["positions"].as_bool().unwrap_or(true);
    let field = TextIndex {
        column: "text".into(),
        analyzer: "standard-v1".into(),
        positions,
        stored: true,
    };
    let mut store = StoreWriter::create(dir)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(dir.join("index.fts"))?);
    let threads = request["threads"].as_u64().unwrap_or(1);
    let mut indexing = Duration::ZERO;
    if threads > 1 {
        let texts = corpus.lines().map(|line| parse(&line?)).collect::<Result<Vec<_>>>()?;
        for (id, text) in &texts {
            store.push(*id, text)?;
        }
        let begin = Instant::now();
        build_parts(&field, &texts, threads as usize, &mut out)?;
        indexing += begin.elapsed();
    } else {
        let mut builder = FtsBuilder::new(&[field], BuildOptions::default())?;
        for line in corpus.lines() {
            let (id, text) = parse(&line?)?;
            let begin = Instant::now();
            builder.push(&[Some(&text)])?;
            indexing += begin.elapsed();
            store.push(id, &text)?;
        }
        let begin = Instant::now();
        builder.finish_to(&mut out)?;
        indexing += begin.elapsed();
    }
    store.finish()?;
    out.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "indexing_seconds": indexing.as_secs_f64() }))
}

fn parse(line: &str) -> Result<(i64, String)> {
    let row: Value = serde_json::from_str(line)?;
    Ok((row["id"].as_i64().unwrap_or_default(), text_of(&row, "text")?.to_owned()))
}

/// Builds a section of every thread's share of `texts`, and one of these.
fn build_parts(
    field: &TextIndex,
    texts: &[(i64, String)],
    threads: usize,
    out: &mut dyn Write,
) -> Result<()> {
    let share = texts.len().div_ceil(threads).max(1);
    let sections = std::thread::scope(|scope| {
        let build = |texts: &[(i64, String)]| -> Result<Bytes, FtsError> {
            let mut builder =
                FtsBuilder::new(std::slice::from_ref(field), BuildOptions::default())?;
            for (_, text) in texts {
                builder.push(&[Some(text)])?;
            }
            Ok(builder.finish()?.0.into())
        };
        let parts: Vec<_> =
            texts.chunks(share).map(|texts| scope.spawn(move || build(texts))).collect();
        parts
            .into_iter()
            .map(|part| part.join().expect("a builder does not panic"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut inputs = Vec::new();
    let mut first = 0;
    for section in sections {
        let reader = FtsReader::resident(section)?;
        let rows = reader.rows();
        inputs.push((reader, RowMap::kept(&DocSet::full(rows), first)));
        first += rows;
    }
    merge_sections(&inputs, None, &BuildOptions::default(), out)?;
    Ok(())
}

/// Keeps ids and texts beside the index, compressed, as the columns of a table would.
struct StoreWriter {
    texts: BufWriter<File>,
    directory: BufWriter<File>,
    block: Vec<u8>,
    len: usize,
    at: u64,
}

impl StoreWriter {
    fn create(dir: &Path) -> Result<Self> {
        let file = |name| File::create(dir.join(name)).map(BufWriter::new);
        Ok(Self {
            texts: file("texts")?,
            directory: file("directory")?,
            block: vec![],
            len: 0,
            at: 0,
        })
    }

    fn push(&mut self, id: i64, text: &str) -> Result<()> {
        self.directory.write_all(&id.to_le_bytes())?;
        self.block.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.block.extend_from_slice(text.as_bytes());
        self.len += 1;
        if self.len == TEXTS_A_BLOCK {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let bytes = zstd::bulk::compress(&self.block, 3)?;
        self.texts.write_all(&bytes)?;
        self.directory.write_all(&self.at.to_le_bytes())?;
        self.at += bytes.len() as u64;
        self.block.clear();
        self.len = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        if self.len > 0 {
            self.close()?;
        }
        self.texts.flush()?;
        self.directory.flush()?;
        Ok(())
    }
}

struct Engine {
    section: Bytes,
    reader: FtsReader,
    ids: Vec<i64>,
    blocks: Vec<u64>,
    texts: Vec<u8>,
}

impl Engine {
    fn open(request: &Value) -> Result<Self> {
        let dir = Path::new(text_of(request, "dir")?);
        let section = Bytes::from(std::fs::read(dir.join("index.fts"))?);
        let reader = FtsReader::resident(section.clone())?;
        let directory = std::fs::read(dir.join("directory"))?;
        let numbers = directory
            .chunks_exact(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().expect("eight bytes")));
        let (mut ids, mut blocks) = (Vec::new(), Vec::new());
        let rows = reader.rows() as usize;
        for number in numbers {
            let closed = ids.len() == rows || !ids.is_empty() && ids.len() % TEXTS_A_BLOCK == 0;
            if closed && blocks.len() < ids.len().div_ceil(TEXTS_A_BLOCK) {
                blocks.push(number as u64);
            } else {
                ids.push(number);
            }
        }
        let texts = std::fs::read(dir.join("texts"))?;
        blocks.push(texts.len() as u64);
        Ok(Self { section, reader, ids, blocks, texts })
    }

    fn answer(&self, op: &str, request: &Value) -> Result<Value> {
        let k = request["k"].as_u64().unwrap_or(10) as usize;
        match op {
            "search" => {
                let query = query(&request["query"])?;
                let fetch = request["fetch"].as_bool().unwrap_or(false);
                let us = timed(request, || {
                    let hits = self.search(&query, k)?;
                    if fetch {
                        for hit in &hits {
                            std::hint::black_box(self.text(hit.doc)?);
                        }
                    }
                    Ok(())
                })?;
                let mut answer = json!({ "us": us });
                if request["hits"].as_bool().unwrap_or(false) {
                    let hits = self.search(&query, k)?;
                    answer["ids"] = hits.iter().map(|hit| self.ids[hit.doc as usize]).collect();
                    answer["scores"] = hits.iter().map(|hit| f64::from(hit.score)).collect();
                }
                Ok(answer)
            }
            "count" => {
                let query = query(&request["query"])?;
                let us = timed(request, || self.count(&query).map(|_| ()))?;
                Ok(json!({ "us": us, "count": self.count(&query)? }))
            }
            "qps" => self.qps(request, k),
            other => Err(format!("no operation {other:?}").into()),
        }
    }

    fn search(&self, query: &Query, k: usize) -> Result<Vec<Hit>> {
        let prepared = self.run(self.reader.prepare(query)?)?;
        let stats = CorpusStats::of(&self.reader, &prepared);
        Ok(self.run(self.reader.search(&prepared, &stats, k, None, None)?)?)
    }

    fn count(&self, query: &Query) -> Result<u64> {
        let prepared = self.run(self.reader.prepare(query)?)?;
        Ok(self.run(self.reader.count(&prepared, None)?)?)
    }

    fn run<F: Fetch<Error = FtsError>>(&self, fetch: F) -> Result<F::Output, FtsError> {
        run_resident(&self.section, fetch)
    }

    fn text(&self, doc: u32) -> Result<String> {
        let block = doc as usize / TEXTS_A_BLOCK;
        let bytes = &self.texts[self.blocks[block] as usize..self.blocks[block + 1] as usize];
        let mut rest = &zstd::decode_all(bytes)?[..];
        for _ in 0..doc as usize % TEXTS_A_BLOCK {
            let len = u32::from_le_bytes(rest[..4].try_into()?) as usize;
            rest = &rest[4 + len..];
        }
        let len = u32::from_le_bytes(rest[..4].try_into()?) as usize;
        Ok(String::from_utf8(rest[4..4 + len].to_vec())?)
    }

    fn qps(&self, request: &Value, k: usize) -> Result<Value> {
        let queries = request["queries"]
            .as_array()
            .into_iter()
            .flatten()
            .map(query)
            .collect::<Result<Vec<_>>>()?;
        if queries.is_empty() {
            return Err("no queries".into());
        }
        let clients = request["clients"].as_u64().unwrap_or(1).max(1);
        let wanted = Duration::from_secs_f64(request["seconds"].as_f64().unwrap_or(1.0));
        let begin = Instant::now();
        let done: Result<u64> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients as usize)
                .map(|client| {
                    let queries = &queries;
                    scope.spawn(move || -> Result<u64> {
                        let mut done = 0;
                        while begin.elapsed() < wanted {
                            for i in 0..queries.len().min(16) {
                                let at = (done as usize + i + client * 7) % queries.len();
                                self.search(&queries[at], k)?;
                            }
                            done += queries.len().min(16) as u64;
                        }
                        Ok(done)
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("a client does not panic")).sum()
        });
        Ok(json!({ "qps": done? as f64 / begin.elapsed().as_secs_f64() }))
    }
}

/// Calls `call` `n` times, fewer if `budget` seconds are over; the microseconds of each.
fn timed(request: &Value, mut call: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let n = request["n"].as_u64().unwrap_or(1);
    let budget = request["budget"].as_f64().unwrap_or(f64::INFINITY);
    let begin = Instant::now();
    let mut us = Vec::new();
    for _ in 0..n {
        let start = Instant::now();
        call()?;
        us.push(start.elapsed().as_nanos() as f64 / 1e3);
        if begin.elapsed().as_secs_f64() > budget {
            break;
        }
    }
    Ok(us)
}

fn query(wire: &Value) -> Result<Query> {
    let words = |key: &str| -> Vec<String> {
        wire[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let field = || "text".to_owned();
    let term = |text: String| Query::Term { field: field(), text };
    let terms = words("terms");
    let query = match text_of(wire, "op")? {
        "or" if terms.len() == 1 => term(terms[0].clone()),
        "or" => Query::any(terms.into_iter().map(term).collect()),
        "and" => Query::all(terms.into_iter().map(term).collect()),
        "phrase" => Query::phrase("text", terms.join(" ")),
        "prefix" => Query::Prefix { field: field(), text: terms[0].clone() },
        "fuzzy" => Query::Fuzzy {
            field: field(),
            text: terms[0].clone(),
            distance: Some(1),
            prefix: 0,
            transpositions: false,
        },
        other => return Err(format!("no kind of query {other:?}").into()),
    };
    let not = words("not");
    if not.is_empty() {
        return Ok(query);
    }
    let must_not = not.into_iter().map(term).collect();
    Ok(match query {
        Query::Boolean(all) => Query::Boolean(Boolean { must_not, ..all }),
        one => Query::Boolean(Boolean { must: vec![one], must_not, ..Boolean::default() }),
    })
}

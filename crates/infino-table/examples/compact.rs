//! What compaction costs: `compact [FILES] [ROWS_A_FILE]`.
//!
//! Builds a table of so many files of text and vectors, merges them into one while a reader and a writer go on, kills a
//! third of the rows and reclaims them. Prints rates beside that of the build, the most memory taken, how long the others
//! waited, the time of searches before and after, and what lies in storage.
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::TryStreamExt;
use infino_format::DocSet;
use infino_format::schema::{IndexSet, Metric, RerankCodec, TextIndex, VectorIndex};
use infino_format::summary::SuperfileSummary;
use infino_storage::{MemoryStore, Store};
use infino_superfile::Superfile;
use infino_table::query::{Hit, text, vector};
use infino_table::{CompactOptions, RowFilter, Runtime, Table, TableError, TableOptions};
use infino_vector::SearchParams;

const DIM: usize = 64;
const WORDS: [&str; 24] = [
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "island", "jungle",
    "kelp", "lagoon", "meadow", "north", "ocean", "prairie", "quartz", "river", "summit", "tundra",
    "upland", "valley", "willow", "yonder",
];

/// SplitMix64 of a seed.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn body(row: u64) -> String {
    let word = |i: u64| {
        // Words of uneven frequency, and one of many that are rare.
        let at = (mix(row * 64 + i) as f64 / u64::MAX as f64).powi(3) * WORDS.len() as f64;
        WORDS[at as usize % WORDS.len()]
    };
    let words: Vec<_> = (0..20).map(word).collect();
    format!("{} rare{}", words.join(" "), mix(row) % 5000)
}

fn near(row: u64) -> impl Iterator<Item = f32> {
    let center = mix(row) % 200;
    (0..DIM as u64).map(move |i| {
        let unit = |seed: u64| (mix(seed) >> 40) as f32 / (1u64 << 24) as f32;
        unit(center * 1000 + i) + 0.3 * unit(row * 1000 + i + 7)
    })
}

fn schema() -> Schema {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("body", DataType::Utf8, true),
        Field::new("near", DataType::FixedSizeList(item, DIM as i32), true),
    ])
}

fn batch(rows: std::ops::Range<u64>) -> Result<RecordBatch, TableError> {
    let n: Int64Array = rows.clone().map(|row| Some(row as i64)).collect();
    let text: StringArray = rows.clone().map(|row| Some(body(row))).collect();
    let values: Float32Array = rows.flat_map(near).map(Some).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let near = FixedSizeListArray::try_new(item, DIM as i32, Arc::new(values), None)?;
    let columns: Vec<ArrayRef> = vec![Arc::new(n), Arc::new(text), Arc::new(near)];
    Ok(RecordBatch::try_new(Arc::new(schema()), columns)?)
}

/// Three rows of ten.
#[derive(Debug)]
struct ThreeOfTen;

#[async_trait]
impl RowFilter for ThreeOfTen {
    fn may_match(&self, _: &SuperfileSummary) -> bool {
        true
    }

    async fn rows(&self, file: &Superfile) -> Result<DocSet, TableError> {
        let batches: Vec<_> = file.scan(Some(&["n"]), None).await?.try_collect().await?;
        let mut found = DocSet::empty(file.row_count());
        let mut at = 0;
        for batch in &batches {
            let numbers = batch.column(0).as_any().downcast_ref::<Int64Array>();
            for n in numbers.expect("column n is of Int64").values() {
                if mix(*n as u64) % 10 < 3 {
                    found.insert(at);
                }
                at += 1;
            }
        }
        Ok(found)
    }
}

/// What the system says of this process's memory, in MiB: `VmRSS:` now, `VmHWM:` at most since the last reset.
fn resident_mib(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn reset_peak() {
    // Where the system has no such file the peak is of the whole run.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The questions of a round.
fn ask(round: u64) -> (infino_fts::Query, Vec<f32>, SearchParams) {
    let word = |i: u64| infino_fts::Query::term("body", WORDS[(round + i) as usize % WORDS.len()]);
    let query = infino_fts::Query::any(vec![word(0), word(7), word(11)]);
    (query, near(round * 977 + 5).collect(), SearchParams { k: 10, ..SearchParams::default() })
}

async fn search(table: &Table, round: u64) -> Result<Vec<Hit>, TableError> {
    let snapshot = table.pin().await?;
    let (query, wanted, params) = ask(round);
    vector::search(table, &snapshot, "near", &wanted, &params, None).await?;
    text::search(table, &snapshot, &query, 10, None).await
}

/// Medians of searches, in microseconds.
#[derive(Clone, Copy)]
struct Speed {
    text: f64,
    vector: f64,
}

impl Speed {
    async fn of(table: &Table) -> Result<Self, TableError> {
        let snapshot = table.snapshot();
        let (mut texts, mut vectors) = (Vec::new(), Vec::new());
        for round in 0..220 {
            let (query, wanted, params) = ask(round);
            let began = Instant::now();
            text::search(table, &snapshot, &query, 10, None).await?;
            texts.push(began.elapsed().as_secs_f64() * 1e6);
            let began = Instant::now();
            vector::search(table, &snapshot, "near", &wanted, &params, None).await?;
            vectors.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let median = |times: &mut Vec<f64>| {
            let mut times = times.split_off(20);
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        Ok(Self { text: median(&mut texts), vector: median(&mut vectors) })
    }

    fn print(self, what: &str, beside: Self) {
        println!(
            "{what}: text {:.0} us ({:.2} x), vectors {:.0} us ({:.2} x)",
            self.text,
            self.text / beside.text,
            self.vector,
            self.vector / beside.vector
        );
    }
}

/// A reader and a writer that go on until they are stopped.
struct Beside {
    stop: Arc<AtomicBool>,
    tasks: [tokio::task::JoinHandle<Result<(Duration, u64), TableError>>; 2],
}

impl Beside {
    fn start(table: &Table, from: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |writes: bool| {
            let (table, stop) = (table.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut most, mut count) = (Duration::ZERO, 0);
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    match writes {
                        true => append(&table, &batch(from + count..from + count + 1)?).await?,
                        false => drop(search(&table, count).await?),
                    }
                    most = most.max(began.elapsed());
                    count += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok((most, count))
            })
        };
        let tasks = [task(false), task(true)];
        Self { stop, tasks }
    }

    async fn stop(self, what: &str) -> Result<(), Box<dyn Error>> {
        self.stop.store(true, Ordering::Relaxed);
        let [reader, writer] = self.tasks;
        let (reads, writes) = (reader.await??, writer.await??);
        println!(
            "beside {what}: {} searches, the longest {:.1?}; {} commits, the longest {:.1?}",
            reads.1, reads.0, writes.1, writes.0
        );
        Ok(())
    }
}

async fn append(table: &Table, rows: &RecordBatch) -> Result<(), TableError> {
    let mut writer = table.writer();
    writer.append(rows).await?;
    writer.commit().await.map(drop)
}

async fn table(store: Arc<dyn Store>, threads: usize) -> Result<Table, TableError> {
    let text = TextIndex {
        column: "body".into(),
        analyzer: "standard-v1".into(),
        positions: false,
        stored: true,
    };
    let vector = VectorIndex {
        column: "near".into(),
        dim: DIM as u32,
        metric: Metric::L2,
        rerank: RerankCodec::Sq8Residual,
        target_recall_millis: 950,
        stored: true,
    };
    let indexes = IndexSet { text: vec![text], vectors: vec![vector], ..IndexSet::default() };
    let stored = infino_superfile::table_schema(&schema(), indexes)?;
    let options = TableOptions { probe: false, buffer_bytes: 1 << 40, ..TableOptions::default() };
    Table::create(store, "t", stored, Runtime::new(threads)?, options).await
}

/// The rows as `files` files, and as one.
async fn build(store: Arc<dyn Store>, files: u64, rows: u64) -> Result<Table, TableError> {
    let many = table(store, 1).await?;
    let one = table(Arc::new(MemoryStore::new()), 1).await?;
    let mut writer = one.writer();
    let (mut apart, mut whole) = (Duration::ZERO, Duration::ZERO);
    for file in 0..files {
        let batch = batch(file * rows..(file + 1) * rows)?;
        let began = Instant::now();
        append(&many, &batch).await?;
        apart += began.elapsed();
        let began = Instant::now();
        writer.append(&batch).await?;
        whole += began.elapsed();
    }
    reset_peak();
    let (resting, began) = (resident_mib("VmRSS:"), Instant::now());
    writer.commit().await?;
    whole += began.elapsed();
    let rate = |took: Duration| (files * rows) as f64 / took.as_secs_f64();
    println!(
        "built: {:.0} rows/s in {} files, {:.0} rows/s as one, which takes {} MiB",
        rate(apart),
        many.snapshot().entries.len(),
        rate(whole),
        resident_mib("VmHWM:").saturating_sub(resting),
    );
    Ok(many)
}

async fn compact(table: &Table, rows: u64) -> Result<(), TableError> {
    let before = search(table, 3).await?;
    let many = Speed::of(table).await?;
    reset_peak();
    let (resting, began) = (resident_mib("VmRSS:"), Instant::now());
    let report = table.compact(&CompactOptions::default()).await?;
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} files became {}: {:.0} rows/s, {:.1} MB/s; {} MiB",
        report.superfiles_removed,
        report.superfiles_added,
        rows as f64 / took,
        report.bytes_read as f64 / 1e6 / took,
        resident_mib("VmHWM:").saturating_sub(resting),
    );
    let after = search(table, 3).await?;
    let says =
        |hits: &[Hit]| hits.iter().map(|hit| (hit.row, hit.value.to_bits())).collect::<Vec<_>>();
    println!("text answers equal to the bit: {}", says(&before) == says(&after));
    many.print("many files against one", Speed::of(table).await?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |or: u64| args.next().map_or(Ok(or), |count| count.parse::<u64>());
    let (files, rows) = (number(64)?, number(4000)?);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let table = build(store.clone(), files, rows).await?;
    let beside = Beside::start(&table, 1 << 40);
    tokio::time::sleep(Duration::from_secs(2)).await;
    beside.stop("nothing").await?;
    compact(&table, files * rows).await?;
    let full = Speed::of(&table).await?;

    let began = Instant::now();
    let killed = table.delete(Arc::new(ThreeOfTen)).await?.matched;
    println!("{killed} rows killed in {:.1?}", began.elapsed());
    Speed::of(&table).await?.print("with dead rows", full);
    let stored = async || -> Result<u64, TableError> {
        Ok(store.list("t/").await?.iter().map(|object| object.len).sum())
    };
    let before = stored().await?;

    let beside = Beside::start(&table, 1 << 41);
    let began = Instant::now();
    table.optimize(Duration::ZERO).await?;
    println!("optimized in {:.1?}", began.elapsed());
    beside.stop("optimize").await?;
    table.optimize(Duration::ZERO).await?;
    Speed::of(&table).await?.print("optimized", full);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        table.optimize(Duration::ZERO).await?;
    }
    println!("in storage: {before} bytes with dead rows, {} when they are gone", stored().await?);
    Ok(())
}

//! Measures what the cache costs and what joining ranges saves, and prints it.
//!
//! `cargo run --release -p infino-storage --example measure`

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use infino_storage::{
    Cache, CacheOptions, CachedStore, LocalStore, MemoryStore, Store, StoreOptions, connect,
};
use infino_testserver::{Options, Server};

const OBJECT_BYTES: u64 = 64 << 20;

#[tokio::main]
async fn main() {
    let object = Bytes::from((0..OBJECT_BYTES).map(|i| ((i * 31) >> 5) as u8).collect::<Vec<_>>());
    cache(&object).await;
    ranges(&object).await;
}

/// Random ranges, `per_call` a call: microseconds a call through each tier.
async fn cache(object: &Bytes) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let on_disk = directory.path().join("store");
    let local: Arc<dyn Store> =
        Arc::new(LocalStore::open(&on_disk, &StoreOptions::new()).expect("a local store"));
    memory.put("o", object.clone()).await.expect("memory takes it");
    local.put("o", object.clone()).await.expect("the disk takes it");
    println!(
        "us per call                  | {:>9} {:>9} {:>9} {:>9}",
        "memory", "cache", "disk tier", "local"
    );
    for block_bytes in [64 << 10] {
        let open = |memory_bytes, name: &str| {
            let disk = Some((directory.path().join(format!("{name}-{block_bytes}")), 1 << 30));
            let options =
                CacheOptions { memory_bytes, disk, block_bytes, ..CacheOptions::default() };
            let cache = Cache::open(&options).expect("a cache");
            CachedStore::new(Arc::clone(&memory), cache)
        };
        let (warm, cold) = (open(1 << 30, "warm"), open(0, "cold"));
        for store in [&warm, &cold] {
            for at in (0..OBJECT_BYTES).step_by(8 << 20) {
                store.warm("o", &[at..at + (8 << 20)]).await.expect("it warms");
                store.cache().flush().await;
            }
        }
        for (per_call, len, distinct) in [
            (1, 4 << 10, u64::MAX),
            (8, 128 << 10, u64::MAX),
            (8, 128 << 10, 200),
            (1, 1 << 20, 50),
        ] {
            let stores: [&dyn Store; 4] = [&*memory, &warm, &cold, &*local];
            let mut times = Vec::new();
            for store in stores {
                times.push(time(store, per_call, len, distinct).await);
            }
            println!(
                "block {:>3} KiB, {per_call} x {:>4} KiB, {} | {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
                block_bytes >> 10,
                len >> 10,
                if distinct == u64::MAX { "any" } else { "few" },
                times[0],
                times[1],
                times[2],
                times[3]
            );
        }
    }
}

async fn time(store: &dyn Store, per_call: usize, len: u64, distinct: u64) -> f64 {
    let mut random = 1u64;
    let mut draw = || {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 20) % distinct).wrapping_mul(300_007) % (OBJECT_BYTES - len)
    };
    let (mut calls, began) = (0u32, Instant::now());
    while began.elapsed() < Duration::from_millis(400) {
        let ranges: Vec<Range<u64>> =
            (0..per_call).map(|_| draw()).map(|at| at..at + len).collect();
        store.get_ranges("o", &ranges).await.expect("the ranges are there");
        calls += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

/// Ranges at growing distances over HTTP without delay: what a request costs in processor time.
async fn ranges(object: &Bytes) {
    let server = Server::start(Options::default()).expect("a server");
    println!("ms for 64 ranges of 4 KiB    | {:>9} {:>9} {:>9}", "gap 0", "64 KiB", "1 MiB");
    for distance in [8u64 << 10, 32 << 10, 128 << 10, 512 << 10] {
        let ranges: Vec<_> = (0..64).map(|n| n * distance..n * distance + 4096).collect();
        let mut times = Vec::new();
        for gap in ["0", "65536", "1048576"] {
            let options = StoreOptions::new()
                .without_environment()
                .with_all(server.client_options())
                .with("gap_bytes", gap);
            let store = connect(&server.uri("t"), &options).expect("a store");
            store.put("o", object.clone()).await.expect("the server takes it");
            store.get_ranges("o", &ranges).await.expect("the ranges are there");
            server.heal();
            let began = Instant::now();
            for _ in 0..10 {
                store.get_ranges("o", &ranges).await.expect("the ranges are there");
            }
            let stats = server.stats();
            times.push(format!(
                "{:.1} ({} requests, {} KiB)",
                began.elapsed().as_secs_f64() * 100.0,
                stats.requests_total() / 10,
                (stats.bytes_out / 10) >> 10
            ));
        }
        println!("every {:>4} KiB               | {}", distance >> 10, times.join("  "));
    }
}

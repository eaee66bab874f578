//! The conformance suite on every backend that runs here.

mod conformance;

use std::sync::Arc;

use infino_storage::{
    Cache, CacheOptions, CachedStore, FolderStore, LocalStore, MemoryStore, StoreOptions, connect,
};
use infino_testserver::{Options, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    conformance::check_all(Arc::new(MemoryStore::new()), 100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder() {
    let folder = FolderStore::new(Arc::new(MemoryStore::new()), "a folder/ü").unwrap();
    conformance::check_all(Arc::new(folder), 100_000).await;
}

/// The cache changes nothing: with room for all, with room for little, on disk and without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached() {
    let directory = tempfile::tempdir().unwrap();
    for (memory_bytes, disk_bytes) in [(1 << 30, 0), (10_000, 0), (0, 1 << 30), (20_000, 100_000)] {
        let disk = (disk_bytes > 0).then(|| (directory.path().to_owned(), disk_bytes));
        let options =
            CacheOptions { memory_bytes, disk, block_bytes: 4096, ..CacheOptions::default() };
        let cache = Cache::open(&options).unwrap();
        let store = CachedStore::new(Arc::new(MemoryStore::new()), Arc::clone(&cache));
        conformance::check_all(Arc::new(store), 100_000).await;
        let stats = cache.stats();
        assert!(stats.memory_bytes <= memory_bytes && stats.disk_bytes <= disk_bytes, "{stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let directory = tempfile::tempdir().unwrap();
    for mmap in ["false", "true"] {
        let options = StoreOptions::new().with("fsync", "false").with("mmap", mmap);
        let store = LocalStore::open(&directory.path().join(mmap), &options).unwrap();
        conformance::check_all(Arc::new(store), 100_000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3() {
    let server = Server::start(Options::default()).unwrap();
    let options = StoreOptions::new()
        .without_environment()
        .with_all(server.client_options())
        .with("part_bytes", "5242880")
        .with("multipart_bytes", "6000000")
        .with("range_part_bytes", "65536");
    let store = connect(&server.uri("prefix"), &options).unwrap();
    conformance::check_all(store, (11 << 20) + 17).await;
    assert_eq!(server.uploads_open(), 0);
}

/// Google's protocol, as the test server speaks it: what is compared is the generation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn google() {
    let server = Server::start(Options { is_public: true, ..Options::default() }).unwrap();
    let options = StoreOptions::new()
        .without_environment()
        .with_all(server.google_options())
        .with("part_bytes", "5242880")
        .with("multipart_bytes", "6000000");
    let store = connect("gs://test/prefix", &options).unwrap();
    conformance::check_all(store, (11 << 20) + 17).await;
    assert_eq!(server.uploads_open(), 0);
}

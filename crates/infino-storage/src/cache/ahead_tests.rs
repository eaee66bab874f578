//! Promotion, warming and sharing: blocks that are there before they are asked for.

use std::time::Duration;

use super::tests::{BLOCK, Bench, ONE_AT_A_TIME, files, start_with};
use super::*;
use crate::Store;

const LEN: usize = 3 << 20;

fn object() -> Vec<WarmObject> {
    vec![WarmObject {
        path: "o".into(),
        len: LEN as u64,
        open: vec![0..100, LEN as u64 - 5000..LEN as u64],
    }]
}

async fn promoted(bench: &Bench) -> bool {
    for _ in 0..200 {
        if bench.store.cache().stats().promoted > 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test]
async fn an_object_of_which_half_was_read_is_read_whole() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start_with(LEN, 64 << 20, None, |options| options.promote_percent = 50).await;
    bench.check(&[0..1 << 20]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(bench.store.cache().stats().promoted, 0, "a third is not half");
    for start in [1 << 20, (1 << 20) + 300_000] {
        bench.check(&[start..start + 300_000]).await;
    }
    assert!(promoted(&bench).await);
    bench.read();
    bench.check(&[0..LEN as u64]).await;
    assert_eq!(bench.read().0, 0);
    assert_eq!(bench.store.cache().stats().promoted, 1);
}

#[tokio::test]
async fn an_object_too_large_for_the_cache_is_not_promoted() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start_with(LEN, 8 << 20, None, |options| options.promote_percent = 1).await;
    bench.check(&[0..2 << 20]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.store.cache().stats().promoted, 0);
    assert_eq!(bench.read().1, 2 << 20);
}

#[tokio::test]
async fn what_is_put_is_there_unless_asked_otherwise() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for (warm_on_put, reads) in [(true, 0), (false, 2)] {
        let directory = tempfile::tempdir().unwrap();
        let disk = Some((directory.path(), 64 << 20));
        let bench = start_with(10, 0, disk, |options| options.warm_on_put = warm_on_put).await;
        let file = directory.path().join("scratch");
        std::fs::write(&file, vec![7; 100_000]).unwrap();
        bench.store.put("memory", vec![8; 100_000].into()).await.unwrap();
        bench.store.put_file("file", &file).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        bench.store.cache().flush().await;
        bench.read();
        for (path, byte) in [("memory", 8), ("file", 7)] {
            let read = bench.store.get_ranges(path, &[0..100_000]).await.unwrap();
            assert!(read[0].len() == 100_000 && read[0].iter().all(|&found| found == byte));
        }
        assert_eq!(bench.read().0, reads);
        bench.store.delete("memory").await.unwrap();
        bench.store.delete("file").await.unwrap();
        assert!(files(directory.path()).is_empty());
    }
}

#[tokio::test]
async fn every_mode_of_warming_reads_what_it_says() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    for (mode, read) in [
        (WarmUp::None, 0),
        (WarmUp::Open, 3 * BLOCK),
        (WarmUp::Heat, 3 * BLOCK),
        (WarmUp::Full, LEN as u64),
    ] {
        let disk = Some((directory.path(), 0));
        let bench = start_with(LEN, 64 << 20, disk, |_| {}).await;
        bench.read();
        let count = bench.store.warm_up(mode, &object()).await.unwrap();
        assert_eq!(count, usize::from(mode != WarmUp::None));
        assert_eq!(bench.read().1, read, "{mode:?}");
        let open = object().remove(0).open;
        bench.check(&open).await;
        assert_eq!(bench.read().1 > 0, mode == WarmUp::None);
    }
}

#[tokio::test]
async fn heat_outlives_the_process() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    // The blocks themselves are not kept on disk, so that they are seen to be read again.
    let disk = Some((directory.path(), 0));
    let bench = start_with(LEN, 64 << 20, disk, |_| {}).await;
    bench.check(&[50_000..60_000, 1_000_000..1_000_010]).await;
    bench.store.cache().save_heat().await.unwrap();
    bench.store.cache().flush().await;
    drop(bench);
    let bench = start_with(LEN, 64 << 20, disk, |_| {}).await;
    bench.read();
    assert_eq!(bench.store.warm_up(WarmUp::Heat, &object()).await.unwrap(), 1);
    assert!(bench.read().0 > 0);
    bench.check(&[50_000..60_000, 1_000_000..1_000_010, 0..100]).await;
    assert_eq!(bench.read().0, 0);
}

#[tokio::test]
async fn warming_stops_when_the_cache_is_half_full() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let bench = start_with(LEN, 4 << 20, None, |_| {}).await;
    bench.read();
    assert_eq!(bench.store.warm_up(WarmUp::Full, &object()).await.unwrap(), 0);
    assert_eq!(bench.read().0, 0);
}

/// Reads that follow Zipf's law, of three times what the cache holds.
#[tokio::test]
async fn the_hit_ratio_is_near_that_of_the_best_that_could_be_kept() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let blocks = LEN as u64 / BLOCK;
    let kept = blocks / 3;
    let bench = start_with(LEN, kept * (BLOCK + ENTRY_BYTES), None, |_| {}).await;
    let weights: Vec<f64> = (1..=blocks).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = weights.iter().sum();
    let mut state = 1u64;
    for _ in 0..20_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut drawn = (state >> 11) as f64 / (1u64 << 53) as f64 * total;
        let rank = weights.iter().position(|weight| {
            drawn -= weight;
            drawn <= 0.0
        });
        // Scattered, so that neighbours do not share their popularity.
        let block = rank.unwrap_or(0) as u64 * 271 % blocks;
        bench.check(&[block * BLOCK..block * BLOCK + 10]).await;
    }
    let best = weights[..kept as usize].iter().sum::<f64>() / total;
    let stats = bench.store.cache().stats();
    assert!(stats.hit_ratio() > 0.93 * best, "{} of {best}", stats.hit_ratio());
    assert!(stats.memory_bytes <= kept * (BLOCK + ENTRY_BYTES));
}

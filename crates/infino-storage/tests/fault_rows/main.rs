//! Rows of the table of faults that are this crate's: each is a test that prints what it did.
//!
//! `INFINO_FAULT_SCALE` multiplies the counts (1 in release builds, a fifth in others), `INFINO_FAULT_SEED` changes what
//! chance decides.
#![allow(clippy::print_stdout, reason = "a row says how much it tried")]

mod attach;
mod cache;
mod storms;
mod uploads;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much of a row is run, and with what.
#[derive(Debug)]
struct Row {
    name: &'static str,
    seed: u64,
    tried: AtomicU64,
    violations: AtomicU64,
}

impl Row {
    fn new(name: &'static str) -> Self {
        let seed = std::env::var("INFINO_FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
        Self { name, seed: seed.unwrap_or(1), tried: 0.into(), violations: 0.into() }
    }

    /// `count`, scaled, at least 1.
    fn scaled(&self, count: u64) -> u64 {
        let scale = std::env::var("INFINO_FAULT_SCALE").ok().and_then(|scale| scale.parse().ok());
        let usual = if cfg!(debug_assertions) { 0.2 } else { 1.0 };
        ((count as f64 * scale.unwrap_or(usual)) as u64).max(1)
    }

    /// One more try, which must have been as `holds` says.
    fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violations.fetch_add(1, Ordering::Relaxed);
            println!("{} seed={}: {}", self.name, self.seed, what());
        }
    }

    fn tried(&self) {
        self.tried.fetch_add(1, Ordering::Relaxed);
    }

    /// Prints the row's line.
    fn finish(self) {
        let (count, violations) = (self.tried.into_inner(), self.violations.into_inner());
        println!("row={} count={count} violations={violations} seed={}", self.name, self.seed);
        assert_eq!(violations, 0);
    }
}

/// A sequence that looks random (SplitMix64).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn bytes(&mut self, len: usize) -> bytes::Bytes {
        (0..len.div_ceil(8)).flat_map(|_| self.below(u64::MAX).to_le_bytes()).take(len).collect()
    }
}

/// Runs `work` for every number below `count`, divided over `workers` that run at the same time.
async fn divided<F: Future<Output = ()>>(
    count: u64,
    workers: u64,
    work: impl Fn(u64, Vec<u64>) -> F,
) {
    let shares = (0..workers.min(count))
        .map(|worker| work(worker, (worker..count).step_by(workers as usize).collect()));
    futures::future::join_all(shares).await;
}

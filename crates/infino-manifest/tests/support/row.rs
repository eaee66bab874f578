//! A row of the table of faults: how often it was tried, and what went wrong.
//!
//! `INFINO_FAULT_SCALE` multiplies the counts (1 in release builds, a fiftieth in others), `INFINO_FAULT_SEED` runs one
//! seed alone.

use std::future::Future;

/// A row while it runs.
pub struct Row {
    name: &'static str,
    only: Option<u64>,
    tried: u64,
    violations: u64,
    seed: u64,
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

impl Row {
    pub fn new(name: &'static str) -> Self {
        Self { name, only: variable("INFINO_FAULT_SEED"), tried: 0, violations: 0, seed: 1 }
    }

    /// `count`, scaled, at least 1.
    pub fn scaled(count: u64) -> u64 {
        let usual = if cfg!(debug_assertions) { 0.02 } else { 1.0 };
        let scale = variable("INFINO_FAULT_SCALE").unwrap_or(usual);
        ((count as f64 * scale) as u64).max(1)
    }

    /// The seeds to run: so many, or the one asked for.
    pub fn seeds(&self, count: u64) -> Vec<u64> {
        self.only.map_or_else(|| (1..=Self::scaled(count)).collect(), |seed| vec![seed])
    }

    /// Runs one seed; what it returns counts as tries, a panic as a violation.
    pub async fn run(&mut self, seed: u64, work: impl Future<Output = u64> + Send + 'static) {
        match tokio::spawn(work).await {
            Ok(tried) => self.tried += tried,
            Err(error) => {
                self.tried += 1;
                self.violations += 1;
                self.seed = seed;
                println!("{} seed={seed}: {error}", self.name);
            }
        }
    }

    /// Prints the row's line.
    pub fn finish(self) {
        let Self { name, tried, violations, seed, .. } = self;
        println!("\nrow={name} count={tried} violations={violations} seed={seed}");
        assert_eq!(violations, 0, "{name}: replay with INFINO_FAULT_SEED={seed}");
    }
}

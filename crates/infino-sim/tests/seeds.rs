//! A bounded number of seeds, every tenth played twice: row F15 of the table of faults.
//!
//! `INFINO_FAULT_SCALE` multiplies the count, `INFINO_FAULT_SEED` plays one seed alone.
#![allow(clippy::print_stdout, reason = "`cargo xtask faults` reads the line")]

use std::collections::BTreeSet;

use infino_sim::plan::Broken;

const OPERATIONS: u64 = 200;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn f15_processes_over_faulty_storage_hold_and_repeat() {
    let usual = if cfg!(debug_assertions) { 0.02 } else { 1.0 };
    let count = (2000.0 * variable("INFINO_FAULT_SCALE").unwrap_or(usual)) as u64;
    let seeds = variable("INFINO_FAULT_SEED").map_or(1..=count.max(1), |seed| seed..=seed);
    let (mut tried, mut bad) = (0, Vec::new());
    for seed in seeds {
        let outcome = infino_sim::run(seed, OPERATIONS, false);
        let repeats = seed % 10 != 0 || infino_sim::run(seed, OPERATIONS, false) == outcome;
        if !outcome.violations.is_empty() || !repeats {
            println!("F15 seed={seed}: repeats {repeats}, {:?}", outcome.violations);
            bad.push(seed);
        }
        tried += 1;
    }
    let (violations, seed) = (bad.len(), bad.first().copied().unwrap_or(1));
    println!("\nrow=F15 count={tried} violations={violations} seed={seed}");
    assert!(bad.is_empty(), "replay with cargo xtask sim --seed {seed} --ops {OPERATIONS} --show");
}

/// A simulation that does little shows little.
#[test]
fn seeds_differ_and_do_something() {
    let outcomes: Vec<_> = (1..=8).map(|seed| infino_sim::run(seed, 60, false)).collect();
    let traces: BTreeSet<_> = outcomes.iter().map(|outcome| *outcome.trace.as_bytes()).collect();
    assert_eq!(traces.len(), outcomes.len());
    let versions: u64 = outcomes.iter().map(|outcome| outcome.versions).sum();
    assert!(versions > 8 * 15, "{versions} versions");
}

/// What is broken on purpose is noticed in some of six seeds: the checks check.
#[test]
fn a_broken_promise_is_noticed() {
    for broken in [Broken::Swap, Broken::Retention, Broken::Answer] {
        let noticed = (1..=6).filter(|&seed| {
            let outcome = infino_sim::run_as(seed, 120, false, |plan| {
                plan.broken = Some(broken);
                // A reader that outlasts its version needs versions to outlast.
                plan.readers = 2;
            });
            !outcome.violations.is_empty()
        });
        assert!(noticed.count() >= 2, "{broken:?} goes unnoticed");
    }
}

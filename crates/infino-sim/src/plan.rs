//! What a seed decides before anything happens: who takes part, what the table is like, what goes wrong.

use std::time::Duration;

use crate::random::Random;

/// A simulation's setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Whether the table has a key.
    pub keyed: bool,
    /// Whether its rows have vectors.
    pub vectors: bool,
    /// Processes that write, each with one or two tasks on one handle.
    pub writers: u64,
    /// Processes that seal, compact, fold and collect.
    pub maintainers: u64,
    /// Processes that read, now and then older versions.
    pub readers: u64,
    /// Operations of all of them.
    pub operations: u64,
    /// How long versions are kept.
    pub keep: Duration,
    /// Fresh rows are sealed in the background from this many bytes on; 0 for never.
    pub seal_bytes: u64,
    /// Operations on storage after which a process dies, on average; 0 for never.
    pub crash_every: u64,
    /// How far a clock may be off at any call, in milliseconds, either way.
    pub clock_off_ms: u64,
    /// What befalls operations on storage.
    pub faults: Faults,
    /// What is broken on purpose, so that a test can see it noticed.
    pub broken: Option<Broken>,
}

/// A promise that a simulation rests on, not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A swap now and then takes place whatever the object is.
    Swap,
    /// Maintainers keep no old versions, readers think they do.
    Retention,
    /// A process now and then says that a commit failed which went through.
    Answer,
}

/// How likely each fault is for one operation on storage it can befall.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Nothing happens, and an error says so.
    pub fail: f64,
    /// It happens, and the reply is lost.
    pub lost_reply: f64,
    /// An error now, and it happens up to half a minute later.
    pub late: f64,
    /// It happens twice.
    pub twice: f64,
    /// A read gives half of what was asked for.
    pub cut: f64,
    /// A read gives one bit wrong.
    pub flip: f64,
    /// A list misses the newest objects.
    pub stale_list: f64,
    /// It takes up to ten seconds.
    pub slow: f64,
    /// Every so often, in milliseconds, nothing works for a while and then little does; 0 for never.
    pub storm_every_ms: u64,
}

impl Plan {
    /// What `seed` decides. Every fourth seed is calm, every fourth has all faults, the others some.
    pub fn of(random: &mut Random, operations: u64) -> Self {
        let mood = random.below(4);
        let writers = 1 + random.below(3);
        let maintainers = 1 + random.below(2);
        Self {
            keyed: random.chance(0.6),
            vectors: random.chance(0.4),
            writers,
            maintainers,
            readers: 1 + random.below(6 - writers - maintainers).min(1),
            operations,
            keep: Duration::from_secs(*random.pick(&[5, 20, 60, 600])),
            seal_bytes: *random.pick(&[0, 300, 3000]),
            crash_every: match mood {
                0 => 0,
                _ => *random.pick(&[0, 100, 300, 1000]),
            },
            clock_off_ms: *random.pick(&[0, 0, 1000, 7_200_000]),
            faults: Faults::of(random, mood),
            broken: None,
        }
    }
}

impl Faults {
    fn of(random: &mut Random, mood: u64) -> Self {
        let mut some = |most: f64| match mood {
            0 => 0.0,
            1 => most,
            _ if random.chance(0.5) => most * random.below(100) as f64 / 100.0,
            _ => 0.0,
        };
        Self {
            fail: some(0.05),
            lost_reply: some(0.06),
            late: some(0.06),
            twice: some(0.05),
            cut: some(0.02),
            flip: some(0.02),
            stale_list: some(0.3),
            slow: some(0.03),
            storm_every_ms: if some(1.0) > 0.5 { 40_000 } else { 0 },
        }
    }
}

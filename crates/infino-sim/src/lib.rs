//! Seeded simulations of a table: several processes that write, maintain and read it over storage that is slow, loses
//! replies, delivers late or twice, spoils what is read, and lists what it held a while ago, while processes die and come
//! back. Time is virtual and everything runs on one thread, so a seed does the same every time.
//!
//! [`run`] plays a seed. Every swap of the head is audited before anybody hears of it: heads follow one another, the rows of
//! each version are those of the version before and of one operation that somebody asked for, no operation happens twice or
//! after it was said not to, searches agree with the rows, and no object that a kept version names goes. Readers find the
//! rows of the version they pinned or an error that a fault explains. In the end storage heals: commits go through, unclear
//! ones resolve to what happened, what is named is whole, and what is not named goes.
//!
//! | module | |
//! |---|---|
//! | [`plan`] | what a seed decides: who takes part, which faults |
//! | [`disk`], [`link`] | the shared storage, and a process's way to it |
//! | [`op`], [`ledger`] | what a commit does, and the model of all versions |
//! | [`world`] | the auditor |
//! | [`process`] | writers, maintainers, readers |
//! | [`end`] | what must hold when all is quiet |
#![forbid(unsafe_code)]

pub mod disk;
pub mod end;
pub mod excuse;
pub mod ledger;
pub mod link;
pub mod op;
pub mod plan;
pub mod process;
pub mod random;
pub mod rows;
pub mod trace;
pub mod world;

use std::cell::Cell;
use std::sync::Once;
use std::time::Duration;

use infino_format::entropy;
use tokio::time::Instant;

use crate::disk::BEGAN_MS;
use crate::plan::Plan;
use crate::process::{Process, Trade};
use crate::random::Random;
use crate::world::World;

/// A simulation that takes longer by its own clock hangs.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// What became of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The hash of all that happened.
    pub trace: blake3::Hash,
    /// How much that was: operations on storage, versions, outcomes.
    pub events: u64,
    /// The newest version.
    pub versions: u64,
    /// What does not hold; the first is the cause.
    pub violations: Vec<String>,
}

/// Plays `seed` with about so many operations. With `shown` every event is printed.
///
/// # Panics
/// If the operating system gives no event loop.
pub fn run(seed: u64, operations: u64, shown: bool) -> Outcome {
    run_as(seed, operations, shown, |_| {})
}

/// Plays `seed` with a plan that `change` makes another.
///
/// # Panics
/// As [`run`].
pub fn run_as(seed: u64, operations: u64, shown: bool, change: impl FnOnce(&mut Plan)) -> Outcome {
    count_panics();
    let panics = PANICS.get();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("an event loop without sockets");
    let mut outcome = runtime.block_on(async {
        let mut random = Random::new(seed);
        let mut plan = Plan::of(&mut random.child(), operations);
        change(&mut plan);
        let source =
            Source { began: Instant::now(), random: random.child(), off_ms: plan.clock_off_ms };
        let _replaced = entropy::replace(source);
        simulate(plan, random, shown).await
    });
    drop(runtime);
    if PANICS.get() > panics {
        outcome.violations.push("something panicked; the message is above".to_owned());
    }
    outcome
}

async fn simulate(plan: Plan, mut random: Random, shown: bool) -> Outcome {
    let world = match World::new(plan.clone(), random.child(), shown).await {
        Ok(world) => world,
        Err(error) => panic!("a table cannot be made where nothing goes wrong: {error}"),
    };
    world.trace.event(format_args!("{plan:?}"));
    let trades = [
        (Trade::Write, plan.writers),
        (Trade::Maintain, plan.maintainers),
        (Trade::Read, plan.readers),
    ];
    let trades = trades.iter().flat_map(|&(trade, count)| (0..count).map(move |_| trade));
    let mut tasks = Vec::new();
    for (number, trade) in (0..).zip(trades) {
        let process = Process::new(world.clone(), number, trade);
        tasks.push(tokio::spawn(process.run(random.child())));
    }
    let all = async {
        for task in tasks {
            // A panic is counted where it happens.
            let _ = task.await;
        }
        end::check(&world, &mut random).await
    };
    match tokio::time::timeout(LONGEST, all).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => world.ledger.violation(format!("in the end: {problem}")),
        Err(_) => world.ledger.violation("it hangs".to_owned()),
    }
    let (trace, events) = world.trace.finish();
    let (versions, violations) = (world.ledger.newest(), world.ledger.violations());
    Outcome { trace, events, versions, violations }
}

/// The virtual clock, off by as much as a plan allows at every call, and seeded chance.
struct Source {
    began: Instant,
    random: Random,
    off_ms: u64,
}

impl entropy::Source for Source {
    fn now_ms(&mut self) -> u64 {
        let now_ms = BEGAN_MS + self.began.elapsed().as_millis() as u64;
        now_ms - self.off_ms + self.random.below(2 * self.off_ms + 1)
    }

    fn random(&mut self) -> u64 {
        self.random.bits()
    }
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// A panic in a task that nobody waits for would go unnoticed.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
}

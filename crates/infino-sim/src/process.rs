//! Processes: they open the table, do one thing after another, die and come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use infino_manifest::Snapshot;
use infino_table::{CompactOptions, Runtime, Table, TableError};
use infino_wal::WalError;
use tokio::time::{Instant, sleep};

use crate::excuse::Nature;
use crate::link::Link;
use crate::op::Op;
use crate::plan::Broken;
use crate::random::Random;
use crate::rows::{ROOT, Row, Scanner};
use crate::world::{World, options};

/// What a process does for a living.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trade {
    /// Changes rows.
    Write,
    /// Keeps the table in shape, tags versions.
    Maintain,
    /// Reads versions and holds them against the model.
    Read,
}

/// A process, through all its lives.
#[derive(Debug)]
pub struct Process {
    world: Arc<World>,
    number: u64,
    trade: Trade,
    /// Operations that a life left behind, which the next may send again.
    open: Mutex<BTreeMap<u64, i64>>,
}

impl Process {
    /// Process `number` of the world.
    pub fn new(world: Arc<World>, number: u64, trade: Trade) -> Self {
        Self { world, number, trade, open: Mutex::default() }
    }

    /// Lives until no operation is left.
    pub async fn run(self, mut random: Random) {
        let crash_every = self.world.plan.crash_every;
        let mut lives = 0;
        loop {
            // After so many deaths a life lasts, or nothing would ever be done.
            let mortal = crash_every > 0 && self.trade != Trade::Read && lives < 20;
            let left = mortal.then(|| 1 + random.below(2 * crash_every));
            let link = Link::new(self.world.clone(), self.number, random.child(), left);
            let life = self.live(&link, random.child());
            tokio::select! {
                biased;
                () = link.died() => {
                    self.world.trace.event(format_args!("p{} died", self.number));
                    let open = self.open().clone();
                    open.values().for_each(|&number| self.world.ledger.doubt(number, None));
                }
                () = life => return,
            }
            lives += 1;
            sleep(Duration::from_millis(random.below(3000))).await;
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, i64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn live(&self, link: &Arc<Link>, mut random: Random) {
        let table = loop {
            let options = options(&self.world.plan);
            match Table::open(link.clone(), ROOT, Runtime::inline(), options).await {
                Ok(table) => break table,
                Err(error) => self.excuse("opening", &error, false),
            }
            sleep(Duration::from_millis(500)).await;
            if !self.world.ledger.violations().is_empty() {
                return;
            }
        };
        // Tasks of one process share a handle.
        let tasks = if self.trade == Trade::Write { 1 + random.below(2) } else { 1 };
        let tasks = (0..tasks).map(|task| self.work(&table, task, random.child()));
        join_all(tasks.collect::<Vec<_>>()).await;
    }

    async fn work(&self, table: &Table, task: u64, mut random: Random) {
        while self.world.take() {
            sleep(Duration::from_millis(random.below(300))).await;
            match self.trade {
                Trade::Write => self.write(table, task, &mut random).await,
                Trade::Maintain => self.maintain(table, &mut random).await,
                Trade::Read => self.read(table, &mut random).await,
            }
        }
    }

    /// Sends what is open again, or does something new.
    async fn write(&self, table: &Table, task: u64, random: &mut Random) {
        let (ledger, plan) = (&self.world.ledger, &self.world.plan);
        let open = self.open().remove(&task);
        let again = open.filter(|&number| ledger.op(number).has_token() && random.chance(0.7));
        let number = again.unwrap_or_else(|| {
            let versions = ledger.floor()..=ledger.newest();
            ledger.ask(Op::random(random, plan.keyed, versions, || ledger.fresh_key()))
        });
        let op = ledger.op(number);
        self.open().insert(task, number);
        let outcome = op.run(table, number, plan.vectors).await;
        self.open().remove(&task);
        let shown = outcome.as_ref().map_err(ToString::to_string);
        self.world.trace.event(format_args!("p{} {number} {op:?}: {shown:?}", self.number));
        match outcome {
            Ok(_) if plan.broken == Some(Broken::Answer) && number % 8 == 0 => {
                ledger.refuse(number, false);
            }
            Ok(said) => ledger.told(number, said),
            Err(TableError::Wal(WalError::Unknown(commit))) => {
                ledger.doubt(number, Some(commit));
                self.excuse("committing", &TableError::Wal(WalError::Unknown(commit)), false);
                self.open().insert(task, number);
            }
            Err(error) => {
                let nature = Nature::of(&error);
                // A version to restore may go while it is asked for.
                let gone = matches!(op, Op::Restore(version) if version < ledger.floor());
                if nature != Nature::Duplicate {
                    self.excuse("committing", &error, gone);
                }
                ledger.refuse(number, nature == Nature::Duplicate);
            }
        }
    }

    async fn maintain(&self, table: &Table, random: &mut Random) {
        let keep = match self.world.plan.broken {
            Some(Broken::Retention) => Duration::ZERO,
            _ => self.world.plan.keep,
        };
        let step = random.below(9);
        let outcome = match step {
            0 => table.seal().await.map(drop),
            1 | 2 => {
                let tier_files_min = 2 + random.below(4) as usize;
                let dead_share_max = *random.pick(&[0.0, 0.1, 0.5]);
                let compact =
                    CompactOptions { tier_files_min, dead_share_max, ..CompactOptions::default() };
                table.compact(&compact).await.map(drop)
            }
            3 => table.checkpoint().await.map(drop),
            4 => table.optimize(keep).await.map(drop),
            5..=7 => table.collect(Some(keep)).await.map(drop),
            _ => self.tag(table, random).await,
        };
        let shown = outcome.as_ref().map_err(ToString::to_string);
        self.world.trace.event(format_args!("p{} maintains {step}: {shown:?}", self.number));
        if let Err(error) = outcome {
            self.excuse("maintaining", &error, false);
        }
    }

    async fn tag(&self, table: &Table, random: &mut Random) -> Result<(), TableError> {
        let ledger = &self.world.ledger;
        let tags = ledger.tags();
        if let Some((name, _)) = tags.iter().next().filter(|_| random.chance(0.4)) {
            ledger.tag(name, None);
            return match table.delete_tag(name).await {
                Err(error) if Nature::of(&error) == Nature::Defect => Ok(()),
                other => other,
            };
        }
        let name = format!("tag {}", random.below(u64::MAX));
        let version = table.create_tag(&name, None).await?;
        ledger.tag(&name, Some(version));
        Ok(())
    }

    async fn read(&self, table: &Table, random: &mut Random) {
        let ledger = &self.world.ledger;
        let newest = ledger.newest();
        let began = Instant::now();
        let older = random.chance(0.4);
        let asked = ledger.floor() + random.below(newest + 1 - ledger.floor());
        let pinned = match older {
            true => table.at_version(asked).await,
            false => table.pin().await,
        };
        let snapshot = match pinned {
            Ok(snapshot) => snapshot,
            Err(error) => {
                return self.excuse("pinning", &error, older && asked < ledger.floor());
            }
        };
        let version = snapshot.version;
        if !older && version < newest || older && version != asked {
            ledger.violation(format!("read version {version}; newest {newest}, asked {asked}"));
        }
        if !older && random.chance(0.5) {
            let keep = self.world.plan.keep.as_millis() as u64;
            sleep(Duration::from_millis(random.below(2 * keep))).await;
        }
        let outcome = self.compare(table, &snapshot, random).await;
        self.world.trace.event(format_args!("p{} read {version}", self.number));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => ledger.violation(problem),
            Err(error) => {
                // What was pinned when it was new is kept for a time; what was old already may go.
                let expired = match older {
                    true => version < ledger.floor(),
                    false => began.elapsed() > self.world.plan.keep && version < ledger.floor(),
                };
                self.excuse("reading", &error, expired);
            }
        }
    }

    /// Whether all rows and some searches of a snapshot are as the model has them.
    async fn compare(
        &self,
        table: &Table,
        snapshot: &Arc<Snapshot>,
        random: &mut Random,
    ) -> Result<Result<(), String>, TableError> {
        let live = Scanner::default().live(table, snapshot).await?;
        let state = self.world.ledger.state(snapshot.version);
        let mut right: Vec<Row> = state.iter().map(|(&k, live)| (live.id, k, live.v)).collect();
        right.sort_unstable();
        if live != right {
            let version = snapshot.version;
            return Ok(Err(format!("a reader of version {version}: {live:?}, not {right:?}")));
        }
        self.world.check_searches(table, snapshot, random).await
    }

    /// Notes an error that nothing explains.
    fn excuse(&self, doing: &str, error: &TableError, gone: bool) {
        let nature = Nature::of(error);
        if nature.is_of(self.world.plan.faults) || gone && nature == Nature::Gone {
            return;
        }
        let problem = format!("process {} while {doing}: {error}; {error:?}", self.number);
        self.world.ledger.violation(problem);
    }
}

//! One process's way to the shared storage: slow, lossy, and gone when the process dies.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use infino_storage::{ObjectInfo, StorageError, Store, Swap, Tag};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use crate::plan::Faults;
use crate::random::Random;
use crate::world::World;

/// A process's connection.
#[derive(Debug)]
pub struct Link {
    world: Arc<World>,
    process: u64,
    state: Mutex<State>,
    /// Set once; writes on their way look at it too.
    dead: Arc<AtomicBool>,
    died: Notify,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// Operations until the process dies.
    left: Option<u64>,
}

/// What becomes of one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Fail,
    LostReply,
    Late(Duration),
    Twice(Duration),
    Cut,
    Flip(u64),
    StaleList(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    List,
    Write,
}

#[derive(Debug, Clone, Copy)]
struct Fate {
    fault: Fault,
    /// From the call to the store, and back.
    there: Duration,
    back: Duration,
    /// Whether a request that is on its way when its process dies arrives.
    arrives: bool,
}

/// A write, as often as it is asked for.
type Write<T> = Box<dyn Fn() -> futures::future::BoxFuture<'static, T> + Send>;

impl Link {
    /// The connection of process `process`, which dies after `left` operations.
    pub fn new(world: Arc<World>, process: u64, random: Random, left: Option<u64>) -> Arc<Self> {
        let state = Mutex::new(State { random, left });
        Arc::new(Self { world, process, state, dead: Arc::default(), died: Notify::new() })
    }

    /// Waits until the process dies.
    pub async fn died(&self) {
        loop {
            let died = self.died.notified();
            if self.is_dead() {
                return;
            }
            died.await;
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what becomes of an operation. A dead process asks for nothing more.
    async fn begin(&self, kind: Kind, verb: &'static str, path: &str) -> Fate {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        let fate = {
            let mut state = self.state();
            if let Some(left) = &mut state.left {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.dead.store(true, Ordering::Relaxed);
                    self.died.notify_waiters();
                }
            }
            fate(&mut state.random, self.world.faults(), kind)
        };
        let process = self.process;
        self.world.trace.event(format_args!("p{process} {verb} {path} {:?}", fate.fault));
        fate
    }

    /// Does not come back in a dead process.
    async fn back(&self, after: Duration) {
        sleep(after).await;
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn read<T>(
        &self,
        kind: Kind,
        verb: &'static str,
        path: &str,
        work: impl Future<Output = Result<T, StorageError>> + Send,
        spoil: impl FnOnce(T, Fault) -> Result<T, StorageError> + Send,
    ) -> Result<T, StorageError> {
        let fate = self.begin(kind, verb, path).await;
        sleep(fate.there).await;
        let outcome = match fate.fault {
            Fault::Fail => Err(unavailable(path, verb)),
            fault => work.await.and_then(|read| spoil(read, fault)),
        };
        self.back(fate.back).await;
        outcome
    }

    /// The write goes on when its process dies or its caller does not wait.
    async fn write<T: Send + 'static>(
        &self,
        verb: &'static str,
        path: &str,
        write: Write<T>,
    ) -> Result<T, StorageError> {
        let fate = self.begin(Kind::Write, verb, path).await;
        let (reply, answer) = oneshot::channel();
        let dead = self.dead.clone();
        let (world, process, name) = (self.world.clone(), self.process, path.to_owned());
        tokio::spawn(async move {
            sleep(fate.there).await;
            if fate.fault == Fault::Fail || (dead.load(Ordering::Relaxed) && !fate.arrives) {
                return;
            }
            if let Fault::Late(late) = fate.fault {
                drop(reply);
                sleep(late).await;
                write().await;
                world.trace.event(format_args!("p{process} late {verb} {name}"));
                return;
            }
            let first = write().await;
            match fate.fault {
                Fault::LostReply => {}
                Fault::Twice(later) => {
                    sleep(later).await;
                    let second = write().await;
                    let _ = reply.send(if fate.arrives { second } else { first });
                }
                _ => drop(reply.send(first)),
            }
        });
        let outcome = answer.await.map_err(|_| unavailable(path, verb));
        self.back(fate.back).await;
        outcome
    }
}

fn fate(random: &mut Random, faults: Option<Faults>, kind: Kind) -> Fate {
    let latency = |random: &mut Random| Duration::from_micros(200 + random.below(8000));
    let (there, back) = (latency(random), latency(random));
    let arrives = random.chance(0.5);
    let drawn = random.below(u64::MAX);
    let Some(faults) = faults else {
        return Fate { fault: Fault::None, there, back, arrives };
    };
    let slow = random.chance(faults.slow);
    let slow = Duration::from_millis(if slow { random.below(10_000) } else { 0 });
    let long = |random: &mut Random| {
        let most = *random.pick(&[10, 1000, 30_000]);
        Duration::from_millis(1 + random.below(most))
    };
    let fault = if random.chance(faults.fail) {
        Fault::Fail
    } else {
        match kind {
            Kind::Write if random.chance(faults.lost_reply) => Fault::LostReply,
            Kind::Write if random.chance(faults.late) => Fault::Late(long(random)),
            Kind::Write if random.chance(faults.twice) => Fault::Twice(long(random)),
            Kind::Read if random.chance(faults.cut) => Fault::Cut,
            Kind::Read if random.chance(faults.flip) => Fault::Flip(drawn),
            Kind::List if random.chance(faults.stale_list) => {
                Fault::StaleList(1 + random.below(20))
            }
            _ => Fault::None,
        }
    };
    Fate { fault, there: there + slow, back, arrives }
}

fn unavailable(path: &str, operation: &'static str) -> StorageError {
    let problem = "a simulated failure".to_owned();
    StorageError::Unavailable { path: path.to_owned(), operation, problem }
}

fn spoil(bytes: Bytes, fault: Fault) -> Bytes {
    match fault {
        Fault::Cut => bytes.slice(..bytes.len() / 2),
        Fault::Flip(at) if !bytes.is_empty() => {
            let mut flipped = bytes.to_vec();
            let bit = at as usize % (8 * bytes.len());
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped.into()
        }
        _ => bytes,
    }
}

fn spoil_ranges(
    path: &str,
    ranges: &[Range<u64>],
    mut read: Vec<Bytes>,
    fault: Fault,
) -> Result<Vec<Bytes>, StorageError> {
    match (fault, ranges) {
        (Fault::Cut, [first, ..]) => {
            let got = "a body cut short".to_owned();
            let (start, end) = (first.start, first.end);
            return Err(StorageError::Range { path: path.to_owned(), start, end, got });
        }
        (Fault::Flip(at), [_, ..]) => {
            let one = at as usize % read.len();
            read[one] = spoil(std::mem::take(&mut read[one]), Fault::Flip(at / 7));
        }
        _ => {}
    }
    Ok(read)
}

#[async_trait]
impl Store for Link {
    fn uri(&self) -> &str {
        self.world.disk.uri()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let spoilt = |(bytes, tag), fault| Ok((spoil(bytes, fault), tag));
        self.read(Kind::Read, "get", path, self.world.disk.get(path), spoilt).await
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let work = self.world.disk.get_if_changed(path, known);
        let spoilt = |read: Option<(Bytes, Tag)>, fault| {
            Ok(read.map(|(bytes, tag)| (spoil(bytes, fault), tag)))
        };
        self.read(Kind::Read, "get if changed", path, work, spoilt).await
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let work = self.world.disk.get_ranges(path, ranges);
        let spoilt = |read, fault| spoil_ranges(path, ranges, read, fault);
        self.read(Kind::Read, "get ranges", path, work, spoilt).await
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let work = self.world.disk.get_clipped(path, ranges);
        let spoilt = |read, fault| spoil_ranges(path, ranges, read, fault);
        self.read(Kind::Read, "get clipped", path, work, spoilt).await
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        self.read(Kind::Read, "head", path, self.world.disk.head(path), |info, _| Ok(info)).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let (world, name) = (self.world.clone(), path.to_owned());
        let put = move || {
            let (world, name, bytes) = (world.clone(), name.clone(), bytes.clone());
            Box::pin(async move { world.disk.put(&name, bytes).await }) as _
        };
        self.write("put", path, Box::new(put)).await?
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let bytes = std::fs::read(file).expect("a file that was just written");
        self.put(path, bytes.into()).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let (world, process) = (self.world.clone(), self.process);
        let (name, expected) = (path.to_owned(), expected.cloned());
        let swap = move || {
            let (world, name) = (world.clone(), name.clone());
            let (expected, bytes) = (expected.clone(), bytes.clone());
            Box::pin(async move { world.swap(process, &name, expected.as_ref(), bytes).await }) as _
        };
        match self.write("swap", path, Box::new(swap)).await {
            Ok(swapped) => swapped,
            Err(error) => Swap::Unclear(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let stale = |infos, fault| match fault {
            Fault::StaleList(missed) => Ok(self.world.disk.stale(infos, missed)),
            _ => Ok(infos),
        };
        self.read(Kind::List, "list", prefix, self.world.disk.list(prefix), stale).await
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let (world, name) = (self.world.clone(), path.to_owned());
        let delete = move || {
            let (world, name) = (world.clone(), name.clone());
            Box::pin(async move { world.delete(&name).await }) as _
        };
        self.write("delete", path, Box::new(delete)).await?
    }
}

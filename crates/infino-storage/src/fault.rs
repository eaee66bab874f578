//! A store that fails, delays, lies and counts, for tests.
//!
//! [`FaultStore`] wraps any store, numbers every operation from 0, and lets [`Rule`]s and a crash point decide what becomes
//! of each. The same seed and the same order of operations give the same faults.

mod counters;
mod rule;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::counters::{Count, Counters, Operation};
pub use self::rule::{Fault, Rule};
use crate::{ObjectInfo, StorageError, Store, Swap, Tag, source};

/// Whether the operation at the crash point still happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It does not.
    Before,
    /// It does, and nobody learns of it.
    After,
}

/// A store around another one, whose operations fail as told and are counted.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    random: u64,
    rules: Vec<Rule>,
    crash: Option<(u64, Crash)>,
    crashed: bool,
    counters: Counters,
    history: Vec<(Operation, String)>,
}

/// What befalls one operation.
struct Fate {
    operation: Operation,
    fault: Option<Fault>,
    crash_after: bool,
    random: u64,
}

impl FaultStore {
    /// A store that does as `inner` does, and counts. `seed` decides where chance does.
    pub fn new(inner: Arc<dyn Store>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            state: Mutex::new(State {
                next: 0,
                random: seed,
                rules: Vec::new(),
                crash: None,
                crashed: false,
                counters: Counters::default(),
                history: Vec::new(),
            }),
        })
    }

    /// A store that only counts.
    pub fn counting(inner: Arc<dyn Store>) -> Arc<Self> {
        Self::new(inner, 0)
    }

    /// The store inside, where nothing fails and nothing counts.
    pub fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    /// Adds a rule. Of several that match an operation the first added befalls it.
    pub fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Removes all rules and the crash point; a store that crashed works again.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.crash = None;
        state.crashed = false;
    }

    /// Crashes at operation `number`, counted from 0 since the store was made: from there on every operation fails.
    pub fn crash_at(&self, number: u64, crash: Crash) {
        self.state().crash = Some((number, crash));
    }

    /// Whether the crash point was reached.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// How many operations there were since the store was made.
    pub fn operations(&self) -> u64 {
        self.state().next
    }

    /// Every operation since the store was made: what was done to which path.
    pub fn history(&self) -> Vec<(Operation, String)> {
        self.state().history.clone()
    }

    /// Counts since the store was made or last reset.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// Returns the counts and begins again from zero.
    pub fn reset_counters(&self) -> Counters {
        std::mem::take(&mut self.state().counters)
    }

    // Nothing panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers an operation, decides its fate, and fails if that is to fail before anything happens.
    async fn begin(&self, operation: Operation, path: &str) -> Result<Fate, StorageError> {
        let fate = self.decide(operation, path)?;
        match &fate.fault {
            Some(Fault::Fail) => Err(injected(operation, path, "an injected failure")),
            Some(Fault::Deny) => Err(StorageError::Denied {
                path: path.to_owned(),
                operation: operation.verb(),
                problem: "an injected refusal".to_owned(),
            }),
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(*delay).await;
                Ok(fate)
            }
            _ => Ok(fate),
        }
        .inspect_err(|_| self.count(operation, |count| count.failed += 1))
    }

    fn decide(&self, operation: Operation, path: &str) -> Result<Fate, StorageError> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.history.push((operation, path.to_owned()));
        state.counters.of_mut(operation).calls += 1;
        let crash = state.crash.filter(|(at, _)| *at <= number).map(|(_, crash)| crash);
        if state.crashed || crash == Some(Crash::Before) {
            state.crashed = true;
            state.counters.of_mut(operation).failed += 1;
            return Err(injected(operation, path, "the store has crashed"));
        }
        state.crashed = crash.is_some();
        let random = next_random(&mut state.random);
        let mut fault = None;
        let State { rules, random: seed, .. } = &mut *state;
        for rule in rules {
            let drawn = (next_random(seed) >> 11) as f64 / (1u64 << 53) as f64;
            if rule.befalls(operation, path, drawn) {
                fault = Some(rule.fault.clone());
                break;
            }
        }
        Ok(Fate { operation, fault, crash_after: crash.is_some(), random })
    }

    /// Ends an operation that happened: its answer, unless that gets lost.
    fn end<T>(
        &self,
        fate: &Fate,
        path: &str,
        outcome: Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let outcome = match (fate.crash_after, &fate.fault) {
            (true, _) => Err(injected(fate.operation, path, "the store has crashed")),
            (_, Some(Fault::FailAfter)) => {
                Err(injected(fate.operation, path, "an injected loss of the reply"))
            }
            _ => outcome,
        };
        if outcome.is_err() {
            self.count(fate.operation, |count| count.failed += 1);
        }
        outcome
    }

    fn count(&self, operation: Operation, change: impl FnOnce(&mut Count)) {
        change(self.state().counters.of_mut(operation));
    }

    /// Spoils what was read, and counts it.
    fn read(&self, fate: &Fate, bytes: Bytes) -> Bytes {
        let bytes = match fate.fault {
            Some(Fault::Truncate) => bytes.slice(..bytes.len() / 2),
            Some(Fault::BitFlip) => flip(bytes, fate.random),
            _ => bytes,
        };
        self.count(fate.operation, |count| count.bytes_read += bytes.len() as u64);
        bytes
    }

    /// Reads ranges by `work`, as the operation's fate says.
    async fn read_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
        work: impl Future<Output = Result<Vec<Bytes>, StorageError>> + Send,
    ) -> Result<Vec<Bytes>, StorageError> {
        let fate = self.begin(Operation::GetRanges, path).await?;
        self.count(fate.operation, |count| count.ranges += ranges.len() as u64);
        let outcome = match (&fate.fault, ranges) {
            (Some(Fault::Truncate), [first, ..]) => {
                Err(source::not_exact(path, first, "a body cut short by injection".to_owned()))
            }
            _ => work.await,
        };
        let mut read = self.end(&fate, path, outcome)?;
        // One bit of one range, not of each.
        let spoilt = fate.random as usize % read.len().max(1);
        for (at, bytes) in read.iter_mut().enumerate() {
            if at == spoilt {
                *bytes = self.read(&fate, std::mem::take(bytes));
            } else {
                self.count(fate.operation, |count| count.bytes_read += bytes.len() as u64);
            }
        }
        Ok(read)
    }

    /// Does a write as its fate says; `work` makes it anew each time it is called.
    async fn write<T, W>(
        &self,
        fate: Fate,
        path: &str,
        work: impl Fn(Arc<dyn Store>) -> W,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        if let Some(Fault::Late(late)) = fate.fault {
            let landing = work(Arc::clone(&self.inner));
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                landing.await
            });
            let lost = Err(injected(fate.operation, path, "an injected loss of the request"));
            return self.end(&fate, path, lost);
        }
        let mut outcome = work(Arc::clone(&self.inner)).await;
        if fate.fault == Some(Fault::Duplicate) {
            outcome = work(Arc::clone(&self.inner)).await;
        }
        self.end(&fate, path, outcome)
    }
}

fn injected(operation: Operation, path: &str, problem: &str) -> StorageError {
    StorageError::Unavailable {
        path: path.to_owned(),
        operation: operation.verb(),
        problem: problem.to_owned(),
    }
}

/// SplitMix64.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn flip(bytes: Bytes, random: u64) -> Bytes {
    if bytes.is_empty() {
        return bytes;
    }
    let mut flipped = bytes.to_vec();
    let at = (random >> 3) as usize % flipped.len();
    flipped[at] ^= 1 << (random & 7);
    flipped.into()
}

#[async_trait]
impl Store for FaultStore {
    fn uri(&self) -> &str {
        self.inner.uri()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let fate = self.begin(Operation::Get, path).await?;
        let outcome = self.inner.get(path).await;
        let (bytes, tag) = self.end(&fate, path, outcome)?;
        Ok((self.read(&fate, bytes), tag))
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let fate = self.begin(Operation::GetIfChanged, path).await?;
        let outcome = self.inner.get_if_changed(path, known).await;
        let changed = self.end(&fate, path, outcome)?;
        Ok(changed.map(|(bytes, tag)| (self.read(&fate, bytes), tag)))
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.read_ranges(path, ranges, self.inner.get_ranges(path, ranges)).await
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.read_ranges(path, ranges, self.inner.get_clipped(path, ranges)).await
    }

    async fn forget(&self, path: &str) {
        self.inner.forget(path).await;
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        let fate = self.begin(Operation::Head, path).await?;
        let outcome = self.inner.head(path).await;
        self.end(&fate, path, outcome)
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        let fate = self.begin(Operation::Put, path).await?;
        self.count(fate.operation, |count| count.bytes_written += bytes.len() as u64);
        let name = path.to_owned();
        let put = move |store: Arc<dyn Store>| {
            let (name, bytes) = (name.clone(), bytes.clone());
            async move { store.put(&name, bytes).await }
        };
        self.write(fate, path, put).await
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let fate = self.begin(Operation::PutFile, path).await?;
        let len = tokio::fs::metadata(file).await.map(|metadata| metadata.len()).unwrap_or(0);
        self.count(fate.operation, |count| count.bytes_written += len);
        let (name, file) = (path.to_owned(), file.to_owned());
        let put = move |store: Arc<dyn Store>| {
            let (name, file) = (name.clone(), file.clone());
            async move { store.put_file(&name, &file).await }
        };
        self.write(fate, path, put).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let fate = match self.begin(Operation::Swap, path).await {
            Ok(fate) => fate,
            Err(error) => return Swap::Unclear(error),
        };
        self.count(fate.operation, |count| count.bytes_written += bytes.len() as u64);
        let (name, expected) = (path.to_owned(), expected.cloned());
        let swap = move |store: Arc<dyn Store>| {
            let (name, expected, bytes) = (name.clone(), expected.clone(), bytes.clone());
            async move {
                match store.swap(&name, expected.as_ref(), bytes).await {
                    Swap::Unclear(error) => Err(error),
                    clear => Ok(clear),
                }
            }
        };
        match self.write(fate, path, swap).await {
            Ok(Swap::Done(tag)) => Swap::Done(tag),
            Ok(lost) => {
                self.count(Operation::Swap, |count| count.failed += 1);
                lost
            }
            Err(error) => Swap::Unclear(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let fate = self.begin(Operation::List, prefix).await?;
        let outcome = self.inner.list(prefix).await;
        let mut infos = self.end(&fate, prefix, outcome)?;
        if let Some(Fault::StaleList(missed)) = fate.fault {
            infos.sort_by_key(|info| info.modified_ms);
            infos.truncate(infos.len().saturating_sub(missed));
        }
        Ok(infos)
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let fate = self.begin(Operation::Delete, path).await?;
        let name = path.to_owned();
        let delete = move |store: Arc<dyn Store>| {
            let name = name.clone();
            async move { store.delete(&name).await }
        };
        self.write(fate, path, delete).await
    }
}

#[cfg(test)]
mod tests;

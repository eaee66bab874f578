//! The memory that a connection may take: one bound for builds, merges, caches and SQL together.
//!
//! Whoever is about to keep much in memory holds that many bytes of the [`Budget`] while it does. What can wait or spill
//! asks ([`Budget::try_hold`], [`Budget::turn`]); what is there already says so ([`Held::resize`]), and makes the others
//! wait or spill. The bytes are what their owner states: allocators round, and small things are not counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{Mutex, Notify};

/// A bound of memory that many share; cheap to clone.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// Holders of a turn.
    turns: AtomicUsize,
    /// Held by the one that waits for its turn next; the others queue behind it.
    queue: Mutex<()>,
    freed: Notify,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Shared {
            limit: bytes,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            queue: Mutex::new(()),
            freed: Notify::new(),
        }))
    }

    /// 60 % of the memory that this process may use: of its control group if that has a limit, else of the machine.
    pub fn of_machine() -> Self {
        let system = sysinfo::System::new_with_specifics(
            sysinfo::RefreshKind::nothing()
                .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
        );
        let group = system.cgroup_limits().map(|limits| limits.total_memory);
        let bytes = [Some(system.total_memory()), group].into_iter().flatten().filter(|&b| b > 0);
        // A system that does not say is taken for a small one.
        let bytes = bytes.min().unwrap_or(2 << 30);
        Self::new(usize::try_from(bytes / 10 * 6).unwrap_or(usize::MAX))
    }

    /// Bytes it was made with.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    /// The most bytes that were held at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Relaxed)
    }

    /// Holds `bytes` that are taken whatever the limit says.
    pub fn hold(&self, bytes: usize) -> Held {
        self.add(bytes);
        Held { budget: self.clone(), bytes, turn: false }
    }

    /// Holds `bytes` if they are there.
    pub fn try_hold(&self, bytes: usize) -> Option<Held> {
        self.try_add(bytes).then(|| Held { budget: self.clone(), bytes, turn: false })
    }

    /// Whether more is held than the limit allows.
    pub fn is_over(&self) -> bool {
        self.used() > self.limit()
    }

    /// Holds `bytes` for a piece of work that can wait for them: until they are there, or no other has a turn, so that
    /// something always goes on. First come, first served.
    pub async fn turn(&self, bytes: usize) -> Held {
        let _next = self.0.queue.lock().await;
        loop {
            let first = self.0.turns.load(Relaxed) == 0;
            let held = match first {
                true => Some(self.hold(bytes)),
                false => self.try_hold(bytes),
            };
            if let Some(mut held) = held {
                // Only the one at the head of the queue adds turns, so none comes between the look and this.
                self.0.turns.fetch_add(1, Relaxed);
                held.turn = true;
                return held;
            }
            self.0.freed.notified().await;
        }
    }

    fn add(&self, bytes: usize) {
        let used = self.0.used.fetch_add(bytes, Relaxed) + bytes;
        self.0.peak.fetch_max(used, Relaxed);
    }

    fn try_add(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.0.limit);
        match self.0.used.fetch_update(Relaxed, Relaxed, fits) {
            Ok(before) => {
                self.0.peak.fetch_max(before + bytes, Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Relaxed);
        // One waits at most; where none does, the next that comes looks once more than it must.
        self.0.freed.notify_one();
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, peak) = (self.used(), self.peak());
        f.debug_struct("Budget")
            .field("limit", &self.limit())
            .field("used", &used)
            .field("peak", &peak)
            .finish()
    }
}

/// Bytes of a [`Budget`], given back when dropped.
#[derive(Debug)]
#[must_use = "dropped, it gives the bytes back"]
pub struct Held {
    budget: Budget,
    bytes: usize,
    turn: bool,
}

impl Held {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` from now on, whatever the limit says.
    pub fn resize(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.budget.add(more),
            None => self.budget.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
    }

    /// Holds `more` bytes beside those held, if they are there.
    pub fn try_grow(&mut self, more: usize) -> bool {
        let fits = self.budget.try_add(more);
        self.bytes += if fits { more } else { 0 };
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.turn {
            self.budget.0.turns.fetch_sub(1, Relaxed);
        }
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        let budget = Budget::new(100);
        let mut first = budget.try_hold(60).expect("fits");
        assert!(budget.try_hold(41).is_none());
        assert!(first.try_grow(40) && !first.try_grow(1));
        assert_eq!((budget.used(), first.bytes()), (100, 100));
        first.resize(130);
        assert!(budget.is_over(), "what is there is said, limit or not");
        first.resize(10);
        assert_eq!((budget.used(), budget.peak()), (10, 130));
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_machine_has_some_memory() {
        let limit = Budget::of_machine().limit();
        assert!(limit > 1 << 20, "{limit} bytes");
    }

    #[tokio::test]
    async fn one_turn_always_goes_on_and_others_wait_for_room() {
        let budget = Budget::new(100);
        let buffers = budget.hold(90);
        let alone = budget.turn(80).await;
        assert_eq!(budget.used(), 170, "the only one goes on, room or not");
        let mut waiting = tokio_test(budget.turn(20));
        assert!(waiting.poll().is_pending());
        drop(buffers);
        assert!(waiting.poll().is_ready(), "80 and 20 fit");
        drop(alone);
        drop(waiting);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn turns_end_whatever_their_sizes() {
        let budget = Budget::new(100);
        let work = (0..200usize).map(|i| {
            let budget = budget.clone();
            tokio::spawn(async move {
                let held = budget.turn(i * 37 % 150).await;
                tokio::task::yield_now().await;
                held.bytes()
            })
        });
        let done = futures::future::join_all(work).await;
        assert_eq!(done.len(), 200);
        assert_eq!(budget.used(), 0);
        assert!(budget.peak() < 100 + 150, "one at most goes on without room");
    }

    /// A future that is polled by hand, and keeps what it gives.
    struct ByHand<F: Future> {
        future: std::pin::Pin<Box<F>>,
        output: Option<F::Output>,
    }

    fn tokio_test<F: Future>(future: F) -> ByHand<F> {
        ByHand { future: Box::pin(future), output: None }
    }

    impl<F: Future> ByHand<F> {
        fn poll(&mut self) -> std::task::Poll<()> {
            let waker = futures::task::noop_waker();
            let mut context = std::task::Context::from_waker(&waker);
            self.future.as_mut().poll(&mut context).map(|output| self.output = Some(output))
        }
    }
}

//! How long to wait before trying again, and when to stop.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Waits that double up to a limit, each drawn at random from its upper half, so that callers who failed together do not
/// return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
    random: u64,
}

impl Backoff {
    /// Waits that begin at `first` and never exceed `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first.min(longest), longest, random: RandomState::new().hash_one(0u8) }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let half = self.next / 2;
        let wait = half + half.mul_f64(self.unit());
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// A number in `0.0..1.0`, by SplitMix64.
    fn unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// When an operation must have ended, however often it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `after` from now.
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// Sleeps for `wait`; `false`, at once, if the deadline would pass meanwhile.
    pub async fn sleep(&self, wait: Duration) -> bool {
        if Instant::now() + wait >= self.0 {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// What `work` returns, or `None` if it does not in time. It is dropped then.
    pub async fn limit<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_differ() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        let waits: Vec<_> = (0..8).map(|_| backoff.wait()).collect();
        for (wait, most) in waits.iter().zip([10, 20, 40, 80, 100, 100, 100, 100]) {
            let most = Duration::from_millis(most);
            assert!(*wait >= most / 2 && *wait <= most, "{wait:?} of {most:?}");
        }
        assert!(waits[5] != waits[6] || waits[6] != waits[7]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_sleep_and_work() {
        let deadline = Deadline::after(Duration::from_secs(1));
        assert!(deadline.sleep(Duration::from_millis(600)).await);
        assert!(!deadline.sleep(Duration::from_millis(600)).await);
        assert_eq!(deadline.limit(std::future::pending::<()>()).await, None);
        assert_eq!(Deadline::after(Duration::from_secs(1)).limit(async { 1 }).await, Some(1));
    }
}

//! The memory of SQL operators, out of the connection's budget.

use std::fmt;
use std::sync::Mutex;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use infino_table::{Budget, Held};

/// Shares what SQL may take among the operators that ask, as [`FairSpillPool`] does, and holds it in the budget that
/// builds and caches share: where that has no room, an operator is told to spill before its own share is used up.
#[derive(Debug)]
pub(super) struct BudgetPool {
    shares: FairSpillPool,
    held: Mutex<Held>,
    budget: Budget,
}

impl BudgetPool {
    /// A pool of at most `bytes`, which is no more than `budget` has.
    pub(super) fn new(bytes: usize, budget: &Budget) -> Self {
        let held = Mutex::new(budget.hold(0));
        Self { shares: FairSpillPool::new(bytes), held, budget: budget.clone() }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while held")
    }
}

impl fmt::Display for BudgetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, limit) = (self.budget.used(), self.budget.limit());
        write!(f, "budget({used} of {limit} bytes used by all; SQL: {})", self.shares)
    }
}

impl MemoryPool for BudgetPool {
    fn name(&self) -> &str {
        "budget"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shares.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shares.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shares.grow(reservation, additional);
        let mut held = self.held();
        let bytes = held.bytes() + additional;
        held.resize(bytes);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.shares.shrink(reservation, shrink);
        let mut held = self.held();
        let bytes = held.bytes().saturating_sub(shrink);
        held.resize(bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.shares.try_grow(reservation, additional)?;
        if self.held().try_grow(additional) {
            return Ok(());
        }
        self.shares.shrink(reservation, additional);
        Err(DataFusionError::ResourcesExhausted(format!(
            "{} needs {additional} bytes more, and the memory budget of the connection has {} of {} in use; raise `memory_bytes`",
            reservation.consumer().name(),
            self.budget.used(),
            self.budget.limit(),
        )))
    }

    fn reserved(&self) -> usize {
        self.shares.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.shares.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn operators_are_refused_what_others_hold() {
        let budget = Budget::new(1000);
        let pool: Arc<dyn MemoryPool> = Arc::new(BudgetPool::new(1000, &budget));
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        sort.try_grow(400).expect("there is room");
        let buffers = budget.hold(500);
        let refused = sort.try_grow(101).expect_err("no room beside the buffers").to_string();
        assert!(refused.contains("sort needs 101 bytes more"), "{refused}");
        assert_eq!((sort.size(), pool.reserved(), budget.used()), (400, 400, 900));
        drop(buffers);
        sort.try_grow(101).expect("the buffers are gone");
        sort.grow(1000);
        assert_eq!(budget.used(), 1501, "what cannot be refused is counted");
        drop(sort);
        assert_eq!((pool.reserved(), budget.used()), (0, 0));
    }
}

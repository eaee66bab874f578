//! Where the time of day and chance come from: the system, unless a thread says otherwise.
//!
//! Ids, dates and waits ask here and nowhere else, so a simulation that runs on one thread can [`replace`] both and run the
//! same again, whatever the machine does. Nothing that is safe rests on the answers: clocks may be off and jump.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Another time and another chance.
pub trait Source {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&mut self) -> u64;
    /// 64 random bits.
    fn random(&mut self) -> u64;
}

thread_local! {
    static REPLACED: RefCell<Option<Box<dyn Source>>> = const { RefCell::new(None) };
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    replaced(|source| source.now_ms()).unwrap_or_else(|| {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    })
}

/// 64 random bits.
pub fn random() -> u64 {
    replaced(|source| source.random())
        .unwrap_or_else(|| getrandom::u64().expect("the operating system gives random bytes"))
}

/// An id that nobody has drawn before, ordered by time (UUID version 7).
pub(crate) fn unique() -> u128 {
    let drawn = replaced(|source| {
        let (high, low) = (source.random().to_be_bytes(), source.random().to_be_bytes());
        let mut random = [0; 10];
        random[..2].copy_from_slice(&high[..2]);
        random[2..].copy_from_slice(&low);
        uuid::Builder::from_unix_timestamp_millis(source.now_ms(), &random).into_uuid()
    });
    drawn.unwrap_or_else(uuid::Uuid::now_v7).as_u128()
}

fn replaced<T>(ask: impl FnOnce(&mut dyn Source) -> T) -> Option<T> {
    REPLACED.with_borrow_mut(|source| source.as_mut().map(|source| ask(source.as_mut())))
}

/// Makes this thread ask `source` until the guard is dropped.
#[must_use = "the system answers again once this is dropped"]
pub fn replace(source: impl Source + 'static) -> Replaced {
    Replaced(REPLACED.replace(Some(Box::new(source))))
}

/// While this lives, its thread has another time and chance.
pub struct Replaced(Option<Box<dyn Source>>);

impl Drop for Replaced {
    fn drop(&mut self) {
        REPLACED.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommitId, SuperfileId};

    /// Counts up.
    struct Count(u64);

    impl Source for Count {
        fn now_ms(&mut self) -> u64 {
            self.0 += 1;
            self.0
        }

        fn random(&mut self) -> u64 {
            self.now_ms()
        }
    }

    #[test]
    fn a_replaced_source_gives_the_same_ids_again_and_only_while_it_is_there() {
        let drawn = || {
            let _replaced = replace(Count(7));
            (SuperfileId::new(), CommitId::new(), now_ms(), random())
        };
        assert_eq!(drawn(), drawn());
        assert_eq!(drawn().2, 14);
        assert!(now_ms() > 1_600_000_000_000);
        assert_ne!(random(), random());
    }

    #[test]
    fn every_bit_of_the_system_s_answer_is_random() {
        assert_eq!((0..64).fold(0, |all, _| all | random()), u64::MAX);
    }
}

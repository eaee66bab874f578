//! A map of bounded weight that drops what was not asked for again.
//!
//! Eviction is SIEVE: a queue in order of arrival, a bit per entry that a read sets, and a hand that walks from the oldest
//! to the newest, clears set bits and drops the first entry without one. A read changes one bit, nothing moves, and what a
//! scan brings in leaves before what is read again. Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.

use std::collections::BTreeMap;

/// Which block of which object of which store; or, with a length, which range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// A hash of the store's identity and the object's name.
    pub(super) object: u128,
    /// Blocks are numbered from the object's beginning; a range has its first byte here.
    pub(super) block: u64,
    /// 0 for a block, otherwise the length of a range that was put together from several.
    pub(super) len: u64,
}

impl Key {
    pub(super) fn block(object: u128, block: u64) -> Self {
        Self { object, block, len: 0 }
    }
}

#[derive(Debug)]
struct Entry<V> {
    key: Key,
    value: V,
    weight: u64,
    visited: bool,
    /// Towards the newest; `NONE` at the end.
    newer: usize,
    older: usize,
}

const NONE: usize = usize::MAX;

/// Values by key, whose weights together stay within a limit.
#[derive(Debug)]
pub(super) struct Sieve<V> {
    places: BTreeMap<Key, usize>,
    entries: Vec<Option<Entry<V>>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    hand: usize,
    weight: u64,
    weight_max: u64,
}

impl<V> Sieve<V> {
    pub(super) fn new(weight_max: u64) -> Self {
        Self {
            places: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            hand: NONE,
            weight: 0,
            weight_max,
        }
    }

    /// The weight of all entries.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether something of this weight would be taken at all.
    pub(super) fn fits(&self, weight: u64) -> bool {
        weight <= self.weight_max
    }

    /// The keys, ascending.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.places.keys().copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The value under `key`, which is noted as asked for.
    pub(super) fn get(&mut self, key: &Key) -> Option<&V> {
        let entry = self.entries[*self.places.get(key)?].as_mut()?;
        entry.visited = true;
        Some(&entry.value)
    }

    /// Puts `value` under `key`, in place of another, and returns what had to go for it. What is heavier than the limit
    /// allows is not taken.
    pub(super) fn insert(&mut self, key: Key, value: V, weight: u64) -> Vec<(Key, V)> {
        let mut gone: Vec<_> = self.remove(&key).map(|value| (key, value)).into_iter().collect();
        if !self.fits(weight) {
            return gone;
        }
        while self.weight + weight > self.weight_max {
            gone.extend(self.evict());
        }
        let entry = Entry { key, value, weight, visited: false, newer: NONE, older: self.newest };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at] = Some(entry);
                at
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() - 1
            }
        };
        match self.newest {
            NONE => self.oldest = at,
            newest => self.entry(newest).newer = at,
        }
        self.newest = at;
        self.places.insert(key, at);
        self.weight += weight;
        gone
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<V> {
        let at = self.places.remove(key)?;
        Some(self.take(at).1)
    }

    /// Removes all blocks and ranges of an object.
    pub(super) fn remove_object(&mut self, object: u128) -> Vec<(Key, V)> {
        let last = Key { object, block: u64::MAX, len: u64::MAX };
        let blocks = Key::block(object, 0)..=last;
        let keys: Vec<_> = self.places.range(blocks).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| Some((key, self.remove(&key)?))).collect()
    }

    fn evict(&mut self) -> Option<(Key, V)> {
        let mut at = if self.hand == NONE { self.oldest } else { self.hand };
        if at == NONE {
            return None;
        }
        while self.entry(at).visited {
            self.entry(at).visited = false;
            at = match self.entry(at).newer {
                NONE => self.oldest,
                newer => newer,
            };
        }
        self.hand = at;
        let gone = self.take(at);
        self.places.remove(&gone.0);
        Some(gone)
    }

    /// Takes the entry at `at` out of the queue. The hand steps on if it stood there.
    fn take(&mut self, at: usize) -> (Key, V) {
        let entry = self.entries[at].take().expect("a place in the map or the queue is taken");
        if self.hand == at {
            self.hand = entry.newer;
        }
        match entry.newer {
            NONE => self.newest = entry.older,
            newer => self.entry(newer).older = entry.older,
        }
        match entry.older {
            NONE => self.oldest = entry.newer,
            older => self.entry(older).newer = entry.newer,
        }
        self.free.push(at);
        self.weight -= entry.weight;
        (entry.key, entry.value)
    }

    fn entry(&mut self, at: usize) -> &mut Entry<V> {
        self.entries[at].as_mut().expect("links lead to entries")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u64) -> Key {
        Key { object: u128::from(n / 10), block: n % 10, len: n % 3 }
    }

    #[test]
    fn what_is_read_again_outlives_a_scan() {
        let mut sieve = Sieve::new(10);
        for n in 0..5 {
            sieve.insert(key(n), n, 1);
            sieve.get(&key(n));
        }
        for n in 100..200 {
            sieve.insert(key(n), n, 1);
        }
        assert!((0..5).all(|n| sieve.get(&key(n)).is_some()));
        assert_eq!(sieve.weight(), 10);
    }

    #[test]
    fn all_blocks_of_an_object_go_together() {
        let mut sieve = Sieve::new(100);
        for n in 0..30 {
            sieve.insert(key(n), n, 1);
        }
        let gone: Vec<_> = sieve.remove_object(1).into_iter().map(|(_, n)| n).collect();
        assert_eq!(gone, (10..20).collect::<Vec<_>>());
        assert_eq!(sieve.weight(), 20);
    }

    proptest! {
        #[test]
        fn it_holds_what_it_says(steps in prop::collection::vec((0u64..40, 0u64..8, 0u8..4), 0..300)) {
            let mut sieve = Sieve::new(30);
            let mut held = BTreeMap::new();
            for (n, weight, action) in steps {
                match action {
                    0 => prop_assert_eq!(sieve.remove(&key(n)), held.remove(&n).map(|_| n)),
                    1 => prop_assert_eq!(sieve.get(&key(n)).copied(), held.get(&n).map(|_| n)),
                    _ => {
                        for (_, gone) in sieve.insert(key(n), n, weight * 6) {
                            prop_assert!(held.remove(&gone).is_some());
                        }
                        if weight * 6 <= 30 {
                            held.insert(n, weight * 6);
                        }
                    }
                }
                prop_assert_eq!(sieve.weight(), held.values().sum::<u64>());
                prop_assert_eq!(sieve.len(), held.len());
                prop_assert!(sieve.weight() <= 30);
            }
        }
    }
}

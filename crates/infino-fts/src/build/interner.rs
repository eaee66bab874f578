//! Words to small numbers.

/// Gives each distinct string a number, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    /// Open addressing; a slot is the upper half of the hash and the number plus one, 0 if free.
    slots: Vec<u64>,
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes eight bytes at a time.
#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut state = key.len() as u64 ^ MULTIPLIER;
    let mut mix = |word: u64| {
        let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
        state = (product as u64) ^ (product >> 64) as u64;
    };
    let mut chunks = key.chunks_exact(8);
    for chunk in &mut chunks {
        mix(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
    }
    let rest = chunks.remainder();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(u64::from_le_bytes(last));
    mix(MULTIPLIER);
    state
}

impl Interner {
    /// The number of `key`, and whether it is new.
    #[inline]
    pub(crate) fn intern(&mut self, key: &[u8]) -> (u32, bool) {
        if self.spans.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let hash = hash(key);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                let id = self.spans.len() as u32;
                self.slots[at] = hash & !0xffff_ffff | u64::from(id + 1);
                self.spans.push((self.bytes.len() as u32, key.len() as u32));
                self.bytes.extend_from_slice(key);
                return (id, true);
            }
            let id = slot as u32 - 1;
            if slot >> 32 == hash >> 32 && self.key(id) == key {
                return (id, false);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(1024);
        self.slots = vec![0; len];
        for (id, &(start, key_len)) in self.spans.iter().enumerate() {
            let hash = hash(&self.bytes[start as usize..(start + key_len) as usize]);
            let mut at = hash as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = hash & !0xffff_ffff | (id as u64 + 1);
        }
    }

    /// The string with this number.
    pub(crate) fn key(&self, id: u32) -> &[u8] {
        let (start, len) = self.spans[id as usize];
        &self.bytes[start as usize..][..len as usize]
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + 8 * self.spans.len() + 8 * self.slots.len()
    }

    /// The numbers in the order of their strings.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        // The first eight bytes decide most comparisons.
        let mut ids: Vec<(u64, u32)> = (0..self.spans.len() as u32)
            .map(|id| {
                let key = self.key(id);
                let mut head = [0; 8];
                let len = key.len().min(8);
                head[..len].copy_from_slice(&key[..len]);
                (u64::from_be_bytes(head), id)
            })
            .collect();
        ids.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.key(a.1).cmp(self.key(b.1))));
        ids.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_sorted_by_string() {
        let mut interner = Interner::default();
        let words: Vec<String> =
            (0..5000u32).map(|i| format!("word{}", i.wrapping_mul(2654435761))).collect();
        for (i, word) in words.iter().enumerate() {
            assert_eq!(interner.intern(word.as_bytes()), (i as u32, true));
        }
        for (i, word) in words.iter().enumerate() {
            assert_eq!(interner.intern(word.as_bytes()), (i as u32, false));
        }
        let sorted = interner.sorted();
        assert!(sorted.windows(2).all(|pair| interner.key(pair[0]) < interner.key(pair[1])));
        assert_eq!(interner.intern(b"").0, 5000);
        assert_eq!(interner.intern(b"\0").0, 5001);
    }
}

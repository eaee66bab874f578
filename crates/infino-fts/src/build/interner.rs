//! Words to small numbers.

/// Gives each distinct string a number, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    /// Open addressing; a slot is the upper half of the hash and the number plus one, 0 if free.
    slots: Vec<u64>,
    entries: Vec<Entry>,
    /// The strings that do not fit an entry.
    bytes: Vec<u8>,
}

/// A string of at most 15 bytes behind its length, or [`LONG`] and where a longer one is: so most take one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(16))]
struct Entry([u8; 16]);

/// As a length: the string is longer.
const LONG: u8 = 255;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Entry {
    /// The entry of a string if it is short.
    #[inline(always)]
    fn short(key: &[u8]) -> Option<Self> {
        let four = |at: usize| u32::from_le_bytes(key[at..at + 4].try_into().expect("four bytes"));
        let eight =
            |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight bytes"));
        let len = key.len();
        // Two reads that overlap say the same where they do.
        let value = match len {
            0 => 0,
            1..=3 => {
                let at = |at: usize| u128::from(key[at]) << (8 * at);
                at(0) | at(len / 2) | at(len - 1)
            }
            4..=7 => u128::from(four(0)) | u128::from(four(len - 4)) << (8 * (len - 4)),
            8..=15 => u128::from(eight(0)) | u128::from(eight(len - 8)) << (8 * (len - 8)),
            _ => return None,
        };
        Some(Self((value << 8 | len as u128).to_le_bytes()))
    }

    fn long(start: usize, len: usize) -> Self {
        let mut entry = [0; 16];
        entry[0] = LONG;
        entry[4..8].copy_from_slice(&(start as u32).to_le_bytes());
        entry[8..12].copy_from_slice(&(len as u32).to_le_bytes());
        Self(entry)
    }

    #[inline(always)]
    fn key<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        let number = |at: usize| {
            u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes")) as usize
        };
        match self.0[0] {
            LONG => &bytes[number(4)..][..number(8)],
            len => &self.0[1..=len.into()],
        }
    }
}

#[inline(always)]
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
    (product as u64) ^ (product >> 64) as u64
}

/// Mixes eight bytes at a time; `entry` is that of a short key.
#[inline(always)]
fn hash(key: &[u8], entry: Option<Entry>) -> u64 {
    if let Some(Entry(bytes)) = entry {
        let value = u128::from_le_bytes(bytes);
        return mix(mix(mix(MULTIPLIER, value as u64), (value >> 64) as u64), MULTIPLIER);
    }
    let mut state = key.len() as u64 ^ MULTIPLIER;
    let mut chunks = key.chunks_exact(8);
    for chunk in &mut chunks {
        state = mix(state, u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
    }
    let rest = chunks.remainder();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(mix(state, u64::from_le_bytes(last)), MULTIPLIER)
}

impl Interner {
    /// The number of `key`, and whether it is new.
    #[inline]
    pub(crate) fn intern(&mut self, key: &[u8]) -> (u32, bool) {
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let short = Entry::short(key);
        let hash = hash(key, short);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                let id = self.entries.len() as u32;
                self.slots[at] = hash & !0xffff_ffff | u64::from(id + 1);
                self.entries
                    .push(short.unwrap_or_else(|| Entry::long(self.bytes.len(), key.len())));
                if short.is_none() {
                    self.bytes.extend_from_slice(key);
                }
                return (id, true);
            }
            let id = slot as u32 - 1;
            if slot >> 32 == hash >> 32 {
                let same = match short {
                    Some(short) => self.entries[id as usize] == short,
                    None => self.key(id) == key,
                };
                if same {
                    return (id, false);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(1024);
        self.slots = vec![0; len];
        for (id, entry) in self.entries.iter().enumerate() {
            let key = entry.key(&self.bytes);
            let hash = hash(key, Entry::short(key));
            let mut at = hash as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = hash & !0xffff_ffff | (id as u64 + 1);
        }
    }

    /// The string with this number.
    pub(crate) fn key(&self, id: u32) -> &[u8] {
        self.entries[id as usize].key(&self.bytes)
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + 16 * self.entries.len() + 8 * self.slots.len()
    }

    /// The numbers in the order of their strings.
    pub(crate) fn sorted(&self) -> Vec<u32> {
        // The first eight bytes decide most comparisons.
        let mut ids: Vec<(u64, u32)> = (0..self.entries.len() as u32)
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
        let nulls = [0; 40];
        for len in 2..40 {
            assert_eq!(interner.intern(&nulls[..len]), (5000 + len as u32, true));
        }
        let text: Vec<u8> = (1..=40).collect();
        for len in 1..40 {
            let (id, new) = interner.intern(&text[..len]);
            assert!(new && interner.key(id) == &text[..len]);
            assert_eq!(interner.intern(&text[..len]), (id, false));
        }
    }
}

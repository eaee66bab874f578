//! A run of documents being evaluated.

/// Documents of a window.
pub(crate) const WINDOW: usize = 4096;
/// Words of its bitset.
pub(crate) const WORDS: usize = WINDOW / 64;

/// The bits of a window.
pub(crate) type Bits = [u64; WORDS];

/// Which documents of a window match, and their scores; the score of one that does not match means nothing.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) bits: Bits,
    pub(crate) scores: Vec<f32>,
}

impl Window {
    /// An empty window; without scores unless it is `scored`.
    pub(crate) fn new(scored: bool) -> Self {
        Self { bits: [0; WORDS], scores: vec![0.0; if scored { WINDOW } else { 0 }] }
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.bits = [0; WORDS];
        self.scores.fill(0.0);
    }
}

/// Calls `each` with the place of every bit set.
#[inline]
pub(crate) fn each_bit<E>(
    bits: &Bits,
    mut each: impl FnMut(usize) -> Result<(), E>,
) -> Result<(), E> {
    for (i, &word) in bits.iter().enumerate() {
        let mut word = word;
        while word != 0 {
            each(64 * i + word.trailing_zeros() as usize)?;
            word &= word - 1;
        }
    }
    Ok(())
}

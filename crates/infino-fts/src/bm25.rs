//! The BM25 formula.
//!
//! `idf · tf / (tf + k1 · (1 − b + b · len / avg_len))` with k1 = 1.2, b = 0.75, exact lengths and
//! `idf = ln(1 + (N − df + 0.5) / (df + 0.5))`, as in Robertson and Zaragoza, *The Probabilistic Relevance Framework*
//! (2009), with Lucene's always positive idf and without the constant factor k1 + 1, which changes no order.

/// How fast a repeated term saturates.
pub const K1: f64 = 1.2;
/// How much length counts.
pub const B: f64 = 0.75;

/// What a term is worth when `df` of `docs` documents hold it.
pub fn idf(docs: u64, df: u64) -> f64 {
    // A caller's statistics may be inconsistent; a term is never worth less than nothing.
    let (docs, df) = (docs.max(df) as f64, df as f64);
    (1.0 + (docs - df + 0.5) / (df + 0.5)).ln()
}

/// BM25 of one term of one field over a whole table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scorer {
    pub(crate) weight: f32,
    pub(crate) norm: Norm,
}

/// The part of the formula that depends on a document's length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Norm {
    base: f32,
    slope: f32,
}

impl Norm {
    /// For a table whose documents have `tokens / docs` words on average.
    pub(crate) fn new(docs: u64, tokens: u64) -> Self {
        let average = if docs == 0 || tokens == 0 { 1.0 } else { tokens as f64 / docs as f64 };
        Self { base: (K1 * (1.0 - B)) as f32, slope: (K1 * B / average) as f32 }
    }

    #[inline(always)]
    pub(crate) fn of(self, len: u32) -> f32 {
        // Through i32, which machines convert at once; no text has 2^31 words.
        self.base + self.slope * len as i32 as f32
    }
}

impl Scorer {
    /// The score of a document of length `len` that holds the term `tf` times.
    #[inline(always)]
    pub(crate) fn score(self, tf: u32, len: u32) -> f32 {
        let tf = tf as i32 as f32;
        self.weight * tf / (tf + self.norm.of(len))
    }

    /// The score of a document of length `len` that holds what is sought `frequency` times.
    pub(crate) fn score_frequency(self, frequency: f32, len: u32) -> f32 {
        self.weight * frequency / (frequency + self.norm.of(len))
    }

    /// No document scores above this.
    pub(crate) fn ceiling(self) -> f32 {
        upward(self.weight)
    }

    /// No document with at most `tf` occurrences and at least `len` words scores above this.
    #[inline(always)]
    pub(crate) fn bound(self, tf: f32, len: f32) -> f32 {
        upward(self.weight * tf / (tf + (self.norm.base + self.norm.slope * len)))
    }
}

/// A little above `bound`, so that rounding never puts a score above its bound.
#[inline(always)]
pub(crate) fn upward(bound: f32) -> f32 {
    bound * (1.0 + 1e-6)
}

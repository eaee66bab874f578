//! Vectors from text.
//!
//! [`Embedder`] is the seam: a model that turns text into vectors implements it. [`HashedNgrams`] is the one
//! that needs nothing: no download, no model, a few milliseconds for a megabyte a core.

/// Turns text into vectors of one length.
pub trait Embedder {
    /// Length of every vector.
    fn dim(&self) -> usize;

    /// Writes the vector of `text` into `out`; the same text gives the same vector.
    ///
    /// # Panics
    /// If `out` does not have [`dim`](Self::dim) places.
    fn embed(&self, text: &str, out: &mut [f32]);
}

/// Length of the vectors of [`HashedNgrams`].
pub const DIM: usize = 256;

/// Hashed words, pairs of words and pieces of words, in 256 dimensions.
///
/// Texts are near each other when they share words, neighbouring words, or spellings: `spawn_thread`,
/// `SpawnThreads` and `thread spawning` are close. It knows no meaning: `car` and `automobile` are as far
/// apart as any two words. It stands in for a model where none can be downloaded, and gives a vector
/// index real text to work on.
///
/// Words are runs of letters and digits in lower case, identifiers taken apart at underscores and
/// capitals. Each word, each pair of words in a row and each three bytes of a word with its ends
/// marked is hashed to one of the dimensions and a sign (Weinberger et al., *Feature Hashing for
/// Large Scale Multitask Learning*, 2009), and counts `1 + ln(times)`, words that say little a
/// fraction of it. The result has length 1, so that cosine and inner product agree; a text without
/// words is the first axis. Only additions, products and square roots are used, so every machine
/// gives the same bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct HashedNgrams;

/// The kinds of features, each with its own counters and weight.
const KINDS: usize = 3;
const WORD: usize = 0;
const PAIR: usize = 1;
const PIECE: usize = 2;
const WEIGHTS: [f32; KINDS] = [1.0, 0.6, 0.35];
/// What a word that says little weighs against another.
const COMMON_WEIGHT: f32 = 0.15;

/// Counters of a kind. Of a slot's bits the low eight are the dimension and the next is the sign, so two
/// features that share a counter would have met in a dimension anyway.
const SLOTS: usize = 4096;
/// Longer words are keys and hashes; their first bytes are enough.
const WORD_BYTES_MAX: usize = 32;

/// `1 + ln(n)` for n from 1; more often than the last says no more.
const DAMPED: [f32; 16] = [
    1.0,
    1.693_147_2,
    2.098_612_3,
    2.386_294_4,
    2.609_438,
    2.791_759_5,
    2.945_910_2,
    3.079_441_5,
    3.197_224_6,
    3.302_585,
    3.397_895_3,
    3.484_906_7,
    3.564_949_3,
    3.639_057_4,
    3.708_050_3,
    3.772_588_7,
];

/// Words that most prose or most source code has, sorted.
const COMMON: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "const", "else", "false", "fn", "for",
    "from", "has", "if", "impl", "in", "into", "is", "it", "let", "match", "mod", "mut", "new",
    "none", "not", "of", "ok", "on", "or", "pub", "ref", "return", "self", "some", "static", "str",
    "struct", "super", "that", "the", "this", "to", "true", "type", "u8", "use", "usize", "where",
    "will", "with", "you",
];

impl Embedder for HashedNgrams {
    fn dim(&self) -> usize {
        DIM
    }

    fn embed(&self, text: &str, out: &mut [f32]) {
        assert_eq!(out.len(), DIM, "a vector of this embedder has {DIM} places");
        let mut features = Features::new();
        for_each_word(text, |word| features.add(word));
        features.write(out);
    }
}

/// How often each feature of a text occurs.
struct Features {
    counts: [[u8; SLOTS]; KINDS],
    common: [u8; SLOTS],
    last_word: Option<u64>,
}

impl Features {
    fn new() -> Self {
        Self { counts: [[0; SLOTS]; KINDS], common: [0; SLOTS], last_word: None }
    }

    fn add(&mut self, word: &[u8]) {
        let hash = hash(word);
        if is_common(word) {
            count(&mut self.common, hash);
            self.last_word = None;
            return;
        }
        count(&mut self.counts[WORD], hash);
        if let Some(last) = self.last_word.replace(hash) {
            count(&mut self.counts[PAIR], mix(last.rotate_left(23) ^ hash));
        }
        // With its ends marked, a word of n bytes has n pieces; zero stands beyond either end.
        let byte = |at: usize| u64::from(word.get(at.wrapping_sub(1)).copied().unwrap_or(0));
        for at in 0..word.len() {
            let piece = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
            count(&mut self.counts[PIECE], mix(piece | 1 << 24));
        }
    }

    fn write(&self, out: &mut [f32]) {
        out.fill(0.0);
        for (counts, weight) in self.counts.iter().zip(WEIGHTS) {
            scatter(counts, weight, out);
        }
        scatter(&self.common, COMMON_WEIGHT, out);
        let length = out.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            out.iter_mut().for_each(|x| *x /= length);
        } else {
            out[0] = 1.0;
        }
    }
}

fn count(counts: &mut [u8; SLOTS], hash: u64) {
    let slot = &mut counts[(hash >> 52) as usize];
    *slot = slot.saturating_add(1);
}

/// Adds what the counters of one kind say to the dimensions.
fn scatter(counts: &[u8; SLOTS], weight: f32, out: &mut [f32]) {
    // Most counters are zero, so eight are passed over at once.
    for (block, counters) in counts.chunks_exact(8).enumerate() {
        if counters == [0; 8] {
            continue;
        }
        for (at, &count) in counters.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let slot = block * 8 + at;
            let damped = DAMPED[usize::from(count).min(DAMPED.len()) - 1];
            let sign = if slot & DIM == 0 { 1.0 } else { -1.0 };
            out[slot % DIM] += sign * weight * damped;
        }
    }
}

fn is_common(word: &[u8]) -> bool {
    word.len() <= 6 && COMMON.binary_search_by(|common| common.as_bytes().cmp(word)).is_ok()
}

/// Calls `see` with each word of `text` in lower case.
fn for_each_word(text: &str, mut see: impl FnMut(&[u8])) {
    let mut word = [0_u8; WORD_BYTES_MAX];
    let mut len = 0;
    let mut after_small = false;
    for ch in text.chars() {
        let ends = !ch.is_alphanumeric() || (after_small && ch.is_uppercase());
        if ends && len > 0 {
            see(&word[..len]);
            len = 0;
        }
        after_small = ch.is_lowercase() || ch.is_numeric();
        if !ch.is_alphanumeric() {
            continue;
        }
        // Of the few capitals whose small form is several characters the first will do.
        let small = ch.to_lowercase().next().unwrap_or(ch);
        if let Some(place) = word.get_mut(len..len + small.len_utf8()) {
            len += small.encode_utf8(place).len();
        }
    }
    if len > 0 {
        see(&word[..len]);
    }
}

fn hash(word: &[u8]) -> u64 {
    let mut hash = word.len() as u64;
    for chunk in word.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(bytes));
    }
    hash
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of `x` moves about half of the others.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(text: &str) -> [f32; DIM] {
        let mut out = [f32::NAN; DIM];
        HashedNgrams.embed(text, &mut out);
        out
    }

    fn cosine(a: &str, b: &str) -> f32 {
        vector(a).iter().zip(vector(b)).map(|(a, b)| a * b).sum()
    }

    fn check_words(text: &str, want: &[&str]) {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(String::from_utf8_lossy(word).into_owned()));
        assert_eq!(words, want);
    }

    #[test]
    fn common_words_are_sorted_so_that_they_are_found() {
        assert!(COMMON.is_sorted());
        assert!(COMMON.iter().all(|word| word.len() <= 6));
    }

    #[test]
    fn identifiers_are_taken_apart() {
        check_words("spawn_thread(x2, parseURL)", &["spawn", "thread", "x2", "parse", "url"]);
        check_words("Größe İs ok", &["größe", "is", "ok"]);
        check_words(&"a".repeat(100), &["a".repeat(32).as_str()]);
        check_words("", &[]);
    }

    #[test]
    fn every_vector_has_length_one() {
        for text in ["", "{}", "the", "fn main() { println!(\"hello\"); }", &"word ".repeat(10_000)]
        {
            let length: f32 = vector(text).iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5, "{text:.20}: {length}");
        }
    }

    #[test]
    fn shared_words_and_spellings_are_near() {
        let query = "spawn a thread with a name";
        let near = cosine(query, "/// Spawns a new named thread.\nfn spawn_thread(name: &str) {}");
        let far = cosine(query, "/// Inverts the matrix.\nfn invert(matrix: &Matrix) {}");
        assert!(near > far + 0.2, "{near} {far}");
        assert!(cosine("compression", "decompressing") > cosine("compression", "automobile") + 0.2);
    }

    #[test]
    fn golden() {
        let bits = vector("A golden text: parse_http_header(Größe) the the the.")
            .iter()
            .fold(0, |hash, x| mix(hash ^ u64::from(x.to_bits())));
        assert_eq!(
            bits, 0x9fc1cd6c3ecd8d8e,
            "the vectors stored in tables would no longer compare"
        );
    }
}

//! Text to terms: what a column's words are, for documents and queries alike.
//!
//! An [`Analyzer`] is a named, versioned chain: a tokenizer cuts text into words, a filter turns each word into the term
//! that is indexed, or drops it. A name always means the same terms; what would change them gets a new name.

mod chain;
mod code;
mod fold;
mod grams;
mod segment;
mod spec;
mod stop_words;

pub use chain::{Analyzer, Token};

/// The longest term in bytes; a longer one is cut at the last character boundary at or before it.
pub const TERM_LEN_MAX: usize = 1024;

/// The longest prefix of `word` that is at most `max` bytes and ends between characters.
pub(crate) fn cut(word: &str, max: usize) -> &str {
    if word.len() <= max {
        return word;
    }
    let end = (0..=max).rev().find(|&end| word.is_char_boundary(end));
    &word[..end.unwrap_or(0)]
}

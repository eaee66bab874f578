//! Named chains of a tokenizer and word filters.

use std::borrow::Cow;
use std::ops::Range;

use frostem::{Algorithm, Stemmer};

use super::{TERM_LEN_MAX, code, cut, segment, stop_words};
use crate::FtsError;

/// One term of a text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The term, as it is indexed.
    pub term: String,
    /// Its place among the words of the text; a dropped stop word leaves a hole.
    pub position: u32,
    /// The bytes of the text it stands for.
    pub range: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tokenizer {
    Words,
    Whole,
    Code,
}

/// A named, versioned way from text to terms.
#[derive(Debug, Clone, Copy)]
pub struct Analyzer {
    name: &'static str,
    tokenizer: Tokenizer,
    stop_words: &'static [&'static str],
    stemmer: Option<Algorithm>,
}

const ANALYZERS: &[Analyzer] = &[
    Analyzer { name: "standard-v1", tokenizer: Tokenizer::Words, stop_words: &[], stemmer: None },
    Analyzer {
        name: "english-v1",
        tokenizer: Tokenizer::Words,
        stop_words: stop_words::ENGLISH,
        stemmer: Some(Algorithm::English),
    },
    Analyzer { name: "keyword-v1", tokenizer: Tokenizer::Whole, stop_words: &[], stemmer: None },
    Analyzer { name: "code-v1", tokenizer: Tokenizer::Code, stop_words: &[], stemmer: None },
];

impl Analyzer {
    /// The analyzer of this name.
    ///
    /// # Errors
    /// [`FtsError::UnknownAnalyzer`], listing those that exist.
    pub fn named(name: &str) -> Result<Self, FtsError> {
        ANALYZERS.iter().find(|analyzer| analyzer.name == name).copied().ok_or_else(|| {
            FtsError::UnknownAnalyzer { name: name.to_owned(), known: Self::names().join(", ") }
        })
    }

    /// The names of all analyzers.
    pub fn names() -> Vec<&'static str> {
        ANALYZERS.iter().map(|analyzer| analyzer.name).collect()
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The terms of `text`, with their places.
    pub fn analyze(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut scratch = String::new();
        self.words(text, |position, range| {
            if let Some(term) = self.term(&text[range.clone()], &mut scratch) {
                tokens.push(Token { term: term.into_owned(), position, range });
            }
        });
        tokens
    }

    /// Calls `word` with the position and place of each word of `text`, before any filter.
    #[inline]
    pub(crate) fn words(&self, text: &str, mut word: impl FnMut(u32, Range<usize>)) {
        let mut position = 0;
        match self.tokenizer {
            Tokenizer::Words => segment::words(text, |range| {
                word(position, range);
                position += 1;
            }),
            Tokenizer::Whole => word(0, 0..text.len()),
            Tokenizer::Code => code::words(text, |range, new| {
                position += u32::from(new);
                word(position - 1, range);
            }),
        }
    }

    /// The term that stands for `word`, `None` if the chain leaves it out. It depends on the word alone.
    pub(crate) fn term<'a>(&self, word: &'a str, scratch: &'a mut String) -> Option<Cow<'a, str>> {
        if self.tokenizer == Tokenizer::Whole {
            return Some(Cow::Borrowed(cut(word, TERM_LEN_MAX)));
        }
        let word = cut(word, TERM_LEN_MAX);
        let lower: &str = if word.bytes().any(|byte| byte >= 128 || byte.is_ascii_uppercase()) {
            scratch.clear();
            if word.is_ascii() {
                scratch.push_str(word);
                scratch.make_ascii_lowercase();
            } else {
                scratch.push_str(&word.to_lowercase());
            }
            cut(scratch, TERM_LEN_MAX)
        } else {
            word
        };
        if self.stop_words.binary_search(&lower).is_ok() {
            return None;
        }
        match self.stemmer {
            None => Some(Cow::Borrowed(lower)),
            Some(algorithm) => Some(Stemmer::new(algorithm).stem(lower)),
        }
    }

    /// `text` in the case that this chain's terms have.
    pub(crate) fn fold(&self, text: &str) -> String {
        match self.tokenizer {
            Tokenizer::Whole => text.to_owned(),
            Tokenizer::Words | Tokenizer::Code => text.to_lowercase(),
        }
    }

    /// Whether a term is just its word in lower case or unchanged, so that caching the step would not pay.
    pub(crate) fn is_plain(&self) -> bool {
        self.stemmer.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(analyzer: &str, text: &str, expected: &str) {
        let tokens = Analyzer::named(analyzer).unwrap().analyze(text);
        let shown: Vec<String> =
            tokens.iter().map(|token| format!("{}@{}", token.term, token.position)).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn chains_give_the_terms_they_promise() {
        check("standard-v1", "The Quick-Brown FOX can't", "the@0 quick@1 brown@2 fox@3 can't@4");
        check("english-v1", "The running dogs' tails and it", "run@1 dog@2 tail@3");
        check("keyword-v1", "The Whole Value", "The Whole Value@0");
        check("keyword-v1", "", "@0");
        check("code-v1", "parseHtml(x_1)", "parsehtml@0 parse@0 html@0 x_1@1 x@1 1@1");
        check("standard-v1", "ÄÖ ΑΣ İ", "äö@0 ας@1 i\u{307}@2");
    }

    #[test]
    fn long_terms_are_cut_between_characters() {
        let text = "é".repeat(70_000);
        for analyzer in Analyzer::names() {
            let tokens = Analyzer::named(analyzer).unwrap().analyze(&text);
            assert_eq!(tokens[0].term.len(), 1024, "{analyzer}");
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = Analyzer::named("klingon-v1").unwrap_err().to_string();
        assert!(error.contains("klingon-v1") && error.contains("english-v1"), "{error}");
    }

    #[test]
    fn stop_words_are_sorted_for_binary_search() {
        assert!(stop_words::ENGLISH.is_sorted());
    }
}

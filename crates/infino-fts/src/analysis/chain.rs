//! Named chains of a tokenizer and word filters.

use std::borrow::Cow;
use std::ops::Range;

use frostem::{Algorithm, Stemmer};

use super::{TERM_LEN_MAX, code, cut, fold, grams, segment, stop_words};
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
    Cjk,
    Trigrams,
}

/// A named, versioned way from text to terms.
#[derive(Debug, Clone, Copy)]
pub struct Analyzer {
    name: &'static str,
    tokenizer: Tokenizer,
    folds: bool,
    stop_words: &'static [&'static str],
    stemmer: Option<Algorithm>,
}

const fn plain(name: &'static str, tokenizer: Tokenizer) -> Analyzer {
    Analyzer { name, tokenizer, folds: false, stop_words: &[], stemmer: None }
}

const fn stemmed(name: &'static str, algorithm: Algorithm) -> Analyzer {
    Analyzer { stemmer: Some(algorithm), ..plain(name, Tokenizer::Words) }
}

const ANALYZERS: &[Analyzer] = &[
    plain("standard-v1", Tokenizer::Words),
    Analyzer { folds: true, ..plain("folded-v1", Tokenizer::Words) },
    plain("keyword-v1", Tokenizer::Whole),
    plain("code-v1", Tokenizer::Code),
    plain("cjk-v1", Tokenizer::Cjk),
    plain("trigram-v1", Tokenizer::Trigrams),
    Analyzer { stop_words: stop_words::ENGLISH, ..stemmed("english-v1", Algorithm::English) },
    stemmed("arabic-v1", Algorithm::Arabic),
    stemmed("armenian-v1", Algorithm::Armenian),
    stemmed("basque-v1", Algorithm::Basque),
    stemmed("catalan-v1", Algorithm::Catalan),
    stemmed("czech-v1", Algorithm::Czech),
    stemmed("danish-v1", Algorithm::Danish),
    stemmed("dutch-v1", Algorithm::Dutch),
    stemmed("esperanto-v1", Algorithm::Esperanto),
    stemmed("estonian-v1", Algorithm::Estonian),
    stemmed("finnish-v1", Algorithm::Finnish),
    stemmed("french-v1", Algorithm::French),
    stemmed("german-v1", Algorithm::German),
    stemmed("greek-v1", Algorithm::Greek),
    stemmed("hindi-v1", Algorithm::Hindi),
    stemmed("hungarian-v1", Algorithm::Hungarian),
    stemmed("indonesian-v1", Algorithm::Indonesian),
    stemmed("irish-v1", Algorithm::Irish),
    stemmed("italian-v1", Algorithm::Italian),
    stemmed("lithuanian-v1", Algorithm::Lithuanian),
    stemmed("nepali-v1", Algorithm::Nepali),
    stemmed("norwegian-v1", Algorithm::Norwegian),
    stemmed("persian-v1", Algorithm::Persian),
    stemmed("polish-v1", Algorithm::Polish),
    stemmed("porter-v1", Algorithm::Porter),
    stemmed("portuguese-v1", Algorithm::Portuguese),
    stemmed("romanian-v1", Algorithm::Romanian),
    stemmed("russian-v1", Algorithm::Russian),
    stemmed("serbian-v1", Algorithm::Serbian),
    stemmed("sesotho-v1", Algorithm::Sesotho),
    stemmed("spanish-v1", Algorithm::Spanish),
    stemmed("swedish-v1", Algorithm::Swedish),
    stemmed("tamil-v1", Algorithm::Tamil),
    stemmed("turkish-v1", Algorithm::Turkish),
    stemmed("ukrainian-v1", Algorithm::Ukrainian),
    stemmed("yiddish-v1", Algorithm::Yiddish),
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
        let mut next = |range| {
            word(position, range);
            position += 1;
        };
        match self.tokenizer {
            Tokenizer::Words => segment::words(text, next),
            Tokenizer::Cjk => grams::cjk_words(text, next),
            Tokenizer::Trigrams => grams::trigrams(text, next),
            Tokenizer::Whole => next(0..text.len()),
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
            } else if self.folds {
                fold::fold(&word.to_lowercase(), scratch);
            } else {
                scratch.push_str(&word.to_lowercase());
            }
            cut(scratch, TERM_LEN_MAX)
        } else {
            word
        };
        if lower.is_empty() || self.stop_words.binary_search(&lower).is_ok() {
            return None;
        }
        let Some(algorithm) = self.stemmer else { return Some(Cow::Borrowed(lower)) };
        let stem = match Stemmer::new(algorithm).stem(lower) {
            Cow::Owned(stem) if stem.len() > TERM_LEN_MAX => {
                Cow::Owned(cut(&stem, TERM_LEN_MAX).to_owned())
            }
            stem => stem,
        };
        Some(stem).filter(|stem| !stem.is_empty())
    }

    /// `text` in the case that this chain's terms have.
    pub(crate) fn fold(&self, text: &str) -> String {
        match self.tokenizer {
            Tokenizer::Whole => text.to_owned(),
            _ if self.folds => {
                let mut folded = String::new();
                fold::fold(&text.to_lowercase(), &mut folded);
                folded
            }
            _ => text.to_lowercase(),
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
        check("folded-v1", "Ångström CAFÉ x", "angstrom@0 cafe@1 x@2");
        check("german-v1", "Die Häuser liefen", "die@0 haus@1 lief@2");
        check("french-v1", "les chevaux continuaient", "le@0 cheval@1 continu@2");
        check("cjk-v1", "東京タワー Tower", "東京@0 京タ@1 タワ@2 ワー@3 tower@4");
        check("trigram-v1", "AbC d", "abc@0 bc @1 c d@2");
        check("code-v1", "parseHtml(x_1)", "parsehtml@0 parse@0 html@0 x_1@1 x@1 1@1");
        check("standard-v1", "ÄÖ ΑΣ İ", "äö@0 ας@1 i\u{307}@2");
    }

    #[test]
    fn long_terms_are_cut_between_characters() {
        let text = "é".repeat(70_000);
        for analyzer in Analyzer::names() {
            let tokens = Analyzer::named(analyzer).unwrap().analyze(&text);
            assert!((1..=1024).contains(&tokens[0].term.len()), "{analyzer}");
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

//! Named chains of a tokenizer and word filters.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use frostem::{Algorithm, Stemmer};

use super::{TERM_LEN_MAX, code, cut, fold, grams, segment, spec, stop_words};
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
pub(crate) enum Tokenizer {
    Words,
    Spaces,
    Whole,
    Code,
    Cjk,
    Grams(usize),
}

/// A tokenizer and what is done to each word, in the order of the fields.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) lower: bool,
    pub(crate) folds: bool,
    /// Ascending.
    pub(crate) stop_words: Vec<Cow<'static, str>>,
    pub(crate) stemmer: Option<Algorithm>,
    /// Terms of fewer or more characters are left out.
    pub(crate) chars: Option<(u32, u32)>,
    /// Beginnings of a word, from so many characters to so many, stand for it.
    pub(crate) edge: Option<(u32, u32)>,
}

impl Chain {
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        Self {
            name: String::new(),
            tokenizer,
            lower: false,
            folds: false,
            stop_words: Vec::new(),
            stemmer: None,
            chars: None,
            edge: None,
        }
    }
}

/// A named, versioned way from text to terms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Analyzer {
    chain: Arc<Chain>,
}

/// The chains that have a name, except those that only stem.
const CHAINS: &[(&str, &str)] = &[
    ("standard-v1", "words | lower"),
    ("folded-v1", "words | fold"),
    ("keyword-v1", "keyword"),
    ("code-v1", "code | lower"),
    ("cjk-v1", "cjk | lower"),
    ("trigram-v1", "grams(3) | lower"),
    ("english-v1", "words | lower | stop(english) | stem(english)"),
];

/// `<stemmer>-v1` is `words | lower | stem(<stemmer>)`.
const STEMMED: &[&str] = &[
    "arabic-v1",
    "armenian-v1",
    "basque-v1",
    "catalan-v1",
    "czech-v1",
    "danish-v1",
    "dutch-v1",
    "esperanto-v1",
    "estonian-v1",
    "finnish-v1",
    "french-v1",
    "german-v1",
    "greek-v1",
    "hindi-v1",
    "hungarian-v1",
    "indonesian-v1",
    "irish-v1",
    "italian-v1",
    "lithuanian-v1",
    "nepali-v1",
    "norwegian-v1",
    "persian-v1",
    "polish-v1",
    "porter-v1",
    "portuguese-v1",
    "romanian-v1",
    "russian-v1",
    "serbian-v1",
    "sesotho-v1",
    "spanish-v1",
    "swedish-v1",
    "tamil-v1",
    "turkish-v1",
    "ukrainian-v1",
    "yiddish-v1",
];

impl Analyzer {
    /// The analyzer of this name, or the one that `name` describes, as in
    /// `title-v1: words | fold | stop(german, +gmbh) | stem(german)`.
    ///
    /// A description is a name of its own choice that ends in a version, a colon, a tokenizer and filters, in the order
    /// `lower` or `fold`, `stop`, `stem`, `length`, `edge`; see `docs/guides/text-analysis.md`. It may stand wherever a
    /// name may, and is stored whole, so that any reader of a file knows what its terms are.
    ///
    /// # Errors
    /// [`FtsError::UnknownAnalyzer`], listing those that exist; [`FtsError::BadAnalyzer`] if a description is none.
    pub fn named(name: &str) -> Result<Self, FtsError> {
        let bad = |problem| FtsError::BadAnalyzer { spec: name.to_owned(), problem };
        if name.contains(':') {
            let chain = spec::parse(name).map_err(bad)?;
            let own = chain.name.split(':').next().unwrap_or_default();
            if Self::names().contains(&own) {
                return Err(bad(format!("{own:?} is the name of another analyzer; choose one")));
            }
            return Ok(Self { chain: Arc::new(chain) });
        }
        let steps = match CHAINS.iter().find(|(known, _)| *known == name) {
            Some((_, steps)) => Some((*steps).to_owned()),
            None => STEMMED
                .iter()
                .find(|known| **known == name)
                .and_then(|known| known.strip_suffix("-v1"))
                .map(|language| format!("words | lower | stem({language})")),
        };
        let Some(steps) = steps else {
            let (name, known) = (name.to_owned(), Self::names().join(", "));
            return Err(FtsError::UnknownAnalyzer { name, known });
        };
        let chain = spec::chain(name, &steps).map_err(bad)?;
        Ok(Self { chain: Arc::new(Chain { name: name.to_owned(), ..chain }) })
    }

    /// The names of all analyzers that need no description.
    pub fn names() -> Vec<&'static str> {
        CHAINS.iter().map(|(name, _)| *name).chain(STEMMED.iter().copied()).collect()
    }

    /// The names of the stop word lists that a description may use.
    pub fn stop_word_lists() -> Vec<&'static str> {
        stop_words::names().collect()
    }

    /// Its name, or its whole description in its shortest form.
    pub fn name(&self) -> &str {
        &self.chain.name
    }

    /// The terms of `text`, with their places, as they are indexed.
    pub fn analyze(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.words(text, |position, range| self.token(text, position, range, &mut tokens));
        tokens
    }

    /// The terms that `text` asks for: as [`Analyzer::analyze`], but of a word's beginnings only the longest.
    pub fn analyze_query(&self, text: &str) -> Vec<Token> {
        let Some((_, max)) = self.chain.edge else { return self.analyze(text) };
        let mut tokens = Vec::new();
        self.tokenize(text, |position, range| {
            let word = &text[range.clone()];
            let len = word.char_indices().nth(max as usize).map_or(word.len(), |(at, _)| at);
            self.token(text, position, range.start..range.start + len, &mut tokens);
        });
        tokens
    }

    fn token(&self, text: &str, position: u32, range: Range<usize>, tokens: &mut Vec<Token>) {
        if let Some(term) = self.term(&text[range.clone()], &mut String::new()) {
            tokens.push(Token { term: term.into_owned(), position, range });
        }
    }

    /// Calls `word` with the position and place of each word of `text`, before any filter.
    #[inline]
    pub(crate) fn words(&self, text: &str, mut word: impl FnMut(u32, Range<usize>)) {
        let Some((min, max)) = self.chain.edge else { return self.tokenize(text, word) };
        self.tokenize(text, |position, range| {
            let whole = &text[range.clone()];
            // A word shorter than the shortest beginning stands for itself.
            let ends = whole.char_indices().map(|(at, _)| at).chain([whole.len()]);
            let mut any = false;
            for end in ends.skip(min as usize).take((max - min + 1) as usize) {
                any = true;
                word(position, range.start..range.start + end);
            }
            if !any {
                word(position, range);
            }
        });
    }

    #[inline]
    fn tokenize(&self, text: &str, mut word: impl FnMut(u32, Range<usize>)) {
        let mut position = 0;
        let mut next = |range| {
            word(position, range);
            position += 1;
        };
        match self.chain.tokenizer {
            Tokenizer::Words => segment::words(text, next),
            Tokenizer::Spaces => segment::spaces(text, next),
            Tokenizer::Cjk => grams::cjk_words(text, next),
            Tokenizer::Grams(len) => grams::grams(text, len, next),
            Tokenizer::Whole => next(0..text.len()),
            Tokenizer::Code => code::words(text, |range, new| {
                position += u32::from(new);
                word(position - 1, range);
            }),
        }
    }

    /// The term that stands for `word`, `None` if the chain leaves it out. It depends on the word alone.
    pub(crate) fn term<'a>(&self, word: &'a str, scratch: &'a mut String) -> Option<Cow<'a, str>> {
        let chain = &*self.chain;
        let word = cut(word, TERM_LEN_MAX);
        let changes =
            chain.lower && word.bytes().any(|byte| byte >= 128 || byte.is_ascii_uppercase());
        let lower: &str = if changes {
            scratch.clear();
            if word.is_ascii() {
                scratch.push_str(word);
                scratch.make_ascii_lowercase();
            } else if chain.folds {
                fold::fold(&word.to_lowercase(), scratch);
            } else {
                scratch.push_str(&word.to_lowercase());
            }
            cut(scratch, TERM_LEN_MAX)
        } else {
            word
        };
        let stops = || chain.stop_words.binary_search_by(|stop| stop[..].cmp(lower)).is_ok();
        // A whole value may be empty; a word is not.
        if lower.is_empty() && chain.tokenizer != Tokenizer::Whole || stops() {
            return None;
        }
        let term = match chain.stemmer {
            None => Cow::Borrowed(lower),
            Some(algorithm) => match Stemmer::new(algorithm).stem(lower) {
                Cow::Owned(stem) if stem.len() > TERM_LEN_MAX => {
                    Cow::Owned(cut(&stem, TERM_LEN_MAX).to_owned())
                }
                stem => Some(stem).filter(|stem| !stem.is_empty())?,
            },
        };
        match chain.chars {
            Some((min, max)) => {
                let len = term.chars().count() as u64;
                (u64::from(min)..=u64::from(max)).contains(&len).then_some(term)
            }
            None => Some(term),
        }
    }

    /// `text` in the case that this chain's terms have.
    pub(crate) fn fold(&self, text: &str) -> String {
        match (self.chain.lower, self.chain.folds) {
            (false, _) => text.to_owned(),
            (true, false) => text.to_lowercase(),
            (true, true) => {
                let mut folded = String::new();
                fold::fold(&text.to_lowercase(), &mut folded);
                folded
            }
        }
    }

    /// Whether terms are in lower case.
    pub(crate) fn lowers(&self) -> bool {
        self.chain.lower
    }

    /// Whether a term is just its word in lower case or unchanged, so that caching the step would not pay.
    pub(crate) fn is_plain(&self) -> bool {
        self.chain.stemmer.is_none()
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
    fn a_description_makes_a_chain() {
        check("a-v1: spaces", "The e-mail  x\n", "The@0 e-mail@1 x@2");
        check("a-v1: words | fold | stop(french, +rue)", "Où est la Rue Émile", "est@1 emile@4");
        check("a-v1: words | lower | stop(english, -not)", "to be or not", "not@3");
        check(
            "a-v1: words | lower | stem(german) | length(4, 5)",
            "Die Häuser liefen",
            "haus@1 lief@2",
        );
        check("a-v1: grams(2)", "abc", "ab@0 bc@1");
        check("a-v1: keyword | fold", "ÀB c", "ab c@0");
        check("a-v1: words | lower | edge(2, 4)", "Über x", "üb@0 übe@0 über@0 x@1");
        let edge = Analyzer::named("a-v1: words | lower | edge(2, 4)").unwrap();
        let asked = edge.analyze_query("Überall x");
        assert_eq!(asked.iter().map(|t| &t.term[..]).collect::<Vec<_>>(), ["über", "x"]);
    }

    #[test]
    fn a_description_may_not_take_a_known_name() {
        let error = Analyzer::named("english-v1: words").unwrap_err();
        assert!(matches!(error, FtsError::BadAnalyzer { .. }), "{error}");
        let error = Analyzer::named("x-v1: words | upper").unwrap_err().to_string();
        assert!(error.contains("upper"), "{error}");
    }

    #[test]
    fn every_stemmer_has_a_chain() {
        for algorithm in Algorithm::all() {
            let spec = format!("x-v1: words | lower | stem({})", algorithm.name());
            Analyzer::named(&spec).unwrap();
        }
        for name in Analyzer::names() {
            assert_eq!(Analyzer::named(name).unwrap().name(), name);
        }
    }
}

//! What a person wrote as a set of an analyzer's terms.

use std::ops::Bound;

use super::automaton::Automaton;
use super::fuzzy::{EDITS_MAX, Fuzzy};
use super::pattern::Pattern;
use crate::FtsError;
use crate::analysis::Analyzer;

/// Terms that begin with `text`.
pub(crate) fn prefix(analyzer: &Analyzer, text: &str) -> Pattern {
    Pattern::Prefix(analyzer.fold(text).into_bytes())
}

/// Terms that look like `pattern`.
pub(crate) fn wildcard(analyzer: &Analyzer, pattern: &str) -> Pattern {
    Pattern::wildcard(&analyzer.fold(pattern))
}

/// Terms that `expression` describes.
///
/// # Errors
/// [`FtsError::BadPattern`] if it is no expression, or one of too much.
pub(crate) fn regex(analyzer: &Analyzer, expression: &str) -> Result<Pattern, FtsError> {
    // An expression cannot be folded as text can: `\W` would become `\w`.
    Automaton::new(expression, analyzer.lowers())
        .map(Pattern::Regex)
        .map_err(|problem| FtsError::BadPattern { pattern: format!("/{expression}/"), problem })
}

/// Terms from `from` to `to`.
pub(crate) fn range(analyzer: &Analyzer, from: &Bound<String>, to: &Bound<String>) -> Pattern {
    let fold = |text: &String| analyzer.fold(text).into_bytes();
    Pattern::Range(from.as_ref().map(fold), to.as_ref().map(fold))
}

/// A range as it is written.
pub(crate) fn show_range(from: &Bound<String>, to: &Bound<String>) -> String {
    let (open, from) = match from {
        Bound::Included(from) => ('[', &from[..]),
        Bound::Excluded(from) => ('{', &from[..]),
        Bound::Unbounded => ('[', "*"),
    };
    let (to, close) = match to {
        Bound::Included(to) => (&to[..], ']'),
        Bound::Excluded(to) => (&to[..], '}'),
        Bound::Unbounded => ("*", ']'),
    };
    format!("{open}{from} TO {to}{close}")
}

/// Terms spelled nearly like `text`.
///
/// # Errors
/// [`FtsError::Invalid`] if more than two edits are asked for.
pub(crate) fn fuzzy(
    analyzer: &Analyzer,
    text: &str,
    distance: Option<u8>,
    prefix: u32,
    transpositions: bool,
) -> Result<Pattern, FtsError> {
    let mut tokens = analyzer.analyze_query(text);
    let word = match tokens.len() {
        1 => tokens.remove(0).term,
        _ => analyzer.fold(text),
    };
    let word: Vec<char> = word.chars().collect();
    let distance = usize::from(distance.unwrap_or(match word.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }));
    if distance > EDITS_MAX {
        return Err(FtsError::Invalid(format!(
            "{text:?} within {distance} edits: at most 2 are allowed"
        )));
    }
    Ok(Pattern::Fuzzy(Fuzzy::new(word, distance, prefix as usize, transpositions)))
}

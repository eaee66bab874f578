//! Sets of terms: those that begin so, look so, lie between two, or are spelled nearly so.

use std::ops::Bound;

use super::automaton::{Automaton, State};
use super::fuzzy::{Fuzzy, Spelling};
use crate::dict::block::Answer;

/// A set of terms, tested in dictionary order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Terms that begin so.
    Prefix(Vec<u8>),
    /// `*` is any text, `?` any character.
    Wildcard(Vec<Piece>),
    /// Terms at most so many edits from a word.
    Fuzzy(Fuzzy),
    /// Terms that a regular expression describes.
    Regex(Automaton),
    /// Terms between two, by bytes.
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

/// A piece of a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any text.
    Any,
}

impl Pattern {
    /// Reads a wildcard; a backslash takes the character after it literally.
    pub(crate) fn wildcard(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::Char(chars.next().unwrap_or('\\')),
                c => Piece::Char(c),
            });
        }
        pieces.dedup_by(|a, b| *a == Piece::Any && *b == Piece::Any);
        Self::Wildcard(pieces)
    }

    /// How every term of the set begins.
    pub(crate) fn literal(&self) -> Vec<u8> {
        let literal: String = match self {
            Self::Prefix(prefix) => return prefix.clone(),
            Self::Wildcard(pieces) => pieces
                .iter()
                .map_while(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None })
                .collect(),
            Self::Fuzzy(fuzzy) => fuzzy.word.iter().take(fuzzy.prefix).collect(),
            Self::Regex(automaton) => return automaton.literal(),
            Self::Range(..) => String::new(),
        };
        literal.into_bytes()
    }

    /// Whether [`Matcher::answer`] tells where to go on from a term that is not in the set.
    pub(crate) fn seeks(&self) -> bool {
        matches!(self, Self::Fuzzy(_))
    }

    /// No term of the set is before the first, or at or after the second.
    pub(crate) fn span(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let Self::Range(from, to) = self else {
            let literal = self.literal();
            let end = crate::reader::after(&literal);
            return (literal, end);
        };
        let next = |term: &Vec<u8>| [&term[..], &[0]].concat();
        let from = match from {
            Bound::Included(from) => from.clone(),
            Bound::Excluded(from) => next(from),
            Bound::Unbounded => Vec::new(),
        };
        let to = match to {
            Bound::Included(to) => Some(next(to)),
            Bound::Excluded(to) => Some(to.clone()),
            Bound::Unbounded => None,
        };
        (from, to)
    }

    /// A test of terms in ascending order.
    pub(crate) fn matcher(&self) -> Matcher<'_> {
        let spelling = match self {
            Self::Fuzzy(fuzzy) => Some(Spelling::new(fuzzy)),
            _ => None,
        };
        let states = match self {
            Self::Regex(automaton) => vec![automaton.start()],
            _ => Vec::new(),
        };
        Matcher { pattern: self, spelling, states, dead: usize::MAX }
    }
}

/// Tests terms one after the other, reusing what neighbours share.
pub(crate) struct Matcher<'a> {
    pattern: &'a Pattern,
    /// Of a fuzzy one.
    spelling: Option<Spelling<'a>>,
    /// Regular expression: the state before each of the term's bytes, and after the last.
    states: Vec<State>,
    /// Regular expression: no term that shares at least so many bytes with the one before can match.
    dead: usize,
}

impl Matcher<'_> {
    /// Whether `term` is in the set; it shares its first `shared` bytes with the term tested before.
    #[inline]
    pub(crate) fn accepts(&mut self, term: &[u8], shared: usize) -> bool {
        match self.pattern {
            Pattern::Prefix(prefix) => term.starts_with(prefix),
            Pattern::Wildcard(pieces) => {
                std::str::from_utf8(term).is_ok_and(|term| wildcard_matches(pieces, term))
            }
            Pattern::Fuzzy(_) => {
                self.spelling.as_mut().is_some_and(|spelling| spelling.accepts(term, shared))
            }
            Pattern::Regex(automaton) => {
                self.run(automaton, term, shared)
                    && self.states.last().is_some_and(|&state| automaton.accepts(state))
            }
            Pattern::Range(from, to) => {
                use std::ops::RangeBounds;
                let bounds = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
                RangeBounds::<[u8]>::contains(&bounds, term)
            }
        }
    }

    /// Brings the states to the end of `term`; false if no term that begins like it can match.
    #[inline]
    fn run(&mut self, automaton: &Automaton, term: &[u8], shared: usize) -> bool {
        if shared >= self.dead {
            return false;
        }
        self.dead = usize::MAX;
        self.states.truncate(shared + 1);
        for (at, &byte) in term.iter().enumerate().skip(self.states.len() - 1) {
            let state = automaton.next(self.states[at], byte);
            self.states.push(state);
            if automaton.is_dead(state) {
                self.dead = at + 1;
                return false;
            }
        }
        true
    }

    /// Tests `term` like [`Matcher::accepts`]; if it is not in the set, may put the least string above it with which a term of
    /// the set may begin to `floor`.
    #[inline]
    pub(crate) fn answer(&mut self, term: &[u8], shared: usize, floor: &mut Vec<u8>) -> Answer {
        if self.accepts(term, shared) {
            return Answer::Taken;
        }
        match &self.spelling {
            Some(spelling) if spelling.dead().is_some() => match spelling.successor(term, floor) {
                true => Answer::Below,
                false => Answer::Ended,
            },
            _ => Answer::Passed,
        }
    }

    /// How many bytes of `prefix`, which shares `shared` with the one asked for before, rule out whatever begins with them;
    /// `None` if a term that begins with `prefix` may be in the set.
    pub(crate) fn ruled_out(&mut self, prefix: &[u8], shared: usize) -> Option<usize> {
        match self.pattern {
            Pattern::Fuzzy(_) => {
                let spelling = self.spelling.as_mut()?;
                if spelling.advance(prefix, shared) { None } else { spelling.dead() }
            }
            _ => (!self.may_begin(prefix)).then_some(prefix.len()),
        }
    }

    /// Whether some term that begins with `prefix` may be in the set.
    pub(crate) fn may_begin(&mut self, prefix: &[u8]) -> bool {
        match self.pattern {
            Pattern::Fuzzy(_) => {
                self.spelling.as_mut().is_none_or(|spelling| spelling.advance(prefix, 0))
            }
            Pattern::Prefix(own) => own.starts_with(prefix) || prefix.starts_with(own),
            Pattern::Regex(automaton) => self.run(automaton, prefix, 0),
            Pattern::Wildcard(_) | Pattern::Range(..) => true,
        }
    }
}

fn wildcard_matches(pieces: &[Piece], term: &str) -> bool {
    let chars: Vec<char> = term.chars().collect();
    let (mut at, mut piece) = (0, 0);
    // Where to go on if the text after the last `*` turns out longer.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                piece += 1;
                retry = Some((at, piece));
                continue;
            }
            Some(Piece::One) if at < chars.len() => {
                (at, piece) = (at + 1, piece + 1);
                continue;
            }
            Some(Piece::Char(c)) if chars.get(at) == Some(c) => {
                (at, piece) = (at + 1, piece + 1);
                continue;
            }
            None if at == chars.len() => return true,
            _ => {}
        }
        match &mut retry {
            Some((from, after)) if *from < chars.len() => {
                *from += 1;
                (at, piece) = (*from, *after);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_match_as_shells_do() {
        for (pattern, term, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*", "", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*b*b*", "abxb", true),
            ("*b*b*", "abx", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            let pattern = Pattern::wildcard(pattern);
            assert_eq!(
                pattern.matcher().accepts(term.as_bytes(), 0),
                expected,
                "{pattern:?} {term}"
            );
        }
    }

    proptest! {
        #[test]
        fn expressions_and_ranges_test_terms_in_a_row_as_alone(
            expression in "([ab]|é|\\.|\\[\\^a\\]|\\(a\\|b\\)){1,4}[*+?]?[ab]{0,2}",
            ends in ("[abé]{0,2}", "[abé]{0,3}"),
            terms in prop::collection::btree_set("[abé]{0,5}", 1..40),
        ) {
            let (from, to) = (ends.0.into_bytes(), ends.1.into_bytes());
            let patterns = [
                Pattern::Regex(Automaton::new(&expression, false).unwrap()),
                Pattern::Range(Bound::Included(from.clone()), Bound::Excluded(to.clone())),
                Pattern::Range(Bound::Excluded(from), Bound::Included(to)),
            ];
            for pattern in patterns {
                let (from, to) = pattern.span();
                let mut matcher = pattern.matcher();
                let mut before = String::new();
                for term in &terms {
                    let same = before.bytes().zip(term.bytes());
                    let shared = same.take_while(|(a, b)| a == b).count();
                    let alone = pattern.matcher().accepts(term.as_bytes(), 0);
                    prop_assert_eq!(matcher.accepts(term.as_bytes(), shared), alone, "{}", term);
                    if alone {
                        prop_assert!(term.as_bytes() >= &from[..], "{} from {:?}", term, from);
                        prop_assert!(to.as_ref().is_none_or(|to| term.as_bytes() < &to[..]));
                        for end in 0..=term.len() {
                            prop_assert!(pattern.matcher().may_begin(&term.as_bytes()[..end]));
                        }
                    }
                    before.clone_from(term);
                }
            }
        }
    }
}

//! Sets of terms: those that begin so, look so, lie between two, or are spelled nearly so.

use std::ops::Bound;

use super::automaton::{Automaton, State};

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

/// A word and how far from it a term may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fuzzy {
    /// The word.
    pub(crate) word: Vec<char>,
    /// Insertions, deletions, substitutions.
    pub(crate) distance: usize,
    /// So many characters at the start are as in the word.
    pub(crate) prefix: usize,
    /// Whether swapping two neighbours is one edit.
    pub(crate) transpositions: bool,
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
        let rows = match self {
            Self::Fuzzy(fuzzy) => vec![fuzzy.first_row()],
            _ => Vec::new(),
        };
        let states = match self {
            Self::Regex(automaton) => vec![automaton.start()],
            _ => Vec::new(),
        };
        Matcher { pattern: self, rows, states, ends: Vec::new(), dead: usize::MAX }
    }
}

/// A row of the edit-distance table, only where it can be 2 or less: entry `b` of row `i` is the distance of the term's first
/// `i` characters to the word's first `i + b − 2`.
type Band = [u8; 5];
/// Too far, and so is whatever follows.
const FAR: u8 = 100;

impl Fuzzy {
    fn first_row(&self) -> Band {
        std::array::from_fn(|b| match b.checked_sub(2) {
            Some(j) if j <= self.word.len() => j as u8,
            _ => FAR,
        })
    }

    /// Whether what begins so may be in the set.
    fn lives(&self, row: &Band, before: &Band) -> bool {
        let least = |row: &Band| usize::from(*row.iter().min().expect("five entries"));
        least(row) <= self.distance || self.transpositions && least(before) < self.distance
    }

    /// Row `i` after `before` and `earlier`, for the character `c` behind `last`.
    #[inline]
    fn next_row(&self, i: usize, c: char, before: &Band, earlier: Option<(&Band, char)>) -> Band {
        let mut row = [FAR; 5];
        // Beyond, characters to insert or leave out alone are too many.
        let edits = self.distance.min(2);
        for b in 2 - edits..=2 + edits {
            let Some(j) = (i + b).checked_sub(2).filter(|&j| j <= self.word.len()) else {
                continue;
            };
            let mut best = if b < 4 { before[b + 1] + 1 } else { FAR };
            if b > 0 {
                best = best.min(row[b - 1] + 1);
            }
            if j > 0 {
                let own = self.word[j - 1];
                best = best.min(before[b] + u8::from(own != c));
                if let Some((earlier, last)) = earlier
                    && self.transpositions
                    && j > 1
                    && own == last
                    && self.word[j - 2] == c
                {
                    best = best.min(earlier[b] + 1);
                }
            }
            row[b] = best.min(FAR);
        }
        row
    }
}

/// Tests terms one after the other, reusing what neighbours share.
pub(crate) struct Matcher<'a> {
    pattern: &'a Pattern,
    /// Fuzzy: a row for each of the term's characters, and one before.
    rows: Vec<Band>,
    /// Regular expression: the state before each of the term's bytes, and after the last.
    states: Vec<State>,
    /// Where each of the term's characters ends.
    ends: Vec<usize>,
    /// No term that shares at least so many bytes with the one before can match.
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
            Pattern::Fuzzy(fuzzy) => {
                self.advance(fuzzy, term, shared) && self.distance(fuzzy) <= fuzzy.distance
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

    /// The distance of the word to the term at hand, if it is at most 2.
    fn distance(&self, fuzzy: &Fuzzy) -> usize {
        let i = self.ends.len();
        let b = (fuzzy.word.len() + 2).checked_sub(i);
        b.and_then(|b| self.rows[i].get(b)).map_or(usize::MAX, |&distance| distance.into())
    }

    /// Tests `term` like [`Matcher::accepts`]; if it is not in the set, tells what else need not be tested.
    pub(crate) fn answer(&mut self, term: &[u8], shared: usize) -> Answer {
        if self.accepts(term, shared) {
            return Answer::Taken;
        }
        match self.pattern {
            Pattern::Fuzzy(fuzzy) if self.dead < usize::MAX => {
                Answer::Dead { bytes: self.dead, next: self.successor(fuzzy, term) }
            }
            _ => Answer::Passed,
        }
    }

    /// The least string above all that begin with the dead bytes of `term`, which was tested last, with which a term of the
    /// set may begin.
    fn successor(&self, fuzzy: &Fuzzy, term: &[u8]) -> Option<Vec<u8>> {
        for n in (1..=self.ends.len()).rev() {
            let start = if n >= 2 { self.ends[n - 2] } else { 0 };
            let c = char_at(term, start)?;
            let before = &self.rows[n - 1];
            let earlier = match n >= 2 && fuzzy.transpositions {
                true => last_char(term, &self.ends[..n - 1]).map(|last| (&self.rows[n - 2], last)),
                false => None,
            };
            let lives = |c: char| {
                let row = fuzzy.next_row(n, c, before, earlier);
                fuzzy.lives(&row, before)
            };
            // A character the word does not have is as good as any such.
            let above = (c as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
            let near = n.saturating_sub(3)..(n + 2).min(fuzzy.word.len());
            let own =
                fuzzy.word.get(near).unwrap_or_default().iter().copied().filter(|&own| own > c);
            let live = match above.filter(|&above| lives(above)) {
                Some(above) => Some(above),
                None => own.filter(|&own| lives(own)).min(),
            };
            if let Some(live) = live {
                let mut next = term[..start].to_vec();
                next.extend_from_slice(live.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(next);
            }
        }
        None
    }

    /// How many bytes of `prefix`, which shares `shared` with the one asked for before, rule out whatever begins with them;
    /// `None` if a term that begins with `prefix` may be in the set.
    pub(crate) fn ruled_out(&mut self, prefix: &[u8], shared: usize) -> Option<usize> {
        match self.pattern {
            Pattern::Fuzzy(fuzzy) => (!self.advance(fuzzy, prefix, shared)).then_some(self.dead),
            _ => (!self.may_begin(prefix)).then_some(prefix.len()),
        }
    }

    /// Whether some term that begins with `prefix` may be in the set.
    pub(crate) fn may_begin(&mut self, prefix: &[u8]) -> bool {
        match self.pattern {
            Pattern::Fuzzy(fuzzy) => self.advance(fuzzy, prefix, 0),
            Pattern::Prefix(own) => own.starts_with(prefix) || prefix.starts_with(own),
            Pattern::Regex(automaton) => self.run(automaton, prefix, 0),
            Pattern::Wildcard(_) | Pattern::Range(..) => true,
        }
    }

    /// Brings the rows to the end of `term`; false if no term that begins like it can match.
    #[inline]
    fn advance(&mut self, fuzzy: &Fuzzy, term: &[u8], shared: usize) -> bool {
        if shared >= self.dead {
            return false;
        }
        self.dead = usize::MAX;
        while self.ends.last().is_some_and(|&end| end > shared) {
            self.ends.pop();
            self.rows.pop();
        }
        let mut at = self.ends.last().copied().unwrap_or(0);
        while let Some(c) = char_at(term, at) {
            let i = self.rows.len();
            let earlier = match i >= 2 && fuzzy.transpositions {
                true => last_char(term, &self.ends).map(|last| (&self.rows[i - 2], last)),
                false => None,
            };
            let before = self.rows[i - 1];
            let row = fuzzy.next_row(i, c, &before, earlier);
            at += c.len_utf8();
            self.rows.push(row);
            self.ends.push(at);
            if !fuzzy.lives(&row, &before) {
                self.dead = at;
                return false;
            }
        }
        true
    }
}

/// The character that begins at `at`, `None` at the end or if it is cut.
#[inline]
fn char_at(term: &[u8], at: usize) -> Option<char> {
    match *term.get(at)? {
        byte @ 0..=0x7f => Some(char::from(byte)),
        byte => {
            let len = (byte.leading_ones() as usize).clamp(2, 4);
            std::str::from_utf8(term.get(at..at + len)?).ok()?.chars().next()
        }
    }
}

/// The last character of `term` up to the last of `ends`.
fn last_char(term: &[u8], ends: &[usize]) -> Option<char> {
    let end = *ends.last()?;
    let start = if ends.len() >= 2 { ends[ends.len() - 2] } else { 0 };
    std::str::from_utf8(term.get(start..end)?).ok()?.chars().next()
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

    fn distance(a: &[char], b: &[char], transpositions: bool) -> usize {
        let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                d[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => {
                        let swap = transpositions
                            && i > 1
                            && j > 1
                            && a[i - 1] == b[j - 2]
                            && a[i - 2] == b[j - 1];
                        let plain = (d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]))
                            .min(d[i - 1][j] + 1)
                            .min(d[i][j - 1] + 1);
                        if swap { plain.min(d[i - 2][j - 2] + 1) } else { plain }
                    }
                };
            }
        }
        d[a.len()][b.len()]
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

    proptest! {
        #[test]
        fn fuzzy_is_edit_distance(
            word in "[abé]{0,6}",
            terms in prop::collection::btree_set("[abé]{0,7}", 1..40),
            edits in 0usize..3,
            transpositions: bool,
        ) {
            let word: Vec<char> = word.chars().collect();
            let fuzzy = Fuzzy { word: word.clone(), distance: edits, prefix: 0, transpositions };
            let pattern = Pattern::Fuzzy(fuzzy);
            let mut matcher = pattern.matcher();
            // Whatever is passed over is not in the set.
            let (mut walk, mut floor, mut asked) = (pattern.matcher(), Some(vec![]), String::new());
            for term in &terms {
                let inside = distance(&word, &term.chars().collect::<Vec<_>>(), transpositions) <= edits;
                let Some(from) = &floor else {
                    prop_assert!(!inside, "{} past the end", term);
                    continue;
                };
                if term.as_bytes() < &from[..] {
                    prop_assert!(!inside, "{} below {:?}", term, from);
                    continue;
                }
                let shared = asked.bytes().zip(term.bytes()).take_while(|(a, b)| a == b).count();
                asked.clone_from(term);
                match walk.answer(term.as_bytes(), shared) {
                    Answer::Taken => prop_assert!(inside),
                    Answer::Passed => prop_assert!(!inside),
                    Answer::Dead { next, .. } => {
                        prop_assert!(!inside);
                        floor = next;
                    }
                }
            }
            let mut before = String::new();
            for term in terms {
                let shared = before.bytes().zip(term.bytes()).take_while(|(a, b)| a == b).count();
                let expected = distance(&word, &term.chars().collect::<Vec<_>>(), transpositions) <= edits;
                prop_assert_eq!(matcher.accepts(term.as_bytes(), shared), expected, "{}", term);
                if expected {
                    for end in 0..=term.len() {
                        prop_assert!(pattern.matcher().may_begin(&term.as_bytes()[..end]), "{}", term);
                    }
                }
                before = term;
            }
        }
    }
}

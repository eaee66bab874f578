//! Words spelled nearly so, tested against terms in dictionary order.
//!
//! The edit-distance table between a term and the word is kept only beside its diagonal and only as far as it says *at most
//! so many edits*, a bit a place: after Wu and Manber, *Fast text searching allowing errors* (1992), with the swap of neighbours
//! of Hyyrö, *A bit-vector algorithm for computing Levenshtein and Damerau edit distances* (2003).

/// The most edits.
pub(crate) const EDITS_MAX: usize = 2;
/// Places of the word beside the diagonal that so many edits reach.
const BAND: usize = 2 * EDITS_MAX + 1;
/// Stands before and after the word's characters, and is none.
const NONE: u32 = u32::MAX;

/// A word and how far from it a term may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fuzzy {
    /// The word.
    pub(crate) word: Vec<char>,
    /// The same between [`NONE`]s, so that a band around any place can be read.
    padded: Vec<u32>,
    /// Insertions, deletions, substitutions; at most [`EDITS_MAX`].
    distance: usize,
    /// So many characters at the start are as in the word.
    pub(crate) prefix: usize,
    /// Whether swapping two neighbours is one edit.
    transpositions: bool,
}

/// Of the first `i` characters of a term: bit `b` of entry `d` tells whether they are at most `d` edits from the word's first
/// `i + b - 2`.
#[derive(Debug, Clone, Copy)]
struct Row([u8; EDITS_MAX + 1]);

impl Fuzzy {
    /// # Panics
    /// If `distance` is more than [`EDITS_MAX`].
    pub(crate) fn new(
        word: Vec<char>,
        distance: usize,
        prefix: usize,
        transpositions: bool,
    ) -> Self {
        assert!(distance <= EDITS_MAX, "the caller has checked the distance");
        let none = [NONE; EDITS_MAX + 1];
        let chars = word.iter().map(|&c| c as u32);
        let padded = none.into_iter().chain(chars).chain(none).chain(none).collect();
        Self { word, padded, distance, prefix, transpositions }
    }

    fn first_row(&self) -> Row {
        let within = self.within(0);
        Row(std::array::from_fn(|edits| 0b11111 >> (EDITS_MAX - edits) & within))
    }

    /// The places of row `i` that are the end of a beginning of the word.
    #[inline]
    fn within(&self, i: usize) -> u8 {
        let above = (i + EDITS_MAX).saturating_sub(self.word.len()).min(BAND);
        let below = EDITS_MAX.saturating_sub(i);
        (0b11111 >> above) & (0b11111 << below) as u8
    }

    /// The places of row `i` that end in `c`.
    #[inline]
    fn ending_in(&self, i: usize, c: u32) -> u8 {
        let Some(band) = self.padded.get(i..i + BAND) else { return 0 };
        let mut places = 0;
        for (b, &own) in band.iter().enumerate() {
            places |= u8::from(own == c) << b;
        }
        places
    }

    /// Row `i` after `before` and, where neighbours may be swapped, `earlier`, for the character `c` behind `last`.
    #[inline]
    fn next_row(&self, i: usize, c: char, before: &Row, earlier: Option<(&Row, char)>) -> Row {
        let (within, same) = (self.within(i), self.ending_in(i, c as u32));
        let swapped = match earlier {
            // The place before ends in `c`, this one in what came before it.
            Some((_, last)) => self.ending_in(i, last as u32) & self.prior(i, c as u32),
            None => 0,
        };
        let mut row = [0; EDITS_MAX + 1];
        row[0] = before.0[0] & same & within;
        for edits in 1..=self.distance {
            let fewer = before.0[edits - 1];
            let mut places = before.0[edits] & same | fewer | fewer >> 1 | row[edits - 1] << 1;
            if let Some((earlier, _)) = earlier {
                places |= earlier.0[edits - 1] & swapped;
            }
            row[edits] = places & within;
        }
        Row(row)
    }

    /// The places of row `i` before whose last character stands `c`.
    #[inline]
    fn prior(&self, i: usize, c: u32) -> u8 {
        match i.checked_sub(1) {
            Some(before) => self.ending_in(before, c),
            None => 0,
        }
    }

    /// Whether what begins so may be in the set.
    #[inline]
    fn lives(&self, row: &Row, before: &Row) -> bool {
        row.0[self.distance] != 0
            || self.transpositions && self.distance > 0 && before.0[self.distance - 1] != 0
    }
}

/// Terms beside a word, one after the other, reusing what neighbours share.
#[derive(Debug)]
pub(crate) struct Spelling<'a> {
    fuzzy: &'a Fuzzy,
    /// A row for each of the term's characters, and one before.
    rows: Vec<Row>,
    /// Where each of the term's characters ends.
    ends: Vec<usize>,
    /// No term that shares at least so many bytes with the one before can match.
    dead: usize,
}

impl<'a> Spelling<'a> {
    pub(crate) fn new(fuzzy: &'a Fuzzy) -> Self {
        Self { fuzzy, rows: vec![fuzzy.first_row()], ends: Vec::new(), dead: usize::MAX }
    }

    /// Whether `term`, which shares its first `shared` bytes with the one before, is near enough.
    #[inline]
    pub(crate) fn accepts(&mut self, term: &[u8], shared: usize) -> bool {
        if !self.advance(term, shared) {
            return false;
        }
        let i = self.ends.len();
        let b = (self.fuzzy.word.len() + EDITS_MAX).checked_sub(i);
        b.is_some_and(|b| b < BAND && self.rows[i].0[self.fuzzy.distance] >> b & 1 == 1)
    }

    /// How many bytes of the last term rule out whatever begins with them, if any do.
    pub(crate) fn dead(&self) -> Option<usize> {
        (self.dead < usize::MAX).then_some(self.dead)
    }

    /// Brings the rows to the end of `term`; false if no term that begins like it can match.
    #[inline]
    pub(crate) fn advance(&mut self, term: &[u8], shared: usize) -> bool {
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
            let before = self.rows[i - 1];
            let row = self.fuzzy.next_row(i, c, &before, self.earlier(term, i));
            at += c.len_utf8();
            self.rows.push(row);
            self.ends.push(at);
            if !self.fuzzy.lives(&row, &before) {
                self.dead = at;
                return false;
            }
        }
        true
    }

    /// The row two before row `i` and the character after it, if a swap may end at row `i`.
    #[inline]
    fn earlier(&self, term: &[u8], i: usize) -> Option<(&Row, char)> {
        if i < 2 || !self.fuzzy.transpositions {
            return None;
        }
        let start = if i > 2 { self.ends[i - 3] } else { 0 };
        Some((&self.rows[i - 2], char_at(term, start)?))
    }

    /// Puts the least string above all that begin with the dead bytes of `term`, which came last, with which a term near
    /// enough may begin to `next`; false if there is none.
    pub(crate) fn successor(&self, term: &[u8], next: &mut Vec<u8>) -> bool {
        let fuzzy = self.fuzzy;
        for n in (1..=self.ends.len()).rev() {
            let start = if n >= 2 { self.ends[n - 2] } else { 0 };
            let Some(c) = char_at(term, start) else { return false };
            let (before, earlier) = (&self.rows[n - 1], self.earlier(term, n));
            let lives = |c: char| fuzzy.lives(&fuzzy.next_row(n, c, before, earlier), before);
            // A character the word does not have is as good as any such.
            let above = (c as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
            let near = n.saturating_sub(EDITS_MAX + 1)..(n + EDITS_MAX).min(fuzzy.word.len());
            let own =
                fuzzy.word.get(near).unwrap_or_default().iter().copied().filter(|&own| own > c);
            let live = match above.filter(|&above| lives(above)) {
                Some(above) => Some(above),
                None => own.filter(|&own| lives(own)).min(),
            };
            if let Some(live) = live {
                next.clear();
                next.extend_from_slice(&term[..start]);
                next.extend_from_slice(live.encode_utf8(&mut [0; 4]).as_bytes());
                return true;
            }
        }
        false
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict::block::Answer;
    use crate::query::pattern::Pattern;
    use proptest::prelude::*;

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
        fn fuzzy_is_edit_distance(
            word in "[abé]{0,6}",
            terms in prop::collection::btree_set("[abé]{0,7}", 1..40),
            edits in 0usize..3,
            transpositions: bool,
        ) {
            let word: Vec<char> = word.chars().collect();
            let pattern = Pattern::Fuzzy(Fuzzy::new(word.clone(), edits, 0, transpositions));
            let mut matcher = pattern.matcher();
            // Whatever is passed over is not in the set.
            let (mut walk, mut asked) = (pattern.matcher(), String::new());
            let (mut floor, mut ended) = (vec![], false);
            for term in &terms {
                let inside = distance(&word, &term.chars().collect::<Vec<_>>(), transpositions) <= edits;
                if ended || term.as_bytes() < &floor[..] {
                    prop_assert!(!inside, "{} below {:?} or past the end", term, floor);
                    continue;
                }
                let shared = asked.bytes().zip(term.bytes()).take_while(|(a, b)| a == b).count();
                asked.clone_from(term);
                let answer = walk.answer(term.as_bytes(), shared, &mut floor);
                ended = matches!(answer, Answer::Ended);
                prop_assert_eq!(matches!(answer, Answer::Taken), inside, "{}", term);
                prop_assert!(!matches!(answer, Answer::Below) || term.as_bytes() < &floor[..]);
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

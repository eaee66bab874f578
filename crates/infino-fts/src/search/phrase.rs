//! Phrases: words in order, side by side or with some slack.
//!
//! How often a document holds a phrase counts as a term frequency. Every minimal match of `m` moves adds `1 / (1 + m)`, where
//! the moves are the spread of the words' places after each word's place in the phrase is taken off: 0 if they
//! stand side by side. This is the measure of Lucene's sloppy phrases.

use std::ops::Range;

use infino_format::FormatError;

use super::load::{Load, TermPositions};
use super::term::{Places, TermOp};
use super::weights::Weights;
use super::window::{Bits, WINDOW};
use crate::FtsError;
use crate::bm25::{Scorer, upward};
use crate::kernel::pack::BLOCK_LEN;

/// What [`PhraseOp::each_document`] tells.
pub(crate) enum Visit {
    /// The words may be there; the score is at most `ceiling`. Whether to go on.
    May { doc: u32, ceiling: f32 },
    /// The phrase is there.
    Is { doc: u32, score: f32 },
}

/// The share of a block's documents for which all its positions are read at once.
const MANY_SHARE: usize = 3;

/// A phrase over its words' cursors, the rarest first.
pub(crate) struct PhraseOp<'a> {
    words: Vec<Word<'a>>,
    slop: u32,
    scorer: Option<Scorer>,
    starts: Starts,
    /// No scores are wanted of a word, only where it is.
    unused: Box<[f32; BLOCK_LEN]>,
}

struct Word<'a> {
    term: TermOp<'a>,
    positions: TermPositions<'a>,
    /// Its place in the phrase.
    offset: u32,
    /// Its places in the document at hand.
    places: Vec<u32>,
    /// Per document of the rarest word's block, where it is in this list, if it is.
    at: Box<Places>,
}

impl<'a> PhraseOp<'a> {
    /// `None` if one of its words does not occur.
    pub(crate) fn new(
        terms: &[(usize, u32)],
        slop: u32,
        boost: f32,
        load: &'a Load,
        weights: Option<&Weights>,
    ) -> Result<Option<Self>, FtsError> {
        let mut words = Vec::with_capacity(terms.len());
        for &(term, offset) in terms {
            let Some(cursor) = load.cursor(term)? else { return Ok(None) };
            let term_op = TermOp::new(load, load.field_of(term), cursor, None);
            words.push(Word {
                term: term_op,
                positions: load.positions(term)?,
                offset,
                places: vec![],
                at: Box::new([(0, 0); BLOCK_LEN]),
            });
        }
        let field = load.field_of(terms[0].0);
        let scorer = weights
            .map(|weights| weights.scorer(field, terms.iter().map(|&(term, _)| term), boost));
        words.sort_by_key(|word| word.term.cursor.df);
        if slop == 0 {
            // A phrase is there at most as often as its rarest word, and scores as a word does. With slack one place
            // may serve several matches.
            words[0].term.scorer = scorer;
        }
        let unused = Box::new([0.0; BLOCK_LEN]);
        Ok(Some(Self { words, slop, scorer, starts: Starts::new(), unused }))
    }

    pub(crate) fn weight(&self) -> f32 {
        self.scorer.map_or(0.0, |scorer| scorer.weight)
    }

    /// No document from `from` on matches before this one.
    pub(crate) fn next(&mut self, from: u32) -> Option<u32> {
        let mut at = from;
        for word in &mut self.words {
            at = at.max(word.term.next(from)?);
        }
        Some(at)
    }

    /// Marks the documents of the window at `base` that hold the phrase, and adds their scores if they are wanted.
    pub(crate) fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        mut scores: Option<&mut [f32]>,
    ) -> Result<(), FormatError> {
        let end = base.saturating_add(WINDOW as u32);
        self.each_document(base..end, |visit| {
            if let Visit::Is { doc, score } = visit {
                let at = (doc - base) as usize;
                bits[at / 64] |= 1 << (at % 64);
                if let Some(scores) = &mut scores {
                    scores[at] += score;
                }
            }
            true
        })
    }

    /// Tells `visit` of the documents in `docs` that may hold the phrase, ascending, and if it returns true of those that do.
    pub(crate) fn each_document(
        &mut self,
        docs: Range<u32>,
        mut visit: impl FnMut(Visit) -> bool,
    ) -> Result<(), FormatError> {
        let cursor = &self.words[0].term.cursor;
        let mut block = cursor.block_of(0, docs.start);
        while block < self.words[0].term.cursor.blocks()
            && self.words[0].term.cursor.first(block) < docs.end
        {
            self.visit_block(block, &docs, f32::NEG_INFINITY, &mut visit)?;
            block += 1;
        }
        Ok(())
    }

    /// Tells `visit` of the documents that may score at least `least`, those of the most promising blocks first.
    pub(crate) fn best_first(
        &mut self,
        least: impl Fn() -> f32,
        mut visit: impl FnMut(Visit) -> bool,
    ) -> Result<(), FormatError> {
        let mut bounds = self.words[0].term.bounds();
        if bounds.is_empty() {
            let ceiling = self.scorer.map_or(f32::INFINITY, |scorer| scorer.ceiling());
            bounds = vec![ceiling; self.words[0].term.cursor.blocks()];
        }
        let mut order: Vec<(f32, u32)> = bounds.into_iter().zip(0..).collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (bound, block) in order {
            let least = least();
            if bound < least {
                break;
            }
            self.visit_block(block as usize, &(0..u32::MAX), least, &mut visit)?;
        }
        Ok(())
    }

    fn visit_block(
        &mut self,
        block: usize,
        docs: &Range<u32>,
        least: f32,
        visit: &mut impl FnMut(Visit) -> bool,
    ) -> Result<(), FormatError> {
        let lead = &mut self.words[0];
        lead.term.block = block;
        lead.term.cursor.read(block, lead.term.field)?;
        let in_block = *lead.term.cursor.docs_buffer();
        let (mut kept, mut len) = ([0u8; BLOCK_LEN], 0);
        let scored = lead.term.scorer.is_some() && least > f32::NEG_INFINITY;
        if scored {
            lead.term.score_block()?;
        }
        let scores = lead.term.block_scores();
        for i in 0..lead.term.cursor.len {
            kept[len] = i as u8;
            let may = !scored || upward(scores[i]) >= least;
            len += usize::from(may && docs.contains(&in_block[i]));
            lead.at[i] = (block as u32, i as u8);
        }
        match self.slop {
            0 => self.exact(&in_block, &mut kept, len, scored, visit),
            slop => self.sloppy(&in_block, &mut kept, len, slop, visit),
        }
    }

    /// Of the documents `docs[kept[..len]]`, those in which the words stand side by side. Lists and places are read word by
    /// word: what two words rule out is not looked up in the third.
    fn exact(
        &mut self,
        docs: &[u32; BLOCK_LEN],
        kept: &mut [u8; BLOCK_LEN],
        mut len: usize,
        bounded: bool,
        visit: &mut impl FnMut(Visit) -> bool,
    ) -> Result<(), FormatError> {
        let scorer = self.scorer;
        let (lead, others) = self.words.split_first_mut().expect("a phrase has words");
        for (n, word) in others.iter_mut().enumerate() {
            let places = Some(&mut *word.at);
            len = word.term.intersect(docs, kept, len, &mut self.unused, places)?;
            if n == 0 {
                let mut left = 0;
                for at in 0..len {
                    let i = kept[at];
                    let doc = docs[usize::from(i)];
                    let ceiling = match scorer {
                        Some(scorer) if bounded => {
                            let tf = lead.tf(i.into())?.min(word.tf(i.into())?);
                            scorer.bound(tf as f32, lead.term.lens.get(doc) as f32)
                        }
                        _ => f32::INFINITY,
                    };
                    kept[left] = i;
                    left += usize::from(visit(Visit::May { doc, ceiling }));
                }
                len = left;
                self.starts.begin(lead, &kept[..len])?;
            }
            len = self.starts.narrow(word, kept, len)?;
            if len == 0 {
                return Ok(());
            }
        }
        for &i in &kept[..len] {
            let (doc, frequency) = (docs[usize::from(i)], self.starts.count(i) as f32);
            let len = lead.term.lens.get(doc);
            let score = scorer.map_or(0.0, |scorer| scorer.score_frequency(frequency, len));
            visit(Visit::Is { doc, score });
        }
        Ok(())
    }

    /// Of the documents `docs[kept[..len]]`, those in which the words stand within `slop` moves.
    fn sloppy(
        &mut self,
        docs: &[u32; BLOCK_LEN],
        kept: &mut [u8; BLOCK_LEN],
        mut len: usize,
        slop: u32,
        visit: &mut impl FnMut(Visit) -> bool,
    ) -> Result<(), FormatError> {
        for word in &mut self.words[1..] {
            let places = Some(&mut *word.at);
            len = word.term.intersect(docs, kept, len, &mut self.unused, places)?;
        }
        let ceiling = self.scorer.map_or(f32::INFINITY, |scorer| scorer.ceiling());
        for n in 0..len {
            let doc = docs[usize::from(kept[n])];
            if !visit(Visit::May { doc, ceiling }) {
                continue;
            }
            let mut placed = true;
            for word in &mut self.words {
                let places = word.places(&kept[n..len])?.to_vec();
                placed &= !places.is_empty();
                word.places = places;
            }
            let frequency = if placed { frequency(&self.words, slop) } else { 0.0 };
            if frequency > 0.0 {
                let len = self.words[0].term.lens.get(doc);
                let score =
                    self.scorer.map_or(0.0, |scorer| scorer.score_frequency(frequency, len));
                visit(Visit::Is { doc, score });
            }
        }
        Ok(())
    }
}

impl Word<'_> {
    /// How often it is in document `i`.
    fn tf(&mut self, i: usize) -> Result<u32, FormatError> {
        let (block, index) = self.at[i];
        self.term.cursor.tf(block as usize, index.into())
    }

    /// Its places in the first document of `kept`; those that follow are asked for next, if any.
    #[inline]
    fn places(&mut self, kept: &[u8]) -> Result<&[u32], FormatError> {
        let at = |i: u8| self.at[usize::from(i)];
        let (block, index) = (at(kept[0]).0 as usize, usize::from(at(kept[0]).1));
        let is_at = self.positions.is_at(block);
        if !is_at || self.positions.known(index).is_none() {
            let tf = self.term.cursor.tf_at(block, index)?;
            if !is_at {
                self.positions.open(block, tf.all.into())?;
            }
            let len = self.term.cursor.block_len(block);
            let many = kept.get(len / MANY_SHARE).is_some_and(|&i| at(i).0 as usize == block);
            if is_at || !many {
                self.positions.read(tf.before as usize, tf.own, &mut self.places)?;
                return Ok(&self.places);
            }
            self.positions.read_all(&self.term.cursor.tfs(block)?[..len])?;
        }
        Ok(self.positions.known(index).unwrap_or_default())
    }
}

/// Where a phrase may begin, in each document of a block.
struct Starts {
    all: Vec<u32>,
    /// Per document, from where to where its own are.
    of: Box<[(u32, u32); BLOCK_LEN]>,
}

impl Starts {
    fn new() -> Self {
        Self { all: Vec::new(), of: Box::new([(0, 0); BLOCK_LEN]) }
    }

    /// How often the phrase may be in document `i`.
    fn count(&self, i: u8) -> u32 {
        let (from, to) = self.of[usize::from(i)];
        to - from
    }

    /// Wherever `word` allows, in the documents `kept`.
    fn begin(&mut self, word: &mut Word<'_>, kept: &[u8]) -> Result<(), FormatError> {
        self.all.clear();
        for (n, &i) in kept.iter().enumerate() {
            let (from, offset) = (self.all.len() as u32, word.offset);
            let places = word.places(&kept[n..])?;
            self.all.extend(places.iter().filter_map(|place| place.checked_sub(offset)));
            self.of[usize::from(i)] = (from, self.all.len() as u32);
        }
        Ok(())
    }

    /// Keeps what `word` allows, and of the documents `kept[..len]` those in which something is left; returns how many.
    fn narrow(
        &mut self,
        word: &mut Word<'_>,
        kept: &mut [u8; BLOCK_LEN],
        len: usize,
    ) -> Result<usize, FormatError> {
        let mut left = 0;
        for n in 0..len {
            let offset = word.offset;
            let places = word.places(&kept[n..len])?;
            let i = kept[n];
            let (from, to) = &mut self.of[usize::from(i)];
            let starts = &mut self.all[*from as usize..*to as usize];
            *to = *from + common_starts(starts, places, offset) as u32;
            kept[left] = i;
            left += usize::from(to > from);
        }
        Ok(left)
    }
}

/// Moves those of `starts` to the front that lie `offset` before one of `places`; returns how many. Both ascend.
#[inline]
fn common_starts(starts: &mut [u32], places: &[u32], offset: u32) -> usize {
    let (mut left, mut at, mut i) = (0, 0, 0);
    while i < starts.len() && at < places.len() {
        let start = starts[i];
        let (wanted, place) = (start.saturating_add(offset), places[at]);
        starts[left] = start;
        left += usize::from(place == wanted);
        i += usize::from(wanted <= place);
        at += usize::from(place <= wanted);
    }
    left
}

/// How often the words stand as the phrase says, within `slop` moves.
fn frequency(words: &[Word<'_>], slop: u32) -> f32 {
    let place =
        |word: usize, at: usize| i64::from(words[word].places[at]) - i64::from(words[word].offset);
    let mut at = vec![0; words.len()];
    let mut sum = 0.0;
    let mut best: Option<i64> = None;
    loop {
        let (mut low, mut high) = (0, 0);
        for word in 1..words.len() {
            if place(word, at[word]) < place(low, at[low]) {
                low = word;
            }
            if place(word, at[word]) > place(high, at[high]) {
                high = word;
            }
        }
        let moves = place(high, at[high]) - place(low, at[low]);
        let apart = (0..words.len())
            .all(|a| (0..a).all(|b| words[a].places[at[a]] != words[b].places[at[b]]));
        if apart && moves <= i64::from(slop) {
            best = Some(best.map_or(moves, |best| best.min(moves)));
        }
        at[low] += 1;
        let ended = at[low] == words[low].places.len();
        // A match is minimal once its first word has passed its last.
        if (ended || place(low, at[low]) > place(high, at[high]))
            && let Some(moves) = best.take()
        {
            sum += 1.0 / (1.0 + moves as f32);
        }
        if ended {
            return sum;
        }
    }
}

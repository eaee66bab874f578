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
    /// Where the phrase may begin in the document at hand.
    starts: Vec<u32>,
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
        Ok(Some(Self { words, slop, scorer, starts: Vec::new(), unused }))
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
        let (lead, others) = self.words.split_first_mut().expect("a phrase has words");
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
        for word in others {
            let places = Some(&mut *word.at);
            len = word.term.intersect(&in_block, &mut kept, len, &mut self.unused, places)?;
        }
        let ceiling = self.scorer.map_or(f32::INFINITY, |scorer| scorer.ceiling());
        for n in 0..len {
            let i = usize::from(kept[n]);
            let doc = in_block[i];
            let mut ceiling = ceiling;
            if let (0, Some(scorer)) = (self.slop, self.scorer) {
                let mut tf = u32::MAX;
                for word in &mut self.words {
                    tf = tf.min(word.tf(i)?);
                }
                ceiling = scorer.bound(tf as f32, self.words[0].term.lens.get(doc) as f32);
            }
            if !visit(Visit::May { doc, ceiling }) {
                continue;
            }
            let frequency = match self.slop {
                0 => self.exact(&kept[n..len])? as f32,
                slop => self.sloppy(&kept[n..len], slop)?,
            };
            if frequency > 0.0 {
                let len = self.words[0].term.lens.get(doc);
                let score =
                    self.scorer.map_or(0.0, |scorer| scorer.score_frequency(frequency, len));
                visit(Visit::Is { doc, score });
            }
        }
        Ok(())
    }

    /// How often the words stand side by side in the first document of `kept`; the places of a word are read only if those
    /// before it do.
    fn exact(&mut self, kept: &[u8]) -> Result<u32, FormatError> {
        let (lead, others) = self.words.split_first_mut().expect("a phrase has words");
        lead.read_places(kept)?;
        self.starts.clear();
        self.starts.extend(lead.places.iter().filter_map(|place| place.checked_sub(lead.offset)));
        for word in others {
            word.read_places(kept)?;
            let (mut left, mut at) = (0, 0);
            for i in 0..self.starts.len() {
                let start = self.starts[i];
                let wanted = start.saturating_add(word.offset);
                while at < word.places.len() && word.places[at] < wanted {
                    at += 1;
                }
                self.starts[left] = start;
                left += usize::from(word.places.get(at) == Some(&wanted));
            }
            self.starts.truncate(left);
            if left == 0 {
                return Ok(0);
            }
        }
        Ok(self.starts.len() as u32)
    }

    fn sloppy(&mut self, kept: &[u8], slop: u32) -> Result<f32, FormatError> {
        for word in &mut self.words {
            word.read_places(kept)?;
            if word.places.is_empty() {
                return Ok(0.0);
            }
        }
        Ok(frequency(&self.words, slop))
    }
}

impl Word<'_> {
    /// How often it is in document `i`.
    fn tf(&mut self, i: usize) -> Result<u32, FormatError> {
        let (block, index) = self.at[i];
        Ok(self.term.cursor.tfs(block as usize)?[usize::from(index)])
    }

    /// Reads its places in the first document of `kept`; those that follow are read next, if any.
    fn read_places(&mut self, kept: &[u8]) -> Result<(), FormatError> {
        let at = |i: u8| self.at[usize::from(i)];
        let (block, index) = at(kept[0]);
        let len = self.term.cursor.block_len(block as usize);
        let tfs = &self.term.cursor.tfs(block as usize)?[..len];
        if !self.positions.is_at(block as usize) {
            let many = kept.get(len / MANY_SHARE).is_some_and(|&i| at(i).0 == block);
            self.positions.open(block as usize, tfs, many)?;
        }
        self.positions.read(index.into(), tfs, &mut self.places)
    }
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

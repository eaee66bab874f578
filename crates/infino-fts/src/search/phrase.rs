//! Phrases: words in order, side by side or with some slack.
//!
//! How often a document holds a phrase counts as a term frequency. Every minimal match of `m` moves adds `1 / (1 + m)`, where
//! the moves are the spread of the words' places after each word's place in the phrase is taken off: 0 if they
//! stand side by side. This is the measure of Lucene's sloppy phrases.

use std::ops::Range;

use infino_format::FormatError;

use super::load::{Load, TermPositions};
use super::term::TermOp;
use super::weights::Weights;
use super::window::{Bits, WINDOW};
use crate::FtsError;
use crate::bm25::Scorer;

/// What [`PhraseOp::each_document`] tells.
pub(crate) enum Visit {
    /// The rarest word is there; the score is at most `ceiling`. Whether to go on.
    May { doc: u32, ceiling: f32 },
    /// The phrase is there.
    Is { doc: u32, score: f32 },
}

/// A phrase over its words' cursors, the rarest first.
pub(crate) struct PhraseOp<'a> {
    words: Vec<Word<'a>>,
    slop: u32,
    scorer: Option<Scorer>,
    /// Where the phrase may begin in the document at hand.
    starts: Vec<u32>,
}

struct Word<'a> {
    term: TermOp<'a>,
    positions: TermPositions<'a>,
    /// Its place in the phrase.
    offset: u32,
    /// Its places in the document at hand.
    places: Vec<u32>,
    /// Where in its block that document is.
    index: usize,
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
                index: 0,
            });
        }
        let field = load.field_of(terms[0].0);
        let scorer = weights
            .map(|weights| weights.scorer(field, terms.iter().map(|&(term, _)| term), boost));
        words.sort_by_key(|word| word.term.cursor.df);
        Ok(Some(Self { words, slop, scorer, starts: Vec::new() }))
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
        let mut block = self.words[0].term.cursor.block_of(0, docs.start);
        while block < self.words[0].term.cursor.blocks() {
            let lead = &mut self.words[0].term;
            if lead.cursor.first(block) >= docs.end {
                break;
            }
            lead.block = block;
            lead.cursor.read(block, lead.field)?;
            let (in_block, len) = (*lead.cursor.docs_buffer(), lead.cursor.len);
            for (index, &doc) in in_block[..len].iter().enumerate() {
                if !docs.contains(&doc) {
                    continue;
                }
                self.words[0].index = index;
                if !visit(Visit::May { doc, ceiling: self.ceiling(doc)? }) {
                    continue;
                }
                let frequency = match self.slop {
                    0 => self.exact(doc)? as f32,
                    slop => self.sloppy(doc, slop)?,
                };
                if frequency > 0.0 {
                    let len = self.words[0].term.lens.get(doc);
                    let score =
                        self.scorer.map_or(0.0, |scorer| scorer.score_frequency(frequency, len));
                    visit(Visit::Is { doc, score });
                }
            }
            block += 1;
        }
        Ok(())
    }

    /// A bound on the score of the document at hand by how often the rarest word is in it.
    fn ceiling(&mut self, doc: u32) -> Result<f32, FormatError> {
        let Some(scorer) = self.scorer else { return Ok(f32::INFINITY) };
        if self.slop > 0 {
            // With slack one place of a word may serve several matches.
            return Ok(scorer.ceiling());
        }
        let lead = &mut self.words[0];
        let tf = lead.term.cursor.tfs(lead.term.block)?[lead.index];
        Ok(scorer.bound(tf as f32, lead.term.lens.get(doc) as f32))
    }

    /// How often the words stand side by side in `doc`; a word is looked up only if those before it do.
    fn exact(&mut self, doc: u32) -> Result<u32, FormatError> {
        let (lead, others) = self.words.split_first_mut().expect("a phrase has words");
        self.starts.clear();
        for word in others {
            let Some(index) = word.term.seek(doc)? else { return Ok(0) };
            word.index = index;
            if self.starts.is_empty() {
                lead.read_places()?;
                self.starts
                    .extend(lead.places.iter().filter_map(|place| place.checked_sub(lead.offset)));
            }
            word.read_places()?;
            let (mut kept, mut at) = (0, 0);
            for i in 0..self.starts.len() {
                let start = self.starts[i];
                let wanted = start.saturating_add(word.offset);
                while at < word.places.len() && word.places[at] < wanted {
                    at += 1;
                }
                self.starts[kept] = start;
                kept += usize::from(word.places.get(at) == Some(&wanted));
            }
            self.starts.truncate(kept);
            if kept == 0 {
                return Ok(0);
            }
        }
        Ok(self.starts.len() as u32)
    }

    fn sloppy(&mut self, doc: u32, slop: u32) -> Result<f32, FormatError> {
        for word in &mut self.words[1..] {
            let Some(index) = word.term.seek(doc)? else { return Ok(0.0) };
            word.index = index;
        }
        for word in &mut self.words {
            word.read_places()?;
            if word.places.is_empty() {
                return Ok(0.0);
            }
        }
        Ok(frequency(&self.words, slop))
    }
}

impl Word<'_> {
    /// Reads its places in the document it is at.
    fn read_places(&mut self) -> Result<(), FormatError> {
        let block = self.term.block;
        let len = self.term.cursor.block_len(block);
        let tfs = &self.term.cursor.tfs(block)?[..len];
        self.positions.read(block, self.index, tfs, &mut self.places)
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

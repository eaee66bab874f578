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

/// A phrase over its words' cursors.
pub(crate) struct PhraseOp<'a> {
    words: Vec<Word<'a>>,
    slop: u32,
    scorer: Option<Scorer>,
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
        Ok(Some(Self { words, slop, scorer }))
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
        self.each_document(base..end, |phrase, doc| {
            if let Some(score) = phrase.score(doc)? {
                let at = (doc - base) as usize;
                bits[at / 64] |= 1 << (at % 64);
                if let Some(scores) = &mut scores {
                    scores[at] += score;
                }
            }
            Ok(())
        })
    }

    /// Calls `each` with the documents in `docs` that hold all words, ascending.
    pub(crate) fn each_document(
        &mut self,
        docs: Range<u32>,
        mut each: impl FnMut(&mut Self, u32) -> Result<(), FormatError>,
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
            'docs: for (index, &doc) in in_block[..len].iter().enumerate() {
                if !docs.contains(&doc) {
                    continue;
                }
                self.words[0].index = index;
                for word in &mut self.words[1..] {
                    let Some(index) = word.term.seek(doc)? else { continue 'docs };
                    word.index = index;
                }
                each(self, doc)?;
            }
            block += 1;
        }
        Ok(())
    }

    /// A bound on the score of the document at hand that needs no positions.
    pub(crate) fn ceiling(&mut self, doc: u32) -> Result<f32, FormatError> {
        let (mut least, mut all) = (u32::MAX, 0u32);
        for word in &mut self.words {
            let tf = word.term.cursor.tfs()?[word.index];
            (least, all) = (least.min(tf), all.saturating_add(tf));
        }
        // With slack one place of a word may serve several matches.
        let most = if self.slop == 0 { least } else { all };
        let len = self.words[0].term.lens.get(doc);
        Ok(self.scorer.map_or(0.0, |scorer| scorer.bound(most as f32, len as f32)))
    }

    /// The score of the document at hand (0 if scores are not wanted), `None` if it does not hold the phrase.
    pub(crate) fn score(&mut self, doc: u32) -> Result<Option<f32>, FormatError> {
        for word in &mut self.words {
            let len = word.term.cursor.len;
            let tfs = &word.term.cursor.tfs()?[..len];
            word.positions.read(word.term.block, word.index, tfs, &mut word.places)?;
            if word.places.is_empty() {
                return Ok(None);
            }
        }
        let frequency = frequency(&self.words, self.slop);
        if frequency == 0.0 {
            return Ok(None);
        }
        let len = self.words[0].term.lens.get(doc);
        Ok(Some(self.scorer.map_or(0.0, |scorer| scorer.score_frequency(frequency, len))))
    }
}

/// How often the words stand as the phrase says.
fn frequency(words: &[Word<'_>], slop: u32) -> f32 {
    if slop == 0 {
        return exact(words) as f32;
    }
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
        if ended || place(low, at[low]) > place(high, at[high]) {
            if let Some(moves) = best.take() {
                sum += 1.0 / (1.0 + moves as f32);
            }
        }
        if ended {
            return sum;
        }
    }
}

/// How often the words stand side by side.
fn exact(words: &[Word<'_>]) -> u32 {
    let lead = words.iter().min_by_key(|word| word.places.len()).expect("a phrase has words");
    let mut at = vec![0; words.len()];
    let mut count = 0;
    'places: for &place in &lead.places {
        let Some(start) = place.checked_sub(lead.offset) else { continue };
        for (word, at) in words.iter().zip(&mut at) {
            let wanted = start + word.offset;
            while *at < word.places.len() && word.places[*at] < wanted {
                *at += 1;
            }
            if *at == word.places.len() {
                break 'places;
            }
            if word.places[*at] != wanted {
                continue 'places;
            }
        }
        count += 1;
    }
    count
}

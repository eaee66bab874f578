//! All of some terms: the rarest leads, the others are looked up for its documents.

use std::cell::RefCell;

use infino_format::{DocSet, FormatError};

use super::phrase::{PhraseOp, Visit};
use super::term::TermOp;
use super::topk::TopK;
use crate::bm25::upward;
use crate::kernel::pack::BLOCK_LEN;

/// What a document must hold or must not, without being scored for it.
#[derive(Default)]
pub(crate) struct Checks<'a> {
    pub(crate) required: Vec<TermOp<'a>>,
    pub(crate) excluded: Vec<TermOp<'a>>,
}

impl Checks<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.required.is_empty() && self.excluded.is_empty()
    }

    #[inline]
    pub(crate) fn pass(&mut self, doc: u32) -> Result<bool, FormatError> {
        for list in &mut self.required {
            if list.seek(doc)?.is_none() {
                return Ok(false);
            }
        }
        for list in &mut self.excluded {
            if list.seek(doc)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Terms that must all occur, terms that add to the score if they do, and at most one phrase over the required ones.
pub(crate) struct Conjunction<'a> {
    /// Weightiest first, the order in which scores are summed.
    pub(crate) must: Vec<TermOp<'a>>,
    /// Likewise.
    pub(crate) should: Vec<TermOp<'a>>,
    pub(crate) checks: Checks<'a>,
}

impl Conjunction<'_> {
    /// Calls `each` with every document that passes, ascending, and its score; documents that cannot reach `threshold` may
    /// be left out.
    pub(crate) fn top(
        &mut self,
        top: &mut TopK,
        allowed: Option<&DocSet>,
        rows: u32,
    ) -> Result<(), FormatError> {
        // The order in which lists are tried; sums are made in the order of `must`.
        let mut by_df: Vec<usize> = (0..self.must.len()).collect();
        by_df.sort_by_key(|&i| self.must[i].cursor.df);
        let lead = by_df[0];
        // The blocks of the others are bounded only if the lead has many: each bound costs as much as a few look-ups.
        let long = self.must[lead].cursor.blocks() > 8;
        let bound = |(i, list): (usize, &TermOp<'_>)| match long || i == lead {
            true => list.bounds(),
            false => vec![list.scorer.map_or(0.0, |scorer| scorer.ceiling())],
        };
        let bounds: Vec<Vec<f32>> = self.must.iter().enumerate().map(bound).collect();
        let most = |bounds: &[f32]| bounds.iter().copied().fold(0.0, f32::max);
        let should: Vec<f32> = self
            .should
            .iter()
            .map(|list| list.scorer.map_or(0.0, |scorer| scorer.ceiling()))
            .collect();
        let should_rest = upward(should.iter().sum::<f32>());
        let others: f32 = by_df[1..].iter().map(|&i| most(&bounds[i])).sum();
        let mut scores = vec![[0.0f32; BLOCK_LEN]; self.must.len()];
        let mut kept = [0u8; BLOCK_LEN];
        // Scoring a whole block pays if much of it is in the other lists too.
        let dense = self.must[lead].cursor.df > rows as usize / 16;
        for block in 0..self.must[lead].cursor.blocks() {
            let threshold = top.threshold();
            let ceiling = upward(bounds[lead][block] + others + should_rest);
            if ceiling < threshold
                || long && !self.may_reach(lead, block, &by_df, &bounds, threshold - should_rest)
            {
                continue;
            }
            let list = &mut self.must[lead];
            list.block = block;
            list.cursor.read(block, list.field)?;
            let score_first = dense && threshold > f32::NEG_INFINITY;
            if score_first {
                scores[lead] = *list.score_block()?;
            }
            let docs = *list.cursor.docs_buffer();
            let least = upward(others + should_rest);
            let mut len = 0;
            for i in 0..list.cursor.len {
                kept[len] = i as u8;
                let may = !score_first || upward(scores[lead][i] + least) >= threshold;
                len += usize::from(may && allowed.is_none_or(|allowed| allowed.contains(docs[i])));
            }
            for &other in &by_df[1..] {
                len =
                    self.must[other].intersect(&docs, &mut kept, len, &mut scores[other], None)?;
            }
            if !score_first {
                for &i in &kept[..len] {
                    let at = usize::from(i);
                    scores[lead][at] = self.must[lead].score_at(at, docs[at])?;
                }
            }
            for &i in &kept[..len] {
                let (i, doc) = (i as usize, docs[i as usize]);
                let mut sum = 0.0;
                scores.iter().for_each(|scores| sum += scores[i]);
                if upward(sum + should_rest) < top.threshold() || !self.checks.pass(doc)? {
                    continue;
                }
                for list in &mut self.should {
                    if let Some(index) = list.seek(doc)? {
                        sum += list.score_at(index, doc)?;
                    }
                }
                top.offer(doc, sum);
            }
        }
        Ok(())
    }

    /// Whether the bounds of the blocks beside `block` of the lead leave a chance.
    fn may_reach(
        &self,
        lead: usize,
        block: usize,
        by_df: &[usize],
        bounds: &[Vec<f32>],
        threshold: f32,
    ) -> bool {
        let cursor = &self.must[lead].cursor;
        let (first, last) = (cursor.first(block), cursor.last(block));
        let mut sum = bounds[lead][block];
        for &other in &by_df[1..] {
            let cursor = &self.must[other].cursor;
            let from = cursor.block_of(self.must[other].block.min(cursor.blocks() - 1), first);
            let mut best: f32 = 0.0;
            for (block, &bound) in bounds[other].iter().enumerate().skip(from) {
                if cursor.first(block) > last {
                    break;
                }
                best = best.max(bound);
            }
            if best == 0.0 {
                // The list holds nothing in this range.
                return false;
            }
            sum += best;
        }
        upward(sum) >= threshold
    }

    /// Whether looking documents up one by one beats marking all of every list.
    pub(crate) fn is_sparse(&self, rows: u32) -> bool {
        let least = self.must.iter().map(|list| list.cursor.df).min().unwrap_or(0);
        least < rows as usize / 16
    }

    /// How many documents pass.
    pub(crate) fn count(&mut self, allowed: Option<&DocSet>) -> Result<u64, FormatError> {
        self.must.sort_by_key(|list| list.cursor.df);
        let (lead, others) = self.must.split_first_mut().expect("a conjunction has terms");
        let mut count = 0;
        let (mut kept, mut scores) = ([0u8; BLOCK_LEN], [0.0; BLOCK_LEN]);
        for block in 0..lead.cursor.blocks() {
            lead.cursor.read(block, lead.field)?;
            let docs = *lead.cursor.docs_buffer();
            let mut len = 0;
            for (i, &doc) in docs[..lead.cursor.len].iter().enumerate() {
                kept[len] = i as u8;
                len += usize::from(allowed.is_none_or(|allowed| allowed.contains(doc)));
            }
            for list in others.iter_mut() {
                len = list.intersect(&docs, &mut kept, len, &mut scores, None)?;
            }
            if self.checks.is_empty() {
                count += len as u64;
                continue;
            }
            for &i in &kept[..len] {
                count += u64::from(self.checks.pass(docs[usize::from(i)])?);
            }
        }
        Ok(count)
    }
}

/// One phrase: its words' conjunction, then their places.
pub(crate) fn top_of_phrase(
    phrase: &mut PhraseOp<'_>,
    top: &mut TopK,
    allowed: Option<&DocSet>,
) -> Result<(), FormatError> {
    let top = RefCell::new(top);
    phrase.best_first(
        || top.borrow().threshold(),
        |visit| match visit {
            Visit::May { doc, ceiling } => {
                ceiling >= top.borrow().threshold()
                    && allowed.is_none_or(|allowed| allowed.contains(doc))
            }
            Visit::Is { doc, score } => {
                top.borrow_mut().offer(doc, score);
                true
            }
        },
    )
}

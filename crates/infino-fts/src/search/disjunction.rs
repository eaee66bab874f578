//! Any of some terms: MaxScore over windows, the most promising window first.
//!
//! A window's ceiling is the sum over the terms of the best bound of their blocks in it. Windows are visited from the
//! highest ceiling down until none reaches the k-th score. Within one, the weightiest terms are summed document by
//! document, block by block; the rest, whose bounds together stay under the k-th score, are only looked up for the
//! documents that could still reach it. After Turtle and Flood, *Query evaluation: strategies and optimizations* (1995),
//! in the blockwise form of Lucene 10's `MaxScoreBulkScorer`.

use infino_format::{DocSet, FormatError};

use super::allowed_word;
use super::conjunction::Checks;
use super::scratch::Sums;
use super::term::TermOp;
use super::topk::TopK;
use super::window::{WINDOW, WORDS, each_bit};
use crate::bm25::upward;
use crate::kernel::score::reaching;

/// Documents a window below which it is sparse.
const SPARSE: usize = 512;

/// The terms, weightiest first, each of positive weight.
pub(crate) struct Disjunction<'a> {
    lists: Vec<TermOp<'a>>,
    /// Per list, a bound per block.
    bounds: Vec<Vec<f32>>,
    /// Per window, a bound per list.
    ceilings: Vec<f32>,
    sums: Sums,
    candidates: Vec<u32>,
    /// Whether a window holds so few documents that marking them beats looking at every sum.
    sparse: bool,
}

impl<'a> Disjunction<'a> {
    pub(crate) fn new(lists: Vec<TermOp<'a>>, rows: u32) -> Result<Self, FormatError> {
        let bounds: Vec<Vec<f32>> = lists.iter().map(TermOp::bounds).collect();
        let windows = (rows as usize).div_ceil(WINDOW);
        let mut disjunction = Self {
            ceilings: vec![0.0; windows * lists.len()],
            sparse: lists.iter().map(|list| list.cursor.df).sum::<usize>() < windows * SPARSE,
            lists,
            bounds,
            sums: Sums::take(),
            candidates: Vec::with_capacity(256),
        };
        disjunction.fill_ceilings()?;
        Ok(disjunction)
    }

    fn fill_ceilings(&mut self) -> Result<(), FormatError> {
        let width = self.lists.len();
        for (i, (list, bounds)) in self.lists.iter_mut().zip(&self.bounds).enumerate() {
            if list.cursor.inline_lens().is_some() {
                list.score_block()?;
                for (doc, &score) in list.cursor.docs().iter().zip(list.block_scores()) {
                    let ceiling = &mut self.ceilings[*doc as usize / WINDOW * width + i];
                    *ceiling = ceiling.max(upward(score));
                }
                continue;
            }
            for (block, &bound) in bounds.iter().enumerate() {
                let first = list.cursor.first(block) as usize / WINDOW;
                for window in first..=list.cursor.last(block) as usize / WINDOW {
                    let ceiling = &mut self.ceilings[window * width + i];
                    *ceiling = ceiling.max(bound);
                }
            }
        }
        Ok(())
    }

    /// Offers what may be among the best to `top`.
    pub(crate) fn run(
        &mut self,
        top: &mut TopK,
        allowed: Option<&DocSet>,
        checks: &mut Checks<'_>,
    ) -> Result<(), FormatError> {
        let width = self.lists.len();
        let mut order: Vec<(f32, u32)> = self
            .ceilings
            .chunks_exact(width)
            .enumerate()
            .map(|(window, ceilings)| (ceilings.iter().sum(), window as u32))
            .filter(|&(ceiling, _)| ceiling > 0.0)
            .collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (ceiling, window) in order {
            if upward(ceiling) < top.threshold() {
                break;
            }
            self.sums.set_clean(false);
            self.visit(window as usize, top, allowed, checks)?;
            self.sums.set_clean(true);
        }
        Ok(())
    }

    fn visit(
        &mut self,
        window: usize,
        top: &mut TopK,
        allowed: Option<&DocSet>,
        checks: &mut Checks<'_>,
    ) -> Result<(), FormatError> {
        let width = self.lists.len();
        let base = (window * WINDOW) as u32;
        let ceilings = &self.ceilings[window * width..][..width];
        let total = upward(ceilings.iter().sum());
        let threshold = top.threshold();
        // From the lightest term up: those that cannot reach the threshold together.
        let (mut essential, mut rest) = (width, 0.0);
        while essential > 0 && upward(rest + ceilings[essential - 1]) < threshold {
            essential -= 1;
            rest = upward(rest + ceilings[essential]);
        }
        let mut bits = [0; WORDS];
        for (i, &ceiling) in ceilings[..essential].iter().enumerate() {
            let bounds = &self.bounds[i];
            if ceiling == 0.0 {
                continue;
            }
            let skip = |block: usize| upward(total - ceiling + bounds[block]) < threshold;
            let marks = self.sparse.then_some(&mut bits);
            self.lists[i].add_scores(base, &mut self.sums[..], marks, skip)?;
        }
        let marked = bits;
        if !self.sparse {
            reaching(&self.sums[..], least(threshold, rest), &mut bits);
        }
        self.candidates.clear();
        let least_now = least(threshold, rest);
        for (i, &word) in bits.iter().enumerate() {
            let mut word = word & allowed_word(allowed, base, i);
            while word != 0 {
                let at = 64 * i as u32 + word.trailing_zeros();
                if self.sums[at as usize] >= least_now {
                    self.candidates.push(at);
                }
                word &= word - 1;
            }
        }
        for i in essential..width {
            if ceilings[i] == 0.0 {
                continue;
            }
            let left: f32 = ceilings[i + 1..].iter().sum();
            let least = least(threshold, upward(left));
            let (list, sums) = (&mut self.lists[i], &mut self.sums[..]);
            list.add_candidates(base, &self.candidates, sums)?;
            let mut kept = 0;
            for at in 0..self.candidates.len() {
                let candidate = self.candidates[at];
                self.candidates[kept] = candidate;
                kept += usize::from(sums[candidate as usize] >= least);
            }
            self.candidates.truncate(kept);
        }
        for &candidate in &self.candidates {
            let score = self.sums[candidate as usize];
            if score >= top.threshold() && checks.pass(base + candidate)? {
                top.offer(base + candidate, score);
            }
        }
        if self.sparse {
            each_bit::<FormatError>(&marked, |at| {
                self.sums[at] = 0.0;
                Ok(())
            })?;
        } else {
            self.sums.fill(0.0);
        }
        Ok(())
    }
}

/// What a sum must be at least to reach `threshold` with at most `rest` more, rounding allowed for.
fn least(threshold: f32, rest: f32) -> f32 {
    let least = threshold - rest;
    if least.is_finite() { least - threshold.abs() * 1e-6 } else { least }
}

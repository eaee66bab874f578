//! The best of several conditions, plus a part of the others.

use super::eval::{Op, unite};
use super::window::{Bits, WINDOW, WORDS, each_bit};
use crate::FtsError;
use crate::bm25::upward;

/// Conditions of which the best counts whole and the others by `tie_breaker`.
pub(crate) struct DisMaxOp<'a> {
    ops: Vec<Op<'a>>,
    tie_breaker: f32,
    own: Vec<f32>,
    best: Vec<f32>,
    sums: Vec<f32>,
}

impl<'a> DisMaxOp<'a> {
    pub(crate) fn new(ops: Vec<Op<'a>>, tie_breaker: f32) -> Self {
        let [own, best, sums] = std::array::from_fn(|_| vec![0.0; WINDOW]);
        Self { ops, tie_breaker, own, best, sums }
    }

    /// No document scores above this.
    pub(crate) fn ceiling(&self) -> f32 {
        let best = self.ops.iter().map(Op::ceiling).fold(0.0, f32::max);
        let sum: f32 = self.ops.iter().map(Op::ceiling).sum();
        upward(best + self.tie_breaker * (sum - best))
    }

    /// No document from `from` on matches before this one.
    pub(crate) fn next(&mut self, from: u32) -> Option<u32> {
        self.ops.iter_mut().filter_map(|op| op.next(from)).min()
    }

    /// Marks the documents of the window at `base` that match, and adds their scores if they are wanted.
    pub(crate) fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        scores: Option<&mut [f32]>,
    ) -> Result<(), FtsError> {
        let Some(scores) = scores else {
            return self.ops.iter_mut().try_for_each(|op| op.add(base, bits, None));
        };
        let mut any = [0; WORDS];
        self.best.fill(0.0);
        self.sums.fill(0.0);
        for op in &mut self.ops {
            let mut found = [0; WORDS];
            self.own.fill(0.0);
            op.add(base, &mut found, Some(&mut self.own))?;
            each_bit::<FtsError>(&found, |at| {
                self.best[at] = self.best[at].max(self.own[at]);
                self.sums[at] += self.own[at];
                Ok(())
            })?;
            unite(&mut any, &found);
        }
        each_bit::<FtsError>(&any, |at| {
            scores[at] += self.best[at] + self.tie_breaker * (self.sums[at] - self.best[at]);
            Ok(())
        })?;
        unite(bits, &any);
        Ok(())
    }
}

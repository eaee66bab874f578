//! The tree of a query over its cursors, evaluated a window at a time.

use infino_format::FormatError;

use super::combined::CombinedOp;
use super::dis_max::DisMaxOp;
use super::load::Load;
use super::phrase::PhraseOp;
use super::term::TermOp;
use super::weights::Weights;
use super::window::{Bits, WINDOW, WORDS, Window, each_bit};
use crate::FtsError;
use crate::bm25::upward;
use crate::query::plan::Node;

/// A query ready to run over a section whose bytes have been fetched.
pub(crate) struct Evaluator<'a> {
    root: Op<'a>,
}

/// A node of the tree.
pub(super) enum Op<'a> {
    Nothing,
    All { score: f32, rows: u32 },
    Term(Box<TermOp<'a>>),
    Phrase(Box<PhraseOp<'a>>),
    Expansion { lists: Vec<TermOp<'a>>, score: f32 },
    Combined(Box<CombinedOp<'a>>),
    DisMax(Box<DisMaxOp<'a>>),
    Bool(Box<BoolOp<'a>>),
}

pub(super) struct BoolOp<'a> {
    must: Vec<Op<'a>>,
    should: Vec<Op<'a>>,
    must_not: Vec<Op<'a>>,
    filter: Vec<Op<'a>>,
    enough: u32,
    scores: Vec<f32>,
}

impl<'a> Evaluator<'a> {
    /// Opens the cursors of `root`; scores are computed if there are `weights`.
    pub(crate) fn new(
        root: &Node,
        load: &'a Load,
        weights: Option<&Weights>,
    ) -> Result<Self, FtsError> {
        Ok(Self { root: Op::new(root, load, weights)? })
    }

    /// No document scores above this.
    pub(crate) fn ceiling(&self) -> f32 {
        self.root.ceiling()
    }

    /// Calls `each` with every window of the file that may hold a match, ascending, until it returns true; with scores only if
    /// it is `scored`.
    pub(crate) fn each_window(
        &mut self,
        rows: u32,
        scored: bool,
        mut each: impl FnMut(u32, &Window) -> Result<bool, FtsError>,
    ) -> Result<(), FtsError> {
        let mut window = Window::new(scored);
        let mut at = 0;
        while let Some(next) = self.root.next(at).filter(|&next| next < rows) {
            let base = next - next % WINDOW as u32;
            let scores = scored.then_some(&mut window.scores[..]);
            self.root.add(base, &mut window.bits, scores)?;
            if each(base, &window)? {
                break;
            }
            window.clear();
            match base.checked_add(WINDOW as u32) {
                Some(end) => at = end,
                None => break,
            }
        }
        Ok(())
    }
}

impl<'a> Op<'a> {
    fn new(node: &Node, load: &'a Load, weights: Option<&Weights>) -> Result<Self, FtsError> {
        Ok(match node {
            Node::Nothing => Self::Nothing,
            Node::All { boost } => {
                Self::All { score: *boost, rows: load.prepared.inner.reader.rows }
            }
            &Node::Term { term, boost } => match load.cursor(term)? {
                None => Self::Nothing,
                Some(cursor) => {
                    let field = load.field_of(term);
                    let scorer =
                        weights.map(|weights| weights.scorer(field, [term].into_iter(), boost));
                    Self::Term(Box::new(TermOp::new(load, field, cursor, scorer)))
                }
            },
            Node::Phrase { terms, slop, boost } => {
                match PhraseOp::new(terms, *slop, *boost, load, weights)? {
                    Some(phrase) => Self::Phrase(Box::new(phrase)),
                    None => Self::Nothing,
                }
            }
            Node::Expansion { expansion, boost } => {
                let (field, cursors) = load.expansion(*expansion);
                let lists = cursors
                    .map(|cursor| Ok(TermOp::new(load, field, cursor?, None)))
                    .collect::<Result<_, FormatError>>()?;
                Self::Expansion { lists, score: *boost }
            }
            Node::Combined { terms, boost } => {
                match CombinedOp::new(terms, *boost, load, weights)? {
                    Some(combined) => Self::Combined(Box::new(combined)),
                    None => Self::Nothing,
                }
            }
            Node::DisMax { nodes, tie_breaker } => {
                let mut ops = nodes
                    .iter()
                    .map(|node| Self::new(node, load, weights))
                    .collect::<Result<Vec<_>, _>>()?;
                ops.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
                Self::DisMax(Box::new(DisMaxOp::new(ops, *tie_breaker)))
            }
            Node::Bool { must, should, must_not, filter, enough } => {
                let ops = |nodes: &[Node], weights: Option<&Weights>| {
                    nodes
                        .iter()
                        .map(|node| Self::new(node, load, weights))
                        .collect::<Result<Vec<_>, _>>()
                };
                let (mut must, mut should) = (ops(must, weights)?, ops(should, weights)?);
                // Scores are summed from the weightiest clause down, whatever the file: weights are the table's.
                for clauses in [&mut must, &mut should] {
                    clauses.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
                }
                let (must_not, filter) = (ops(must_not, None)?, ops(filter, None)?);
                let scores = vec![0.0; WINDOW];
                Self::Bool(Box::new(BoolOp {
                    must,
                    should,
                    must_not,
                    filter,
                    enough: *enough,
                    scores,
                }))
            }
        })
    }

    fn weight(&self) -> f32 {
        match self {
            Self::Term(term) => term.weight(),
            Self::Phrase(phrase) => phrase.weight(),
            Self::Combined(combined) => combined.weight(),
            _ => 0.0,
        }
    }

    /// No document scores above this.
    pub(super) fn ceiling(&self) -> f32 {
        match self {
            Self::Nothing => 0.0,
            Self::All { score, .. } | Self::Expansion { score, .. } => *score,
            Self::Term(_) | Self::Phrase(_) | Self::Combined(_) => upward(self.weight()),
            Self::DisMax(dis_max) => dis_max.ceiling(),
            Self::Bool(bool) => {
                upward(bool.must.iter().chain(&bool.should).map(Self::ceiling).sum::<f32>())
            }
        }
    }

    /// No document from `from` on matches before this one; `None` if none does.
    pub(super) fn next(&mut self, from: u32) -> Option<u32> {
        match self {
            Self::Nothing => None,
            Self::Combined(combined) => combined.next(from),
            Self::DisMax(dis_max) => dis_max.next(from),
            Self::All { .. } => Some(from),
            Self::Term(term) => term.next(from),
            Self::Phrase(phrase) => phrase.next(from),
            Self::Expansion { lists, .. } => {
                lists.iter_mut().filter_map(|list| list.next(from)).min()
            }
            Self::Bool(bool) => {
                let needed = bool.must.iter_mut().chain(&mut bool.filter);
                let mut at = from;
                for op in needed {
                    at = at.max(op.next(from)?);
                }
                if bool.enough > 0 {
                    at = at.max(bool.should.iter_mut().filter_map(|op| op.next(from)).min()?);
                }
                Some(at)
            }
        }
    }

    /// Marks the documents of the window at `base` that match, and adds their scores if they are wanted.
    pub(super) fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        scores: Option<&mut [f32]>,
    ) -> Result<(), FtsError> {
        match self {
            Self::Nothing => {}
            Self::Combined(combined) => combined.add(base, bits, scores)?,
            Self::DisMax(dis_max) => dis_max.add(base, bits, scores)?,
            Self::All { score, rows } => {
                let end = (*rows - base).min(WINDOW as u32) as usize;
                (0..end).for_each(|at| bits[at / 64] |= 1 << (at % 64));
                if let Some(scores) = scores {
                    scores[..end].iter_mut().for_each(|sum| *sum += *score);
                }
            }
            Self::Term(term) => term.add(base, bits, scores)?,
            Self::Phrase(phrase) => phrase.add(base, bits, scores)?,
            Self::Expansion { lists, score } => {
                let mut any = [0; WORDS];
                for list in lists {
                    list.add(base, &mut any, None)?;
                }
                if let Some(scores) = scores {
                    each_bit::<FormatError>(&any, |at| {
                        scores[at] += *score;
                        Ok(())
                    })?;
                }
                unite(bits, &any);
            }
            Self::Bool(bool) => bool.add(base, bits, scores)?,
        }
        Ok(())
    }
}

impl BoolOp<'_> {
    fn add(
        &mut self,
        base: u32,
        bits: &mut Bits,
        mut scores: Option<&mut [f32]>,
    ) -> Result<(), FtsError> {
        let mut result = [u64::MAX; WORDS];
        let scored = scores.is_some();
        if scored {
            self.scores.fill(0.0);
        }
        for (op, scored) in self
            .must
            .iter_mut()
            .map(|op| (op, scored))
            .chain(self.filter.iter_mut().map(|op| (op, false)))
        {
            let mut found = [0; WORDS];
            op.add(base, &mut found, scored.then_some(&mut self.scores[..]))?;
            result.iter_mut().zip(&found).for_each(|(all, one)| *all &= one);
            if result.iter().all(|&word| word == 0) {
                return Ok(());
            }
        }
        match self.enough {
            0 if !scored => {}
            0 | 1 => {
                let mut any = [0; WORDS];
                for op in &mut self.should {
                    op.add(base, &mut any, scored.then_some(&mut self.scores[..]))?;
                }
                if self.enough == 1 {
                    result.iter_mut().zip(&any).for_each(|(all, one)| *all &= one);
                }
            }
            enough => {
                let mut counts = vec![0u32; WINDOW];
                for op in &mut self.should {
                    let mut found = [0; WORDS];
                    op.add(base, &mut found, scored.then_some(&mut self.scores[..]))?;
                    each_bit::<FtsError>(&found, |at| {
                        counts[at] += 1;
                        Ok(())
                    })?;
                }
                for (at, &count) in counts.iter().enumerate() {
                    if count < enough {
                        result[at / 64] &= !(1 << (at % 64));
                    }
                }
            }
        }
        for op in &mut self.must_not {
            let mut found = [0; WORDS];
            op.add(base, &mut found, None)?;
            result.iter_mut().zip(&found).for_each(|(all, one)| *all &= !one);
        }
        if let Some(sums) = &mut scores {
            each_bit::<FtsError>(&result, |at| {
                sums[at] += self.scores[at];
                Ok(())
            })?;
        }
        unite(bits, &result);
        Ok(())
    }
}

pub(super) fn unite(bits: &mut Bits, more: &Bits) {
    bits.iter_mut().zip(more).for_each(|(all, one)| *all |= one);
}

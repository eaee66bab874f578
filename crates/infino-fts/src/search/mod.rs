//! Lists to hits, matches and counts.
//!
//! A query is answered in windows of [`window::WINDOW`] documents: each node of its tree marks the documents it matches and
//! adds their scores. Scores are sums of the same numbers in the same order whatever the file, the window and the
//! machine, so they are equal to the last bit.

mod combined;
mod conjunction;
mod dis_max;
mod disjunction;
mod eval;
pub(crate) mod load;
mod phrase;
mod scratch;
mod shape;
mod single;
mod term;
mod topk;
mod weights;
mod window;

use bytes::Bytes;
use infino_format::{DocId, DocSet, Fetch, Step};

use crate::FtsError;
use crate::query::plan::Node;
use crate::reader::Prepared;
use crate::stats::CorpusStats;
use conjunction::Conjunction;
use disjunction::Disjunction;
use eval::Evaluator;
use load::Load;
use phrase::{PhraseOp, Visit};
use shape::Shape;
use topk::TopK;
use weights::Weights;

/// A row that answers a query, and how well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The row.
    pub doc: DocId,
    /// Its score; higher is better.
    pub score: f32,
}

/// The best rows; see [`crate::FtsReader::search`].
#[derive(Debug)]
pub struct Search {
    load: Load,
    weights: Weights,
    k: usize,
    allowed: Option<DocSet>,
    floor: Option<f32>,
}

impl Search {
    pub(crate) fn new(
        prepared: &Prepared,
        stats: &CorpusStats,
        k: usize,
        allowed: Option<&DocSet>,
        floor: Option<f32>,
    ) -> Result<Self, FtsError> {
        let weights = Weights::new(&prepared.inner, stats);
        let load = Load::new(prepared, true);
        Ok(Self { load, weights, k, allowed: allowed.cloned(), floor })
    }

    fn run(&mut self) -> Result<Vec<Hit>, FtsError> {
        let rows = self.load.prepared.inner.reader.rows;
        let mut top = TopK::new(self.k.min(rows as usize), self.floor);
        let prepared = self.load.prepared.clone();
        let Some(root) = &prepared.inner.root else { return Ok(Vec::new()) };
        if self.k == 0 || self.allowed.as_ref().is_some_and(DocSet::is_empty) {
            return Ok(Vec::new());
        }
        let (load, weights, allowed) = (&self.load, Some(&self.weights), self.allowed.as_ref());
        match Shape::of(root, load, weights)? {
            Some(Shape::Nothing) => {}
            Some(Shape::Any(mut lists, mut checks)) if lists.len() == 1 => {
                single::top(&mut lists[0], &mut top, allowed, &mut checks)?;
            }
            Some(Shape::Any(lists, mut checks)) => {
                Disjunction::new(lists, rows)?.run(&mut top, allowed, &mut checks)?;
            }
            Some(Shape::All(mut all)) if all.must.len() == 1 && all.should.is_empty() => {
                single::top(&mut all.must[0], &mut top, allowed, &mut all.checks)?;
            }
            Some(Shape::All(mut all)) => all.top(&mut top, allowed, rows)?,
            None => self.run_any_shape(root, &mut top)?,
        }
        Ok(top.into_hits())
    }

    fn run_any_shape(&self, root: &Node, top: &mut TopK) -> Result<(), FtsError> {
        let (load, weights, allowed) = (&self.load, Some(&self.weights), self.allowed.as_ref());
        if let Node::Phrase { terms, slop, boost } = root {
            let phrase = PhraseOp::new(terms, *slop, *boost, load, weights)?;
            if let Some(mut phrase) = phrase {
                conjunction::top_of_phrase(&mut phrase, top, allowed)?;
            }
            return Ok(());
        }
        let rows = load.prepared.inner.reader.rows;
        let mut evaluator = Evaluator::new(root, load, weights)?;
        let ceiling = evaluator.ceiling();
        evaluator.each_window(rows, true, |base, window| {
            for (i, &word) in window.bits.iter().enumerate() {
                let mut word = word & allowed_word(allowed, base, i);
                while word != 0 {
                    let at = 64 * i + word.trailing_zeros() as usize;
                    top.offer(base + at as u32, window.scores[at]);
                    word &= word - 1;
                }
            }
            // Rows come in order, so a later one must score more.
            Ok(top.is_full() && ceiling <= top.threshold())
        })
    }
}

/// The allowed rows of word `i` of the window at `base`.
fn allowed_word(allowed: Option<&DocSet>, base: u32, i: usize) -> u64 {
    match allowed {
        None => u64::MAX,
        Some(allowed) => allowed.words().get(base as usize / 64 + i).copied().unwrap_or(0),
    }
}

impl Fetch for Search {
    type Output = Vec<Hit>;
    type Error = FtsError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Vec<Hit>>, FtsError> {
        match self.load.step(bytes)? {
            Some(ranges) => Ok(Step::Ranges(ranges)),
            None => self.run().map(Step::Done),
        }
    }
}

/// All rows that match; see [`crate::FtsReader::matches`].
#[derive(Debug)]
pub struct Matches {
    load: Load,
}

impl Matches {
    pub(crate) fn new(prepared: &Prepared) -> Result<Self, FtsError> {
        Ok(Self { load: Load::new(prepared, false) })
    }

    fn run(&self) -> Result<DocSet, FtsError> {
        let inner = &self.load.prepared.inner;
        let rows = inner.reader.rows;
        let Some(root) = &inner.root else { return Ok(DocSet::empty(rows)) };
        let mut words = vec![0; rows.div_ceil(64) as usize];
        let mut evaluator = Evaluator::new(root, &self.load, None)?;
        evaluator.each_window(rows, false, |base, window| {
            let words = &mut words[base as usize / 64..];
            words.iter_mut().zip(&window.bits).for_each(|(word, &bits)| *word = bits);
            Ok(false)
        })?;
        Ok(DocSet::from_words(rows, words))
    }
}

impl Fetch for Matches {
    type Output = DocSet;
    type Error = FtsError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<DocSet>, FtsError> {
        match self.load.step(bytes)? {
            Some(ranges) => Ok(Step::Ranges(ranges)),
            None => self.run().map(Step::Done),
        }
    }
}

/// How many rows match; see [`crate::FtsReader::count`].
#[derive(Debug)]
pub struct Count {
    load: Load,
    allowed: Option<DocSet>,
}

impl Count {
    pub(crate) fn new(prepared: &Prepared, allowed: Option<&DocSet>) -> Result<Self, FtsError> {
        Ok(Self { load: Load::new(prepared, false), allowed: allowed.cloned() })
    }

    fn run(&self) -> Result<u64, FtsError> {
        let inner = &self.load.prepared.inner;
        let Some(root) = &inner.root else { return Ok(0) };
        let mut count = 0;
        match Shape::of(root, &self.load, None)? {
            Some(Shape::Nothing) => return Ok(0),
            Some(Shape::All(mut all)) if all.is_sparse(inner.reader.rows) => {
                return Ok(all.count(self.allowed.as_ref())?);
            }
            // Of two terms, those that hold both would be counted twice.
            Some(Shape::Any(two, checks))
                if two.len() == 2 && checks.is_empty() && self.allowed.is_none() =>
            {
                let sum: u64 = two.iter().map(|list| list.cursor.df as u64).sum();
                let mut both = Conjunction { must: two, should: Vec::new(), checks };
                if both.is_sparse(inner.reader.rows) {
                    return Ok(sum - both.count(None)?);
                }
            }
            _ => {}
        }
        if let Node::Phrase { terms, slop, boost } = root {
            let Some(mut phrase) = PhraseOp::new(terms, *slop, *boost, &self.load, None)? else {
                return Ok(0);
            };
            let allowed = self.allowed.as_ref();
            phrase.each_document(0..u32::MAX, |visit| match visit {
                Visit::May { doc, .. } => allowed.is_none_or(|allowed| allowed.contains(doc)),
                Visit::Is { .. } => {
                    count += 1;
                    true
                }
            })?;
            return Ok(count);
        }
        let mut evaluator = Evaluator::new(root, &self.load, None)?;
        evaluator.each_window(inner.reader.rows, false, |base, window| {
            for (i, &word) in window.bits.iter().enumerate() {
                count +=
                    u64::from((word & allowed_word(self.allowed.as_ref(), base, i)).count_ones());
            }
            Ok(false)
        })?;
        Ok(count)
    }
}

impl Fetch for Count {
    type Output = u64;
    type Error = FtsError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<u64>, FtsError> {
        if let (None, Some(df)) = (&self.allowed, self.load.prepared.inner.known_count()) {
            return Ok(Step::Done(df));
        }
        match self.load.step(bytes)? {
            Some(ranges) => Ok(Step::Ranges(ranges)),
            None => self.run().map(Step::Done),
        }
    }
}

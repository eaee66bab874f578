//! A section to hits.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use infino_format::{DocSet, Fetch, FormatError, Step};

use crate::analysis::Analyzer;
use crate::dict::block::{Answer, Block, Found, Walk, common};
use crate::layout::{self, FieldLayout};
use crate::postings::short::verify_trailer;
use crate::query::pattern::Pattern;
use crate::query::plan::{self, Node, Plan, PlanTerm};
use crate::search::{Count, Matches, Search};
use crate::stats::{CorpusStats, FieldStats, TermStats};
use crate::{FtsError, Query};

/// The most terms that one prefix or pattern may stand for.
pub(crate) const EXPANSION_MAX: usize = 1 << 16;

/// Answers queries over one section. Cheap to clone; many threads may use one.
#[derive(Debug, Clone)]
pub struct FtsReader {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) rows: u32,
    pub(crate) fields: Vec<Field>,
    /// The whole section, if it is in memory.
    pub(crate) resident: Option<Bytes>,
}

/// A field of an open section.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) layout: FieldLayout,
    pub(crate) analyzer: Analyzer,
    /// What of a resident section has been verified: dictionary blocks, length chunks, units of lists.
    pub(crate) verified: Verified,
}

/// A bit for everything that is verified once.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    bits: Vec<AtomicU64>,
}

impl Verified {
    fn new(len: u64) -> Self {
        Self { bits: (0..len.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Runs `verify` unless it has succeeded for `index` before; always if nothing is remembered.
    #[inline]
    pub(crate) fn once(
        &self,
        index: u64,
        verify: impl FnOnce() -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let Some(word) = self.bits.get(index as usize / 64) else { return verify() };
        let bit = 1 << (index % 64);
        if word.load(Ordering::Relaxed) & bit == 0 {
            verify()?;
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Field {
    /// What [`Verified`] calls a chunk of lengths.
    pub(crate) fn len_chunk(&self, chunk: usize) -> u64 {
        (self.layout.top.blocks() + chunk) as u64
    }

    /// The dictionary blocks that may hold terms of `pattern`.
    fn blocks_of(&self, pattern: &Pattern) -> Vec<usize> {
        let top = &self.layout.top;
        let (from, to) = pattern.span();
        let span = top.span(&from, to.as_deref());
        let mut matcher = pattern.matcher();
        let (mut blocks, mut block, mut asked): (Vec<usize>, usize, &[u8]) =
            (Vec::new(), span.start, &[]);
        let mut floor = Vec::new();
        while pattern.seeks() && block < span.end {
            blocks.push(block);
            block += 1;
            if block == span.end {
                break;
            }
            let first = top.first(block);
            let answer = matcher.answer(first, common(first, asked), &mut floor);
            asked = first;
            match answer {
                Answer::Taken | Answer::Passed => {}
                Answer::Below => block = top.find_from(block, &floor),
                Answer::Ended => break,
            }
        }
        if pattern.seeks() {
            return blocks;
        }
        while block < span.end {
            // All terms of a block lie between its first and the next block's, so they begin with what these share.
            let first = top.first(block);
            let begin = match block + 1 < top.blocks() {
                true => &first[..common(first, top.first(block + 1))],
                false => &[],
            };
            let refused = matcher.ruled_out(begin, common(begin, asked));
            asked = begin;
            let Some(len) = refused else {
                blocks.push(block);
                block += 1;
                continue;
            };
            // On to the block in which the terms that begin so end.
            let end = after(&begin[..len.min(begin.len())]);
            let end = end.and_then(|end| top.find(&end)).unwrap_or(span.end);
            block = end.max(block + 1);
        }
        blocks
    }

    /// What [`Verified`] calls a unit of a list.
    pub(crate) fn unit(&self, unit: u64) -> u64 {
        unit.saturating_add((self.layout.top.blocks() + self.layout.len_crcs.len()) as u64)
    }
}

pub(crate) fn find_field(fields: &[Field], name: &str) -> Result<usize, FtsError> {
    fields.iter().position(|field| field.layout.column == name).ok_or_else(|| {
        FtsError::UnknownField {
            field: name.to_owned(),
            known: fields.iter().map(|field| field.layout.column.clone()).collect(),
        }
    })
}

impl FtsReader {
    /// Opens a section of `section_len` bytes by its first bytes ([`crate::Built::open_len`] of them, or more).
    ///
    /// # Errors
    /// [`FtsError::Corrupt`] if they are not those of a section, [`FtsError::UnknownAnalyzer`] if a newer release wrote it.
    pub fn open(open: Bytes, section_len: u64) -> Result<Self, FtsError> {
        Self::new(&open, section_len, None)
    }

    /// Opens a section that is in memory: every answer then comes in one step, and what has been verified is not
    /// verified again.
    ///
    /// # Errors
    /// As [`FtsReader::open`].
    pub fn resident(section: Bytes) -> Result<Self, FtsError> {
        let open = section.clone();
        Self::new(&open, section.len() as u64, Some(section))
    }

    fn new(open: &[u8], section_len: u64, resident: Option<Bytes>) -> Result<Self, FtsError> {
        let (rows, layouts, _) = layout::read(open, section_len)?;
        let fields = layouts
            .into_iter()
            .map(|layout| {
                let analyzer = Analyzer::named(&layout.analyzer)?;
                let units = layout.units + (layout.top.blocks() + layout.len_crcs.len()) as u64;
                let verified = Verified::new(if resident.is_some() { units } else { 0 });
                Ok(Field { layout, analyzer, verified })
            })
            .collect::<Result<_, FtsError>>()?;
        Ok(Self { inner: Arc::new(Inner { rows, fields, resident }) })
    }

    /// Rows of the file, nulls included.
    pub fn rows(&self) -> u32 {
        self.inner.rows
    }

    /// The fields it indexes, in the order they were built.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.inner.fields.iter().map(|field| &field.layout.column[..])
    }

    /// How much text `field` holds here; `None` if it is not indexed.
    pub fn field_stats(&self, field: &str) -> Option<FieldStats> {
        let field = self.inner.fields.iter().find(|other| other.layout.column == field)?;
        Some(FieldStats { docs: field.layout.docs, tokens: field.layout.tokens })
    }

    /// The analyzer of `field`; `None` if it is not indexed.
    pub fn analyzer(&self, field: &str) -> Option<Analyzer> {
        self.inner
            .fields
            .iter()
            .find(|other| other.layout.column == field)
            .map(|field| field.analyzer.clone())
    }

    /// Looks up the words of `query`: at most one round, for dictionary blocks.
    ///
    /// # Errors
    /// [`FtsError::UnknownField`], [`FtsError::NoPositions`] or [`FtsError::Invalid`] if the section cannot answer it.
    pub fn prepare(&self, query: &Query) -> Result<Prepare, FtsError> {
        let (plan, root) = plan::plan(query, &self.inner.fields)?;
        let mut blocks = Vec::new();
        for term in &plan.terms {
            let top = &self.inner.fields[term.field].layout.top;
            blocks.extend(top.find(&term.term).map(|block| (term.field, block)));
        }
        let mut expansion_blocks = Vec::with_capacity(plan.expansions.len());
        for expansion in &plan.expansions {
            let own = self.inner.fields[expansion.field].blocks_of(&expansion.pattern);
            blocks.extend(own.iter().map(|&block| (expansion.field, block)));
            expansion_blocks.push(own);
        }
        blocks.sort_unstable();
        blocks.dedup();
        let inner = Arc::clone(&self.inner);
        Ok(Prepare { inner, plan, root, blocks, expansion_blocks, asked: false })
    }

    /// The `k` best of the rows that match, best first, equal scores by row; only rows of `allowed` if it is given.
    ///
    /// Rows that score strictly below `floor` need not be returned. At most one round. `prepared` must come from this
    /// reader.
    ///
    /// # Errors
    /// [`FtsError::Invalid`] if `allowed` is of a file of another length.
    pub fn search(
        &self,
        prepared: &Prepared,
        stats: &CorpusStats,
        k: usize,
        allowed: Option<&DocSet>,
        floor: Option<f32>,
    ) -> Result<Search, FtsError> {
        self.check_allowed(allowed)?;
        Search::new(prepared, stats, k, allowed, floor)
    }

    /// All rows that match. At most one round.
    ///
    /// # Errors
    /// None at present.
    pub fn matches(&self, prepared: &Prepared) -> Result<Matches, FtsError> {
        Matches::new(prepared)
    }

    /// How many rows match, of `allowed` if it is given. At most one round.
    ///
    /// # Errors
    /// [`FtsError::Invalid`] if `allowed` is of a file of another length.
    pub fn count(&self, prepared: &Prepared, allowed: Option<&DocSet>) -> Result<Count, FtsError> {
        self.check_allowed(allowed)?;
        Count::new(prepared, allowed)
    }

    fn check_allowed(&self, allowed: Option<&DocSet>) -> Result<(), FtsError> {
        match allowed {
            Some(allowed) if allowed.rows() != self.inner.rows => Err(FtsError::Invalid(format!(
                "the allowed rows are of a file of {}, this one has {}",
                allowed.rows(),
                self.inner.rows
            ))),
            _ => Ok(()),
        }
    }
}

/// The least string above all that begin with `prefix`; `None` if there is none.
pub(crate) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

/// Looks up the words of a query; see [`FtsReader::prepare`].
#[derive(Debug)]
pub struct Prepare {
    inner: Arc<Inner>,
    plan: Plan,
    root: Option<Node>,
    /// Field and block, ascending.
    blocks: Vec<(usize, usize)>,
    /// Those of each expansion.
    expansion_blocks: Vec<Vec<usize>>,
    asked: bool,
}

impl Fetch for Prepare {
    type Output = Prepared;
    type Error = FtsError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Prepared>, FtsError> {
        let ranges = || {
            self.blocks
                .iter()
                .map(|&(field, block)| self.inner.fields[field].layout.top.bytes(block))
        };
        let bytes = match &self.inner.resident {
            Some(section) => {
                ranges().map(|range| slice(section, &range)).collect::<Result<_, _>>()?
            }
            None if !self.asked && !self.blocks.is_empty() => {
                let ranges = ranges().collect();
                self.asked = true;
                return Ok(Step::Ranges(ranges));
            }
            None => bytes,
        };
        if bytes.len() != self.blocks.len() {
            return Err(FtsError::Invalid(format!(
                "{} ranges were asked for, {} came",
                self.blocks.len(),
                bytes.len()
            )));
        }
        self.look_up(&bytes).map(Step::Done)
    }
}

/// The bytes of `range` of a section in memory.
pub(crate) fn slice(section: &Bytes, range: &Range<u64>) -> Result<Bytes, FormatError> {
    if range.start > range.end || range.end > section.len() as u64 {
        return Err(FormatError::Truncated {
            what: "text section",
            at: range.start as usize,
            needed: range.end.saturating_sub(range.start) as usize,
            len: section.len(),
        });
    }
    Ok(section.slice(range.start as usize..range.end as usize))
}

impl Prepare {
    fn look_up(&mut self, bytes: &[Bytes]) -> Result<Prepared, FtsError> {
        let mut blocks = Vec::with_capacity(bytes.len());
        for (&(field, block), bytes) in self.blocks.iter().zip(bytes) {
            let field = &self.inner.fields[field];
            field.verified.once(block as u64, || verify_trailer("dictionary block", bytes))?;
            blocks.push(Block::read(bytes, field.layout.positions)?);
        }
        let mut terms = Vec::with_capacity(self.plan.terms.len());
        for PlanTerm { field, term } in self.plan.terms.drain(..) {
            let block = self.inner.fields[field].layout.top.find(&term);
            let at = block.and_then(|block| self.blocks.binary_search(&(field, block)).ok());
            let found = match at {
                Some(at) => blocks[at].find(&term)?.map(|found| Listed::new(found, &bytes[at])),
                None => None,
            };
            terms.push(PreparedTerm { field, term, list: found });
        }
        let mut expansions = Vec::with_capacity(self.plan.expansions.len());
        for (expansion, own) in self.plan.expansions.iter().zip(&self.expansion_blocks) {
            let field = expansion.field;
            let mut lists = Vec::new();
            let (mut matcher, mut prefixes) =
                (expansion.pattern.matcher(), expansion.pattern.matcher());
            let mut walk = Walk::new(expansion.pattern.seeks());
            for &block in own {
                let top = &self.inner.fields[field].layout.top;
                let passed = block + 1 < top.blocks() && walk.is_past(top.first(block + 1));
                let Ok(at) = self.blocks.binary_search(&(field, block)) else { continue };
                if passed {
                    continue;
                }
                blocks[at].matching(
                    &mut walk,
                    |prefix, shared| prefixes.ruled_out(prefix, shared),
                    |term, shared, floor| matcher.answer(term, shared, floor),
                    |found| lists.push(Listed::new(found, &bytes[at])),
                )?;
                if lists.len() > EXPANSION_MAX {
                    return Err(FtsError::TooManyTerms {
                        field: self.inner.fields[field].layout.column.clone(),
                        pattern: expansion.text.clone(),
                        max: EXPANSION_MAX,
                    });
                }
            }
            expansions.push(PreparedExpansion { field, lists });
        }
        Ok(Prepared {
            inner: Arc::new(PreparedInner {
                reader: Arc::clone(&self.inner),
                root: self.root.take(),
                terms,
                expansions,
            }),
        })
    }
}

/// A query whose words have been looked up in one section. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) inner: Arc<PreparedInner>,
}

#[derive(Debug)]
pub(crate) struct PreparedInner {
    pub(crate) reader: Arc<Inner>,
    /// `None` if nothing of the query is left after analysis.
    pub(crate) root: Option<Node>,
    pub(crate) terms: Vec<PreparedTerm>,
    pub(crate) expansions: Vec<PreparedExpansion>,
}

impl PreparedInner {
    /// How many rows match, if the dictionary alone tells.
    pub(crate) fn known_count(&self) -> Option<u64> {
        match &self.root {
            None | Some(Node::Nothing) => Some(0),
            Some(Node::All { .. }) => Some(self.reader.rows.into()),
            Some(Node::Term { term, .. }) => {
                Some(self.terms[*term].list.as_ref().map_or(0, |list| list.found.df.into()))
            }
            Some(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct PreparedTerm {
    pub(crate) field: usize,
    pub(crate) term: Vec<u8>,
    /// `None` if no document holds it.
    pub(crate) list: Option<Listed>,
}

#[derive(Debug)]
pub(crate) struct PreparedExpansion {
    pub(crate) field: usize,
    pub(crate) lists: Vec<Listed>,
}

/// A list that has been found, and its bytes if the dictionary held them.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) found: Found,
    pub(crate) inline: Bytes,
}

impl Listed {
    pub(crate) fn new(found: Found, block: &Bytes) -> Self {
        let inline = match &found.place {
            crate::dict::block::Place::Inline(range) => block.slice(range.clone()),
            crate::dict::block::Place::Listed { .. } => Bytes::new(),
        };
        Self { found, inline }
    }
}

impl Prepared {
    /// In how many documents of this file each term of the query occurs.
    pub fn term_stats(&self) -> TermStats {
        let mut stats = TermStats::default();
        for (i, PreparedTerm { field, term, list }) in self.inner.terms.iter().enumerate() {
            let again = |other: &PreparedTerm| other.field == *field && other.term == *term;
            if stats.df(&self.inner.reader.fields[*field].layout.column, term).is_some()
                && self.inner.terms[..i].iter().any(again)
            {
                continue;
            }
            let df = list.as_ref().map_or(0, |list| list.found.df.into());
            stats.add(&self.inner.reader.fields[*field].layout.column, term, df);
        }
        stats
    }
}

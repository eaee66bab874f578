//! A query after analysis: the same tree over terms of one section.

use super::pattern::{Fuzzy, Pattern};
use super::{Boolean, Operator, Query};
use crate::analysis::{Analyzer, Token};
use crate::reader::Field;
use crate::{FtsError, reader};

/// How deep a query may nest.
const DEPTH_MAX: usize = 64;

/// A condition over the plan's terms, named by their index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Nothing,
    All {
        boost: f32,
    },
    Term {
        term: usize,
        boost: f32,
    },
    /// Terms and their places relative to the first.
    Phrase {
        terms: Vec<(usize, u32)>,
        slop: u32,
        boost: f32,
    },
    /// Any term of an expansion.
    Expansion {
        expansion: usize,
        boost: f32,
    },
    Bool {
        must: Vec<Node>,
        should: Vec<Node>,
        must_not: Vec<Node>,
        filter: Vec<Node>,
        enough: u32,
    },
}

/// A term to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanTerm {
    pub(crate) field: usize,
    pub(crate) term: Vec<u8>,
}

/// A set of terms to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanExpansion {
    pub(crate) field: usize,
    pub(crate) pattern: Pattern,
    /// As it was written, for errors.
    pub(crate) text: String,
}

/// What a query needs of the dictionary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) terms: Vec<PlanTerm>,
    pub(crate) expansions: Vec<PlanExpansion>,
}

/// Plans `query`; the root is `None` if nothing of it is left.
pub(crate) fn plan(query: &Query, fields: &[Field]) -> Result<(Plan, Option<Node>), FtsError> {
    let mut planner = Planner { fields, plan: Plan::default() };
    let root = planner.node(query, 1.0, 0)?;
    Ok((planner.plan, root))
}

struct Planner<'a> {
    fields: &'a [Field],
    plan: Plan,
}

impl Planner<'_> {
    /// The node of `query`, `None` if it has no terms.
    fn node(&mut self, query: &Query, boost: f32, depth: usize) -> Result<Option<Node>, FtsError> {
        if depth > DEPTH_MAX {
            return Err(FtsError::Invalid(format!("a query nests at most {DEPTH_MAX} deep")));
        }
        Ok(match query {
            Query::All => Some(Node::All { boost }),
            Query::Nothing => Some(Node::Nothing),
            Query::Boost { query, boost: factor } => {
                let product = boost * factor;
                if !product.is_finite() || product < 0.0 {
                    return Err(FtsError::Invalid(format!(
                        "a boost of {factor}: it must be finite and not negative"
                    )));
                }
                self.node(query, product, depth + 1)?
            }
            Query::Term { field, text } => {
                let (field, tokens) = self.analyze(field, text)?;
                match tokens.len() {
                    0 | 1 => {
                        tokens.into_iter().next().map(|token| self.leaf(field, token.term, boost))
                    }
                    _ if self.fields[field].layout.positions => {
                        Some(self.phrase(field, tokens, 0, boost))
                    }
                    _ => Some(self.words(field, tokens, Operator::And, boost)),
                }
            }
            Query::Match { field, text, operator } => {
                let (field, tokens) = self.analyze(field, text)?;
                if tokens.is_empty() {
                    None
                } else {
                    Some(self.words(field, tokens, *operator, boost))
                }
            }
            Query::Phrase { field, text, slop } => {
                let (field, mut tokens) = self.analyze(field, text)?;
                match tokens.len() {
                    0 => None,
                    1 => Some(self.leaf(field, tokens.remove(0).term, boost)),
                    _ if !self.fields[field].layout.positions => {
                        return Err(FtsError::NoPositions {
                            field: self.fields[field].layout.column.clone(),
                        });
                    }
                    _ => Some(self.phrase(field, tokens, *slop, boost)),
                }
            }
            Query::Prefix { field, text } => {
                let field = reader::find_field(self.fields, field)?;
                let pattern = Pattern::Prefix(self.fields[field].analyzer.fold(text).into_bytes());
                let text = format!("{text}*");
                Some(self.expansion(PlanExpansion { field, pattern, text }, boost))
            }
            Query::Wildcard { field, pattern: text } => {
                let field = reader::find_field(self.fields, field)?;
                let pattern = Pattern::wildcard(&self.fields[field].analyzer.fold(text));
                Some(self.expansion(PlanExpansion { field, pattern, text: text.clone() }, boost))
            }
            Query::Fuzzy { field, text, distance, prefix, transpositions } => {
                let (field, mut tokens) = self.analyze(field, text)?;
                let word = match tokens.len() {
                    1 => tokens.remove(0).term,
                    _ => self.fields[field].analyzer.fold(text),
                };
                let word: Vec<char> = word.chars().collect();
                let distance = usize::from(distance.unwrap_or(match word.len() {
                    0..=2 => 0,
                    3..=5 => 1,
                    _ => 2,
                }));
                if distance > 2 {
                    return Err(FtsError::Invalid(format!(
                        "{text:?} within {distance} edits: at most 2 are allowed"
                    )));
                }
                let fuzzy = Fuzzy {
                    word,
                    distance,
                    prefix: *prefix as usize,
                    transpositions: *transpositions,
                };
                let pattern = Pattern::Fuzzy(fuzzy);
                Some(
                    self.expansion(
                        PlanExpansion { field, pattern, text: format!("{text}~") },
                        boost,
                    ),
                )
            }
            Query::Boolean(boolean) => self.boolean(boolean, boost, depth)?,
        })
    }

    fn analyze(&self, field: &str, text: &str) -> Result<(usize, Vec<Token>), FtsError> {
        let field = reader::find_field(self.fields, field)?;
        let analyzer: &Analyzer = &self.fields[field].analyzer;
        Ok((field, analyzer.analyze_query(text)))
    }

    fn term(&mut self, field: usize, term: String) -> usize {
        let term = PlanTerm { field, term: term.into_bytes() };
        // Few terms are the rule; a query of thousands is found by its neighbours' order instead.
        let known = if self.plan.terms.len() <= 64 {
            self.plan.terms.iter().position(|other| *other == term)
        } else {
            None
        };
        known.unwrap_or_else(|| {
            self.plan.terms.push(term);
            self.plan.terms.len() - 1
        })
    }

    fn leaf(&mut self, field: usize, term: String, boost: f32) -> Node {
        Node::Term { term: self.term(field, term), boost }
    }

    fn words(&mut self, field: usize, tokens: Vec<Token>, operator: Operator, boost: f32) -> Node {
        let mut leaves: Vec<Node> = Vec::with_capacity(tokens.len());
        for token in tokens {
            leaves.push(self.leaf(field, token.term, boost));
        }
        match (leaves.len(), operator) {
            (1, _) => leaves.remove(0),
            (_, Operator::Or) => bool_node(vec![], leaves, 1),
            (_, Operator::And) => bool_node(leaves, vec![], 0),
        }
    }

    fn phrase(&mut self, field: usize, tokens: Vec<Token>, slop: u32, boost: f32) -> Node {
        let first = tokens[0].position;
        let terms = tokens
            .into_iter()
            .map(|token| (self.term(field, token.term), token.position - first))
            .collect();
        Node::Phrase { terms, slop, boost }
    }

    fn expansion(&mut self, expansion: PlanExpansion, boost: f32) -> Node {
        self.plan.expansions.push(expansion);
        Node::Expansion { expansion: self.plan.expansions.len() - 1, boost }
    }

    fn boolean(
        &mut self,
        boolean: &Boolean,
        boost: f32,
        depth: usize,
    ) -> Result<Option<Node>, FtsError> {
        let mut nodes = |queries: &[Query]| -> Result<Vec<Node>, FtsError> {
            queries
                .iter()
                .filter_map(|query| self.node(query, boost, depth + 1).transpose())
                .collect()
        };
        let (must, should) = (nodes(&boolean.must)?, nodes(&boolean.should)?);
        let (must_not, filter) = (nodes(&boolean.must_not)?, nodes(&boolean.filter)?);
        let needs = !boolean.must.is_empty() || !boolean.filter.is_empty();
        if must.is_empty() && should.is_empty() && filter.is_empty() && must_not.is_empty() {
            return Ok(None);
        }
        if must.is_empty() && should.is_empty() && filter.is_empty() {
            let asks = needs || !boolean.should.is_empty();
            if asks {
                // What was asked for has no terms, only what was excluded does.
                return Ok(None);
            }
            if boolean.minimum_should_match.is_some_and(|enough| enough > 0) {
                return Ok(Some(Node::Nothing));
            }
            return Ok(Some(Node::Bool {
                must,
                should,
                must_not,
                filter: vec![Node::All { boost: 0.0 }],
                enough: 0,
            }));
        }
        let by_default = u32::from(must.is_empty() && filter.is_empty());
        // A clause without terms cannot be asked for.
        let left_out = (boolean.should.len() - should.len()) as u32;
        let enough = match boolean.minimum_should_match {
            None => by_default,
            Some(enough) => enough.saturating_sub(left_out).max(by_default),
        };
        Ok(Some(Node::Bool { must, should, must_not, filter, enough }))
    }
}

fn bool_node(must: Vec<Node>, should: Vec<Node>, enough: u32) -> Node {
    Node::Bool { must, should, must_not: vec![], filter: vec![], enough }
}

//! A query after analysis: the same tree over terms of one section.

use super::pattern::Pattern;
use super::{Boolean, Operator, Query, leaf};
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
    /// One word in several fields, as if these were one: its term in each, and what the field counts.
    Combined {
        terms: Vec<(usize, f32)>,
        boost: f32,
    },
    /// The best of several, plus a part of the others.
    DisMax {
        nodes: Vec<Node>,
        tie_breaker: f32,
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
                let pattern = leaf::prefix(&self.fields[field].analyzer, text);
                let text = format!("{text}*");
                Some(self.expansion(PlanExpansion { field, pattern, text }, boost))
            }
            Query::Wildcard { field, pattern: text } => {
                let field = reader::find_field(self.fields, field)?;
                let pattern = leaf::wildcard(&self.fields[field].analyzer, text);
                Some(self.expansion(PlanExpansion { field, pattern, text: text.clone() }, boost))
            }
            Query::Fuzzy { field, text, distance, prefix, transpositions } => {
                let field = reader::find_field(self.fields, field)?;
                let analyzer = &self.fields[field].analyzer;
                let pattern = leaf::fuzzy(analyzer, text, *distance, *prefix, *transpositions)?;
                let text = format!("{text}~");
                Some(self.expansion(PlanExpansion { field, pattern, text }, boost))
            }
            Query::Regex { field, expression } => {
                let field = reader::find_field(self.fields, field)?;
                let pattern = leaf::regex(&self.fields[field].analyzer, expression)?;
                let text = format!("/{expression}/");
                Some(self.expansion(PlanExpansion { field, pattern, text }, boost))
            }
            Query::Range { field, from, to } => {
                let field = reader::find_field(self.fields, field)?;
                let pattern = leaf::range(&self.fields[field].analyzer, from, to);
                let text = leaf::show_range(from, to);
                Some(self.expansion(PlanExpansion { field, pattern, text }, boost))
            }
            Query::Combined { fields, text, operator } => {
                self.combined(fields, text, *operator, boost)?
            }
            Query::DisMax { queries, tie_breaker } => {
                if !(0.0..=1.0).contains(tie_breaker) {
                    return Err(FtsError::Invalid(format!(
                        "a tie breaker of {tie_breaker}: it must be from 0 to 1"
                    )));
                }
                let mut nodes = Vec::with_capacity(queries.len());
                for query in queries {
                    nodes.extend(self.node(query, boost, depth + 1)?);
                }
                match nodes.len() {
                    0 => None,
                    1 => nodes.pop(),
                    _ => Some(Node::DisMax { nodes, tie_breaker: *tie_breaker }),
                }
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

    /// The words of `text` over `fields` taken as one.
    fn combined(
        &mut self,
        fields: &[(String, f32)],
        text: &str,
        operator: Operator,
        boost: f32,
    ) -> Result<Option<Node>, FtsError> {
        let mut cut: Vec<(usize, f32, Vec<Token>)> = Vec::with_capacity(fields.len());
        for (name, weight) in fields {
            if !weight.is_finite() || *weight <= 0.0 {
                return Err(FtsError::Invalid(format!(
                    "a weight of {weight} for field {name:?}: it must be finite and positive"
                )));
            }
            let (field, tokens) = self.analyze(name, text)?;
            if cut.iter().any(|&(other, ..)| other == field) {
                return Err(FtsError::Invalid(format!("field {name:?} is combined with itself")));
            }
            cut.push((field, *weight, tokens));
        }
        let Some(words) = cut.first().map(|(.., tokens)| tokens.len()) else { return Ok(None) };
        if let Some(at) = cut.iter().position(|(.., tokens)| tokens.len() != words) {
            let (first, other) = (&fields[0].0, &fields[at].0);
            return Err(FtsError::Invalid(format!(
                "fields {first:?} and {other:?} cut {text:?} in different words; combine fields of one analyzer"
            )));
        }
        let mut nodes = Vec::with_capacity(words);
        for word in 0..words {
            let mut terms = Vec::with_capacity(cut.len());
            for (field, weight, tokens) in &mut cut {
                let term = std::mem::take(&mut tokens[word].term);
                terms.push((self.term(*field, term), *weight));
            }
            nodes.push(Node::Combined { terms, boost });
        }
        Ok(match (nodes.len(), operator) {
            (0 | 1, _) => nodes.pop(),
            (_, Operator::Or) => Some(bool_node(vec![], nodes, 1)),
            (_, Operator::And) => Some(bool_node(nodes, vec![], 0)),
        })
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

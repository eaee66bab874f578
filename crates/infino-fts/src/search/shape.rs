//! Which way a query is answered, by its shape.

use infino_format::FormatError;

use super::conjunction::{Checks, Conjunction};
use super::load::Load;
use super::term::TermOp;
use super::weights::Weights;
use crate::query::plan::Node;

/// A query of terms alone, opened.
pub(crate) enum Shape<'a> {
    /// Nothing can match.
    Nothing,
    /// Any of these terms.
    Any(Vec<TermOp<'a>>, Checks<'a>),
    /// All of these terms.
    All(Conjunction<'a>),
}

impl<'a> Shape<'a> {
    /// The shape of `root`, if it is one that has a way of its own; scores are wanted if there are `weights`.
    pub(crate) fn of(
        root: &Node,
        load: &'a Load,
        weights: Option<&Weights>,
    ) -> Result<Option<Self>, FormatError> {
        let none: &[Node] = &[];
        let alone = std::slice::from_ref(root);
        let (must, should, must_not, filter, enough) = match root {
            Node::Term { .. } => (alone, none, none, none, 0),
            Node::Bool { must, should, must_not, filter, enough } => {
                (&must[..], &should[..], &must_not[..], &filter[..], *enough)
            }
            _ => return Ok(None),
        };
        let mut all = must.iter().chain(should).chain(must_not).chain(filter);
        let any = must.is_empty() && enough == 1;
        let conjunctive = !must.is_empty() && enough == 0;
        if !all.all(|node| matches!(node, Node::Term { .. })) || !(any || conjunctive) {
            return Ok(None);
        }
        let open = |node: &Node,
                    weights: Option<&Weights>|
         -> Result<Option<TermOp<'a>>, FormatError> {
            let &Node::Term { term, boost } = node else { return Ok(None) };
            let field = load.field_of(term);
            let scorer = weights.map(|weights| weights.scorer(field, [term].into_iter(), boost));
            Ok(load.cursor(term)?.map(|cursor| TermOp::new(load, field, cursor, scorer)))
        };
        let mut needed = Vec::new();
        for node in must {
            let Some(list) = open(node, weights)? else { return Ok(Some(Self::Nothing)) };
            needed.push(list);
        }
        let mut checks = Checks::default();
        for node in filter {
            let Some(list) = open(node, None)? else { return Ok(Some(Self::Nothing)) };
            checks.required.push(list);
        }
        for node in must_not {
            checks.excluded.extend(open(node, None)?);
        }
        let mut wanted = Vec::new();
        for node in should {
            wanted.extend(open(node, weights)?);
        }
        if any && wanted.is_empty() {
            return Ok(Some(Self::Nothing));
        }
        // What is worth nothing has no bounds to go by.
        let worth =
            |list: &TermOp<'_>| weights.is_none() || list.weight() > f32::MIN_POSITIVE * 1e6;
        if !needed.iter().chain(&wanted).all(worth) {
            return Ok(None);
        }
        for lists in [&mut needed, &mut wanted] {
            lists.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        }
        Ok(Some(match any {
            true => Self::Any(wanted, checks),
            false => Self::All(Conjunction { must: needed, should: wanted, checks }),
        }))
    }
}

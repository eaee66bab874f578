//! Search functions as relations, with named arguments and parameters.
//!
//! A call becomes a [`SearchNode`] whose arguments may still be parameters; [`ResolveSearch`] turns it into a scan of a
//! [`SearchRelation`] once they are known.

mod arguments;
mod node;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::sqlparser::ast::TableFactor;
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNode};

use super::provider::PinnedTable;
use super::search_exec::output_schema;
use super::source::external;
use crate::Error;
use arguments::Arguments;
pub(super) use node::ResolveSearch;
use node::SearchNode;

/// Whether a node of a plan is a call of a search function.
pub(super) fn is_search(node: &dyn UserDefinedLogicalNode) -> bool {
    let any: &dyn std::any::Any = node.as_any();
    any.is::<SearchNode>()
}

/// A search function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Function {
    Bm25,
    Prefix,
    Vector,
    Hybrid,
    Tokens,
    Exact,
}

impl Function {
    const ALL: [Self; 6] =
        [Self::Bm25, Self::Prefix, Self::Vector, Self::Hybrid, Self::Tokens, Self::Exact];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25_search",
            Self::Prefix => "bm25_search_prefix",
            Self::Vector => "vector_search",
            Self::Hybrid => "hybrid_search",
            Self::Tokens => "token_match",
            Self::Exact => "exact_match",
        }
    }

    fn value_name(self) -> Option<&'static str> {
        match self {
            Self::Bm25 | Self::Prefix | Self::Hybrid => Some("score"),
            Self::Vector => Some("distance"),
            Self::Tokens | Self::Exact => None,
        }
    }

    /// Arguments that name columns, in their positions behind the table.
    fn columns(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Hybrid => &[("column", 1), ("vector_column", 3)],
            _ => &[("column", 1)],
        }
    }

    /// The other arguments: name, position behind the table, and what it is.
    fn values(self) -> &'static [(&'static str, Option<usize>, Kind)] {
        match self {
            Self::Bm25 => &[
                ("query", Some(2), Kind::Text),
                ("k", Some(3), Kind::Count),
                FILTER,
                MODE,
                RERANK,
                DEPTH,
            ],
            Self::Prefix => &[
                ("query", Some(2), Kind::Text),
                ("k", Some(3), Kind::Count),
                FILTER,
                RERANK,
                DEPTH,
            ],
            Self::Vector => &[
                ("query", Some(2), Kind::Vector),
                ("k", Some(3), Kind::Count),
                FILTER,
                ("nprobe", None, Kind::Count),
                ("target_recall", None, Kind::Number),
                ("exact", None, Kind::Flag),
            ],
            Self::Hybrid => &[
                ("query", Some(2), Kind::Text),
                ("vector", Some(4), Kind::Vector),
                ("k", Some(5), Kind::Count),
                FILTER,
                MODE,
                ("fusion", None, Kind::Text),
                ("rrf_k", None, Kind::Number),
                ("text_weight", None, Kind::Number),
                ("vector_weight", None, Kind::Number),
                ("depth", None, Kind::Count),
                RERANK,
                DEPTH,
            ],
            Self::Tokens => {
                &[("tokens", Some(2), Kind::Text), ("limit", Some(3), Kind::Count), FILTER]
            }
            Self::Exact => {
                &[("value", Some(2), Kind::Text), ("limit", Some(3), Kind::Count), FILTER]
            }
        }
    }
}

const FILTER: (&str, Option<usize>, Kind) = ("filter", None, Kind::Text);
const MODE: (&str, Option<usize>, Kind) = ("mode", None, Kind::Text);
const RERANK: (&str, Option<usize>, Kind) = ("rerank", None, Kind::Text);
const DEPTH: (&str, Option<usize>, Kind) = ("rerank_depth", None, Kind::Count);

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Count,
    Number,
    Flag,
    Vector,
}

impl Kind {
    fn data_type(self, dim: usize) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Count => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Flag => DataType::Boolean,
            Self::Vector => {
                let item = Field::new_list_field(DataType::Float32, true);
                DataType::FixedSizeList(Arc::new(item), i32::try_from(dim).unwrap_or(i32::MAX))
            }
        }
    }
}

/// A table that a search may name, or why it could not be opened.
pub(super) type Searched = std::result::Result<Arc<PinnedTable>, Error>;

/// Plans calls of the search functions over the tables of one statement.
#[derive(Debug)]
pub(super) struct SearchPlanner {
    /// Every table whose name occurs in the statement.
    pub(super) tables: HashMap<String, Searched>,
    /// The names of all tables, for an error that helps, and their folders.
    pub(super) names: Arc<BTreeMap<String, String>>,
}

impl RelationPlanner for SearchPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, args: Some(args), .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let called = name.to_string().to_lowercase();
        let Some(function) = Function::ALL.into_iter().find(|function| function.name() == called)
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let mut arguments = Arguments::parse(function, &args.args)?;
        let table = self.table(&arguments.name("table", 0)?)?;
        let columns = function.columns().iter().map(|&(name, at)| arguments.name(name, at));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let dim = arguments::dimension(function, &table, &columns)?;
        let mut values = Vec::new();
        for &(name, at, kind) in function.values() {
            values.push(arguments.value(context, name, at, &kind.data_type(dim))?);
        }
        arguments.finish()?;
        let schema = output_schema(&table, function.value_name());
        let schema =
            DFSchema::try_from_qualified_schema(TableReference::bare(function.name()), &schema)?;
        let node = SearchNode::new(function, table, columns, values, dim, Arc::new(schema));
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

impl SearchPlanner {
    fn table(&self, name: &str) -> Result<Arc<PinnedTable>> {
        match self.tables.get(name) {
            Some(Ok(table)) => Ok(table.clone()),
            Some(Err(error)) => Err(external(error.share())),
            None => Err(external(crate::connection::not_found(name, self.names.keys()))),
        }
    }
}

/// An error of a call.
fn invalid(
    function: Function,
    problem: impl std::fmt::Display,
) -> datafusion::error::DataFusionError {
    external(Error::invalid(format!("{}: {problem}", function.name())))
}

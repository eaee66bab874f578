//! A call on its way through the planner, and the rule that ends it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    Cast, Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use infino_table::query::FusionMethod;
use infino_table::{Fusion, RowFilter};

use super::{Function, PinnedTable, invalid};
use crate::TextMode;
use crate::rerank::Rerank;
use crate::search::{Ask, Question, VectorOptions};
use crate::sql::search_exec::{SearchRelation, SearchSpec};
use crate::sql::source::external;

/// Rows that a ranked search gives unless `k` says otherwise.
const K_DEFAULT: usize = 10;

/// A call of a search function.
#[derive(Debug, Clone)]
pub(super) struct SearchNode {
    function: Function,
    table: Arc<PinnedTable>,
    columns: Vec<String>,
    /// One for each of [`Function::values`], if it was given.
    values: Vec<Option<Expr>>,
    dim: usize,
    schema: DFSchemaRef,
}

impl SearchNode {
    pub(super) fn new(
        function: Function,
        table: Arc<PinnedTable>,
        columns: Vec<String>,
        values: Vec<Option<Expr>>,
        dim: usize,
        schema: DFSchemaRef,
    ) -> Self {
        Self { function, table, columns, values, dim, schema }
    }

    /// What tells calls apart.
    fn key(&self) -> (Function, &str, &[String], &[Option<Expr>]) {
        (self.function, self.table.table.root(), &self.columns, &self.values)
    }
}

impl PartialEq for SearchNode {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for SearchNode {}

impl Hash for SearchNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for SearchNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.key().partial_cmp(&other.key())
    }
}

impl UserDefinedLogicalNodeCore for SearchNode {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.values.iter().flatten().cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.function.name(), self.columns.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let values =
            self.values.iter().map(|value| value.as_ref().and_then(|_| exprs.next())).collect();
        Ok(Self { values, ..self.clone() })
    }
}

/// Turns calls whose arguments are known into scans.
#[derive(Debug)]
pub(in crate::sql) struct ResolveSearch;

impl AnalyzerRule for ResolveSearch {
    fn name(&self) -> &str {
        "resolve_search"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let context =
            SimplifyContext::builder().with_config_options(Arc::new(config.clone())).build();
        let simplifier = ExprSimplifier::new(context);
        let resolve = |plan: LogicalPlan| {
            let LogicalPlan::Extension(Extension { node }) = &plan else {
                return Ok(Transformed::no(plan));
            };
            let any: &dyn std::any::Any = node.as_any();
            let Some(call) = any.downcast_ref::<SearchNode>() else {
                return Ok(Transformed::no(plan));
            };
            let relation = SearchRelation::new(call.resolve(&simplifier)?);
            let name = TableReference::bare(call.function.name());
            let scan =
                LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(relation)), None)?;
            Ok(Transformed::yes(scan.build()?))
        };
        Ok(plan.transform_up_with_subqueries(resolve)?.data)
    }
}

impl SearchNode {
    fn resolve(&self, simplifier: &ExprSimplifier) -> Result<SearchSpec> {
        let mut given = Given { node: self, simplifier };
        let column = || self.columns[0].clone();
        let question = match self.function {
            Function::Bm25 => Question::Bm25 {
                column: column(),
                query: given.required_text("query")?,
                mode: given.mode()?,
            },
            Function::Prefix => Question::Bm25 {
                column: column(),
                query: given.required_text("query")?,
                mode: TextMode::Prefix,
            },
            Function::Vector => {
                Question::Vector { column: column(), vector: given.vector("query")? }
            }
            Function::Hybrid => Question::Hybrid {
                text_column: column(),
                query: given.required_text("query")?,
                mode: given.mode()?,
                vector_column: self.columns[1].clone(),
                vector: given.vector("vector")?,
                fusion: given.fusion()?,
            },
            Function::Tokens => {
                Question::Tokens { column: column(), tokens: given.required_text("tokens")? }
            }
            Function::Exact => {
                Question::Exact { column: column(), value: given.required_text("value")? }
            }
        };
        let k = match self.function {
            Function::Tokens | Function::Exact => given.count("limit")?.unwrap_or(usize::MAX),
            _ => given.count("k")?.unwrap_or(K_DEFAULT),
        };
        let mut options = VectorOptions::default();
        if self.function == Function::Vector {
            let nprobe = given.count("nprobe")?;
            options.nprobe = nprobe.map(|nprobe| u32::try_from(nprobe).unwrap_or(u32::MAX));
            options.target_recall = given.number("target_recall")?.map(|recall| recall as f32);
            options.exact = given.flag("exact")?;
        }
        let filter = match given.text("filter")? {
            None => None,
            Some(sql) => {
                let filter = self.table.filter(&sql.into()).map_err(external)?;
                Some(Arc::new(filter) as Arc<dyn RowFilter>)
            }
        };
        let rerank = match given.text("rerank")? {
            None => None,
            Some(name) => {
                let by = self.table.reranker(&name).map_err(external)?;
                let depth = given.count("rerank_depth")?.unwrap_or(Rerank::DEPTH);
                Some(Rerank { by, depth })
            }
        };
        let ask = Ask { question, k, options, filter, rerank };
        Ok(SearchSpec { table: self.table.as_ref().clone(), ask })
    }
}

/// The arguments of a call as values.
struct Given<'a> {
    node: &'a SearchNode,
    simplifier: &'a ExprSimplifier,
}

impl Given<'_> {
    /// An argument as a value of its type; `None` if it was not given or is NULL.
    fn scalar(&mut self, name: &str) -> Result<Option<ScalarValue>> {
        let function = self.node.function;
        let Some(at) = function.values().iter().position(|value| value.0 == name) else {
            return Ok(None);
        };
        let Some(expr) = self.node.values[at].clone() else { return Ok(None) };
        let data_type = function.values()[at].2.data_type(self.node.dim);
        let fits = |error| invalid(function, format!("{name}: {error}"));
        let cast = Expr::Cast(Cast::new(Box::new(expr), data_type));
        let schema = DFSchema::empty();
        let cast = self.simplifier.coerce(cast, &schema).map_err(fits)?;
        match self.simplifier.simplify(cast).map_err(fits)? {
            Expr::Literal(value, _) if value.is_null() => Ok(None),
            Expr::Literal(value, _) => Ok(Some(value)),
            other => {
                let problem =
                    format!("{name} must be a constant or a bound parameter, not {other}");
                Err(invalid(function, problem))
            }
        }
    }

    fn missing(&self, name: &str) -> datafusion::error::DataFusionError {
        invalid(self.node.function, format!("{name} is missing or NULL"))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        Ok(self.scalar(name)?.and_then(|value| value.try_as_str().flatten().map(str::to_owned)))
    }

    fn required_text(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    fn count(&mut self, name: &str) -> Result<Option<usize>> {
        match self.scalar(name)? {
            Some(ScalarValue::Int64(Some(count))) => match usize::try_from(count) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(invalid(
                    self.node.function,
                    format!("{name} is {count}, it must not be negative"),
                )),
            },
            _ => Ok(None),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>> {
        Ok(match self.scalar(name)? {
            Some(ScalarValue::Float64(number)) => number,
            _ => None,
        })
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        Ok(matches!(self.scalar(name)?, Some(ScalarValue::Boolean(Some(true)))))
    }

    fn mode(&mut self) -> Result<TextMode> {
        match self.text("mode")? {
            None => Ok(TextMode::default()),
            Some(name) => TextMode::named(&name)
                .map_err(|error| invalid(self.node.function, format!("mode: {error}"))),
        }
    }

    fn fusion(&mut self) -> Result<Fusion> {
        let mut fusion = Fusion::default();
        match self.text("fusion")?.as_deref() {
            None | Some("rrf") => {}
            Some("linear") => fusion.method = FusionMethod::Linear,
            Some(other) => {
                let problem = format!("no fusion is called {other:?}; known are rrf, linear");
                return Err(invalid(self.node.function, problem));
            }
        }
        let k = self.number("rrf_k")?;
        if let (FusionMethod::ReciprocalRank { k: constant }, Some(k)) = (&mut fusion.method, k) {
            *constant = k as f32;
        }
        for (name, weight) in
            [("text_weight", &mut fusion.text_weight), ("vector_weight", &mut fusion.vector_weight)]
        {
            if let Some(given) = self.number(name)? {
                *weight = given as f32;
            }
        }
        fusion.depth = self.count("depth")?.unwrap_or(fusion.depth);
        Ok(fusion)
    }

    fn vector(&mut self, name: &str) -> Result<Arc<[f32]>> {
        let Some(ScalarValue::FixedSizeList(list)) = self.scalar(name)? else {
            return Err(self.missing(name));
        };
        let values = list.value(0);
        if values.null_count() > 0 {
            return Err(invalid(self.node.function, format!("{name} holds a NULL")));
        }
        Ok(values.as_primitive::<Float32Type>().values().as_ref().into())
    }
}

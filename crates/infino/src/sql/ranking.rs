//! Statements that rank a table's rows are answered by its indexes.
//!
//! `ORDER BY distance(embedding, $1) LIMIT k` and `ORDER BY match_score(body, $1) DESC LIMIT k` become the index's best k of
//! the rows that pass WHERE; the sort stays above and sorts those. `match_score` anywhere else becomes a column of a search
//! that scores every row that passes.

use std::sync::Arc;

use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, Projection, Sort, SubqueryAlias, TableScan, TableScanBuilder,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use infino_table::{RowFilter, query};

use super::expressions::{DISTANCE, MATCH_SCORE, literal_mode, literal_text, literal_vector};
use super::provider::PinnedTable;
use super::registered::LiveTable;
use super::search_exec::{SearchRelation, SearchSpec};
use super::source::external;
use crate::search::{Ask, Question, VectorOptions};

/// The column that a search adds to the table's own. No name of a user begins so.
const VALUE: &str = "inf.value";

/// What the rule is called.
pub(super) const NAME: &str = "rank_by_index";

/// Puts a search where a table is scanned to be ranked.
#[derive(Debug)]
pub(super) struct RankByIndex;

impl OptimizerRule for RankByIndex {
    fn name(&self) -> &str {
        NAME
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if let Some(ranked) = self.best_of(&plan)? {
            return Ok(Transformed::yes(ranked));
        }
        match self.scored(&plan)? {
            Some(scored) => Ok(Transformed::yes(scored)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

impl RankByIndex {
    /// A sort of which only the first are wanted, by a value that an index ranks by.
    fn best_of(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let LogicalPlan::Sort(Sort { expr, input, fetch: Some(k) }) = plan else { return Ok(None) };
        let [key] = expr.as_slice() else { return Ok(None) };
        let Some(chain) = Chain::below(input)? else { return Ok(None) };
        let target = chain.resolve(key.expr.clone().unalias_nested().data, 0)?;
        let target = target.unalias_nested().data;
        let Some(question) = chain.question(&target) else { return Ok(None) };
        let wanted = match question {
            Question::Vector { .. } => key.asc && !key.nulls_first,
            _ => !key.asc,
        };
        let filters = chain.filters()?;
        if !wanted || filters.iter().any(|filter| names(filter, MATCH_SCORE)) {
            return Ok(None);
        }
        self.replace(plan, &chain, &target, question, *k, filters)
    }

    /// A step that asks for scores.
    fn scored(&self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        let [input] = plan.inputs()[..] else { return Ok(None) };
        let mut found = None;
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                if found.is_none() && is_call(expr, MATCH_SCORE) {
                    found = Some(expr.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        let Some(found) = found else { return Ok(None) };
        let Some(chain) = Chain::below(input)? else { return Ok(None) };
        let target = chain.resolve(found, 0)?;
        let Some(question) = chain.question(&target) else { return Ok(None) };
        let filters = chain.filters()?;
        let before = filters.into_iter().filter(|filter| !names(filter, MATCH_SCORE)).collect();
        self.replace(plan, &chain, &target, question, usize::MAX, before)
    }

    fn replace(
        &self,
        plan: &LogicalPlan,
        chain: &Chain<'_>,
        target: &Expr,
        question: Question,
        k: usize,
        filters: Vec<Expr>,
    ) -> Result<Option<LogicalPlan>> {
        let filter = match conjunction(filters) {
            None => None,
            Some(filter) if filter.is_volatile() || has_subquery(&filter) => return Ok(None),
            Some(filter) => {
                let filter = chain.table.filter(&filter.into()).map_err(external)?;
                Some(Arc::new(filter) as Arc<dyn RowFilter>)
            }
        };
        let options = VectorOptions::default();
        let ask = Ask { question, k, options, filter, rerank: None };
        let spec = SearchSpec { table: chain.table.clone(), ask };
        chain.rebuilt(plan, target, spec).map(Some)
    }
}

/// The steps from an input down to the scan of a table: projections, filters, aliases.
struct Chain<'a> {
    /// From the top.
    steps: Vec<&'a LogicalPlan>,
    scan: &'a TableScan,
    table: PinnedTable,
}

impl<'a> Chain<'a> {
    fn below(mut plan: &'a LogicalPlan) -> Result<Option<Self>> {
        let mut steps = Vec::new();
        loop {
            match plan {
                LogicalPlan::Projection(Projection { input, .. })
                | LogicalPlan::Filter(Filter { input, .. })
                | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => {
                    steps.push(plan);
                    plan = input;
                }
                LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
                    let Ok(provider) = source_as_provider(&scan.source) else { return Ok(None) };
                    let table = match provider.downcast_ref::<LiveTable>() {
                        Some(live) => Some(live.seen()?),
                        None => provider.downcast_ref::<PinnedTable>().cloned(),
                    };
                    return Ok(table.map(|table| Self { steps, scan, table }));
                }
                _ => return Ok(None),
            }
        }
    }

    /// `expr`, which stands above step `from`, in terms of the scan's columns.
    fn resolve(&self, mut expr: Expr, from: usize) -> Result<Expr> {
        for step in &self.steps[from..] {
            expr = match step {
                LogicalPlan::Projection(projection) => {
                    through(expr, |at| projection.expr[at].clone().unalias(), step)?
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    let below = alias.input.schema();
                    through(expr, |at| Expr::Column(Column::from(below.qualified_field(at))), step)?
                }
                _ => expr,
            };
        }
        Ok(expr)
    }

    /// Every condition between here and the table, in terms of the scan's columns.
    fn filters(&self) -> Result<Vec<Expr>> {
        let mut filters = self.scan.filters.clone();
        for (at, step) in self.steps.iter().enumerate() {
            if let LogicalPlan::Filter(filter) = step {
                filters.push(self.resolve(filter.predicate.clone(), at)?);
            }
        }
        Ok(filters)
    }

    /// The search that gives the value `target`, if an index has it.
    fn question(&self, target: &Expr) -> Option<Question> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = target else { return None };
        let Expr::Column(column) = args.first()? else { return None };
        let name = &column.name;
        let snapshot = &self.table.snapshot;
        match func.name() {
            DISTANCE => {
                let (index, _) = query::vector::index(snapshot, name).ok()?;
                let metric = args.get(2).map(|metric| literal_text(metric).unwrap_or_default());
                let named = super::annotate::metric_name(index.metric);
                let vector = literal_vector(args.get(1)?)?;
                let fits = metric.is_none_or(|metric| metric == named)
                    && infino_vector::check_vector(index.metric, index.dim as usize, &vector)
                        .is_ok();
                fits.then(|| Question::Vector { column: name.clone(), vector: vector.into() })
            }
            MATCH_SCORE => Some(Question::Bm25 {
                column: query::text::index(snapshot, name).ok()?.column.clone(),
                query: literal_text(args.get(1)?)?.to_owned(),
                mode: literal_mode(args.get(2))?,
            }),
            _ => None,
        }
    }

    /// `top` and the steps below it over the search, with its value in the place of `target`.
    fn rebuilt(&self, top: &LogicalPlan, target: &Expr, spec: SearchSpec) -> Result<LogicalPlan> {
        let every = spec.ask.k == usize::MAX;
        let relation = SearchRelation::ranking(spec, VALUE);
        let width = self.scan.source.schema().fields().len();
        let mut projection: Vec<usize> = match &self.scan.projection {
            Some(projection) => projection.clone(),
            None => (0..width).collect(),
        };
        projection.push(width);
        let name = self.scan.table_name.clone();
        let source = provider_as_source(Arc::new(relation));
        let scan = TableScanBuilder::new(name.clone(), source)
            .with_projection(Some(projection))
            .build()?;
        let mut plan = LogicalPlan::TableScan(scan);
        let mut value = Column::new(Some(name), VALUE);
        for (at, step) in self.steps.iter().enumerate().rev() {
            let swap = |expr: &Expr| self.swapped(expr, at + 1, target, &value);
            plan = match step {
                LogicalPlan::Projection(projection) => {
                    let mut exprs =
                        projection.expr.iter().map(&swap).collect::<Result<Vec<_>>>()?;
                    exprs.push(Expr::Column(value.clone()));
                    LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?)
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    value = Column::new(Some(alias.alias.clone()), VALUE);
                    let alias = SubqueryAlias::try_new(Arc::new(plan), alias.alias.clone())?;
                    LogicalPlan::SubqueryAlias(alias)
                }
                // The search has applied it, unless it is of the score itself.
                LogicalPlan::Filter(filter)
                    if every
                        && names(&self.resolve(filter.predicate.clone(), at)?, MATCH_SCORE) =>
                {
                    let predicate = swap(&filter.predicate)?;
                    LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?)
                }
                _ => plan,
            };
        }
        let exprs = top.expressions();
        let exprs = exprs.iter().map(|expr| self.swapped(expr, 0, target, &value));
        let top_schema = top.schema().clone();
        let plan = top.with_new_exprs(exprs.collect::<Result<_>>()?, vec![plan])?;
        if plan.schema().fields().len() == top_schema.fields().len() {
            return Ok(plan);
        }
        let columns = top_schema.columns().into_iter().map(Expr::Column).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
    }

    /// `expr`, which stands above step `from`, with `value` for every part that is `target`; its name stays.
    fn swapped(&self, expr: &Expr, from: usize, target: &Expr, value: &Column) -> Result<Expr> {
        let name = expr.qualified_name();
        let swapped = expr.clone().transform_down(|part| {
            if (is_call(&part, DISTANCE) || is_call(&part, MATCH_SCORE))
                && self.resolve(part.clone(), from)? == *target
            {
                return Ok(Transformed::yes(Expr::Column(value.clone())));
            }
            Ok(Transformed::no(part))
        })?;
        Ok(match swapped.transformed && swapped.data.qualified_name() != name {
            true => swapped.data.alias_qualified(name.0, name.1),
            false => swapped.data,
        })
    }
}

/// `expr` with every column replaced by what `below` says of its place in the output of `step`.
fn through(expr: Expr, below: impl Fn(usize) -> Expr, step: &LogicalPlan) -> Result<Expr> {
    let schema = step.schema();
    // From the leaves up: what takes a column's place is not looked into again.
    let resolved = expr.transform_up(|part| match &part {
        Expr::Column(column) => {
            let at = schema.index_of_column(column)?;
            let below = below(at);
            Ok(Transformed::yes(below))
        }
        _ => Ok(Transformed::no(part)),
    })?;
    Ok(resolved.data)
}

fn is_call(expr: &Expr, function: &str) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == function)
}

pub(super) fn names(expr: &Expr, function: &str) -> bool {
    expr.exists(|expr| Ok(is_call(expr, function))).unwrap_or(true)
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    let is = |expr: &Expr| {
        matches!(expr, Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::Exists(_))
    };
    expr.exists(|expr| Ok(is(expr))).unwrap_or(true)
}

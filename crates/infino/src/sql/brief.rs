//! Short planning for statements that are one search.
//!
//! `SELECT … FROM bm25_search(…)` and `SELECT … FROM docs WHERE … ORDER BY distance(…) LIMIT k` find their rows faster than
//! all the rules of a planner can be asked about them, and most of those are about joins, aggregates and windows. A plan
//! that is a chain of projections, filters, sorts and limits over one search is planned with the few rules that can change
//! it. Any other takes the long way.

use std::sync::{Arc, OnceLock};

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Projection, TableScan};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use super::expressions::{DISTANCE, MATCH_SCORE};
use super::functions::is_search;
use super::ranking::{has_subquery, names};
use super::search_exec::SearchRelation;
use crate::Error;

/// Logical rules that can change a chain over a search.
const LOGICAL: [&str; 5] = [
    "simplify_expressions",
    "push_down_limit",
    "push_down_filter",
    super::ranking::NAME,
    "optimize_projections",
];

/// Physical rules that can change it; the others look at joins, aggregates, windows and scans of files.
const PHYSICAL: [&str; 5] = [
    "OutputRequirements",
    "EnsureRequirements",
    "ProjectionPushdown",
    "LimitPushdown",
    "EnsureCooperative",
];

/// The rules, made when first asked for.
#[derive(Debug, Default)]
pub(crate) struct Brief(OnceLock<Rules>);

#[derive(Debug)]
struct Rules {
    logical: Optimizer,
    /// Plans what the logical rules leave.
    state: SessionState,
}

impl Rules {
    fn of(base: &SessionState) -> Self {
        let logical = base.optimizers().iter().filter(|rule| LOGICAL.contains(&rule.name()));
        let physical = PhysicalOptimizer::new().rules.into_iter();
        let physical = physical.filter(|rule| PHYSICAL.contains(&rule.name())).collect();
        let state = SessionStateBuilder::new_from_existing(base.clone())
            .with_physical_optimizer_rules(physical)
            .build();
        Self { logical: Optimizer::with_rules(logical.cloned().collect()), state }
    }
}

impl Brief {
    /// The physical plan of a statement that is one search; `None` if it is not, or not found to be. `base` is what the
    /// `state` of every statement is made from.
    pub(super) async fn physical(
        &self,
        base: &SessionState,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>, Error> {
        if !may_be_search(plan) {
            return Ok(None);
        }
        let rules = self.0.get_or_init(|| Rules::of(base));
        let options = state.config_options();
        let plan = state.analyzer().execute_and_check(plan.clone(), options, |_, _| {})?;
        let plan = rules.logical.optimize(plan, state, |_, _| {})?;
        if !is_over_search(&plan) {
            return Ok(None);
        }
        let planner = rules.state.query_planner();
        Ok(Some(planner.create_physical_plan(&plan, &rules.state).await?))
    }
}

/// The step below one that changes rows one by one, or which of them there are.
fn below(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Projection(Projection { input, .. }) => Some(input),
        LogicalPlan::Filter(filter) => Some(&filter.input),
        LogicalPlan::Sort(sort) => Some(&sort.input),
        LogicalPlan::Limit(limit) => Some(&limit.input),
        LogicalPlan::SubqueryAlias(alias) => Some(&alias.input),
        _ => None,
    }
}

/// Whether a plan as it was written is a chain over a call of a search function, or one that asks a table's index to rank.
fn may_be_search(mut plan: &LogicalPlan) -> bool {
    let asks = |expr: &Expr| names(expr, DISTANCE) || names(expr, MATCH_SCORE);
    let mut ranks = false;
    loop {
        let exprs = plan.expressions();
        if exprs.iter().any(has_subquery) {
            return false;
        }
        ranks |= exprs.iter().any(asks);
        match (plan, below(plan)) {
            (LogicalPlan::Extension(Extension { node }), _) => return is_search(node.as_ref()),
            (LogicalPlan::TableScan(_), _) => return ranks,
            (_, Some(input)) => plan = input,
            _ => return false,
        }
    }
}

/// Whether an optimized plan is a chain over a search.
fn is_over_search(mut plan: &LogicalPlan) -> bool {
    while let Some(input) = below(plan) {
        plan = input;
    }
    let LogicalPlan::TableScan(TableScan { source, .. }) = plan else { return false };
    source_as_provider(source).is_ok_and(|table| table.downcast_ref::<SearchRelation>().is_some())
}

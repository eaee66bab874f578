//! Names without quotes find columns whatever their case.
//!
//! SQL folds names that are not quoted, and DataFusion folds them to lower case, where `UserID` is never found. Here a name
//! without quotes means the column spelled so, else the one in lower case, else the only one that differs in case alone.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, ExcludeSelectItem, Expr, FromTable, Ident, JoinConstraint, JoinOperator,
    MergeAction, ObjectName, ObjectNamePart, Query, RenameSelectItem, Select, SelectItem,
    Statement as SqlStatement, TableAlias, TableFactor, TableWithJoins, UpdateTableFromKind,
    VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions_mut,
};

/// Settles the case of the columns that `statement` names; what it calls its own results stays what it is.
pub(super) fn settle<'a>(
    statement: &mut Statement,
    columns: impl Iterator<Item = &'a BTreeSet<String>>,
) {
    let statement = match statement {
        Statement::Statement(statement) => statement.as_mut(),
        Statement::Explain(explain) => return settle(&mut explain.statement, columns),
        _ => return,
    };
    let mut aliases = Aliases::default();
    let _ = VisitMut::visit(statement, &mut aliases);
    let mut names = Names { columns: columns.collect(), aliases: aliases.0 };
    let _ = VisitMut::visit(statement, &mut names);
}

/// Settles the case of the columns that a predicate names.
pub(super) fn settle_predicate(predicate: &mut Expr, columns: &BTreeSet<String>) {
    let names = Names { columns: vec![columns], aliases: BTreeSet::new() };
    let _ = visit_expressions_mut(predicate, |expr| {
        names.settle_expr(expr);
        ControlFlow::<()>::Continue(())
    });
}

/// The column of `columns` that a name means, if it means one.
pub(super) fn meant<'a>(ident: &Ident, columns: &'a BTreeSet<String>) -> Option<&'a String> {
    let mut ident = ident.clone();
    Names { columns: vec![columns], aliases: BTreeSet::new() }.settle(&mut ident);
    match ident.quote_style {
        Some(_) => columns.get(&ident.value),
        None => columns.get(&ident.value.to_lowercase()),
    }
}

/// The names that a statement gives to its results; they keep the case they are written in.
#[derive(Default)]
struct Aliases(BTreeSet<String>);

impl Aliases {
    fn keep(&mut self, alias: &mut Ident) {
        alias.quote_style.get_or_insert('"');
        self.0.insert(alias.value.clone());
    }

    fn keep_columns(&mut self, alias: &mut TableAlias) {
        alias.columns.iter_mut().for_each(|column| self.keep(&mut column.name));
    }
}

impl VisitorMut for Aliases {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = &mut query.with {
            with.cte_tables.iter_mut().for_each(|cte| self.keep_columns(&mut cte.alias));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            match item {
                SelectItem::ExprWithAlias { alias, .. } => self.keep(alias),
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                    let renamed = match &mut options.opt_rename {
                        Some(RenameSelectItem::Single(one)) => std::slice::from_mut(one),
                        Some(RenameSelectItem::Multiple(all)) => all.as_mut_slice(),
                        None => &mut [],
                    };
                    renamed.iter_mut().for_each(|renamed| self.keep(&mut renamed.alias));
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => self.keep_columns(alias),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What a name may mean: a column, or what the statement calls a result.
struct Names<'a> {
    columns: Vec<&'a BTreeSet<String>>,
    aliases: BTreeSet<String>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.settle_expr(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item
            {
                self.settle_wildcard(options);
            }
        }
        self.settle_joins(&mut select.from);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.settle_joins(std::slice::from_mut(table_with_joins));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &mut SqlStatement) -> ControlFlow<()> {
        match statement {
            SqlStatement::Insert(insert) => {
                insert.columns.iter_mut().for_each(|name| self.settle_last(name));
            }
            SqlStatement::Update(update) => {
                self.settle_joins(std::slice::from_mut(&mut update.table));
                if let Some(
                    UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from),
                ) = &mut update.from
                {
                    self.settle_joins(from);
                }
                for assignment in &mut update.assignments {
                    self.settle_target(&mut assignment.target);
                }
            }
            SqlStatement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &mut delete.from;
                self.settle_joins(from);
                self.settle_joins(delete.using.as_deref_mut().unwrap_or_default());
            }
            SqlStatement::Merge(merge) => {
                for clause in &mut merge.clauses {
                    match &mut clause.action {
                        MergeAction::Insert(insert) => {
                            insert.columns.iter_mut().for_each(|name| self.settle_last(name));
                        }
                        MergeAction::Update(update) => {
                            for assignment in &mut update.assignments {
                                self.settle_target(&mut assignment.target);
                            }
                        }
                        MergeAction::Delete { .. } => {}
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    fn settle_expr(&self, expr: &mut Expr) {
        match expr {
            Expr::Identifier(ident) => self.settle(ident),
            Expr::CompoundIdentifier(parts) => {
                if let Some(column) = parts.last_mut() {
                    self.settle(column);
                }
            }
            _ => {}
        }
    }

    fn settle_target(&self, target: &mut AssignmentTarget) {
        match target {
            AssignmentTarget::ColumnName(name) => self.settle_last(name),
            AssignmentTarget::Tuple(names) => {
                names.iter_mut().for_each(|name| self.settle_last(name));
            }
        }
    }

    /// The names in `USING (…)`.
    fn settle_joins(&self, tables: &mut [TableWithJoins]) {
        for join in tables.iter_mut().flat_map(|table| &mut table.joins) {
            if let JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::Semi(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::Anti(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint) = &mut join.join_operator
                && let JoinConstraint::Using(names) = constraint
            {
                names.iter_mut().for_each(|name| self.settle_last(name));
            }
        }
    }

    /// The names in `* EXCLUDE (…)`, `EXCEPT`, `REPLACE` and `RENAME`.
    fn settle_wildcard(&self, options: &mut WildcardAdditionalOptions) {
        match &mut options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => self.settle_last(name),
            Some(ExcludeSelectItem::Multiple(names)) => {
                names.iter_mut().for_each(|name| self.settle_last(name));
            }
            None => {}
        }
        if let Some(except) = &mut options.opt_except {
            self.settle(&mut except.first_element);
            except.additional_elements.iter_mut().for_each(|name| self.settle(name));
        }
        if let Some(replace) = &mut options.opt_replace {
            replace.items.iter_mut().for_each(|item| self.settle(&mut item.column_name));
        }
        match &mut options.opt_rename {
            Some(RenameSelectItem::Single(one)) => self.settle(&mut one.ident),
            Some(RenameSelectItem::Multiple(all)) => {
                all.iter_mut().for_each(|renamed| self.settle(&mut renamed.ident));
            }
            None => {}
        }
    }

    fn settle_last(&self, name: &mut ObjectName) {
        if let Some(ObjectNamePart::Identifier(ident)) = name.0.last_mut() {
            self.settle(ident);
        }
    }

    fn settle(&self, ident: &mut Ident) {
        let written = &ident.value;
        if ident.quote_style.is_some() {
            return;
        }
        let knows = |name: &String| {
            self.aliases.contains(name) || self.columns.iter().any(|names| names.contains(name))
        };
        let spelled = if knows(written) {
            written
        } else if knows(&written.to_lowercase()) {
            return;
        } else {
            let all = self.columns.iter().copied().chain([&self.aliases]).flatten();
            let alike = all.filter(|name| name.eq_ignore_ascii_case(written));
            let mut alike = alike.collect::<BTreeSet<_>>().into_iter();
            match (alike.next(), alike.next()) {
                (Some(only), None) => only,
                _ => return,
            }
        };
        (ident.value, ident.quote_style) = (spelled.clone(), Some('"'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_settled_by_the_columns_there_are() {
        let names = ["UserID", "name", "Name", "Odd", "oDD", "Count", "count"];
        let columns = names.map(str::to_owned).into();
        let names = Names { columns: vec![&columns], aliases: BTreeSet::new() };
        let cases = [
            ("UserID", Some("UserID")),
            ("userid", Some("UserID")),
            ("name", Some("name")),
            ("Name", Some("Name")),
            ("NAME", None),
            ("ODD", None),
            ("other", None),
            ("Count", Some("Count")),
            ("count", Some("count")),
            ("COUNT", None),
        ];
        for (written, meant) in cases {
            let mut ident = Ident::new(written);
            names.settle(&mut ident);
            match meant {
                Some(name) => assert_eq!(ident, Ident::with_quote('"', name), "{written}"),
                None => assert_eq!(ident, Ident::new(written), "{written}"),
            }
        }
        let mut quoted = Ident::with_quote('"', "userid");
        names.settle(&mut quoted);
        assert_eq!(quoted.value, "userid");
    }
}

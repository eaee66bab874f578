//! Names without quotes find columns whatever their case.
//!
//! SQL folds names that are not quoted, and DataFusion folds them to lower case, where `UserID` is never found. Here a name
//! without quotes means the column spelled so, else the one in lower case, else the only one that differs in case alone.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr,
    Statement as SqlStatement, VisitMut, VisitorMut, visit_expressions_mut,
};

/// Settles the case of the columns that `statement` names; what it calls its own results stays what it is.
pub(super) fn settle(statement: &mut Statement, columns: &BTreeSet<String>) {
    let statement = match statement {
        Statement::Statement(statement) => statement.as_mut(),
        Statement::Explain(explain) => return settle(&mut explain.statement, columns),
        _ => return,
    };
    let mut aliases = Aliases::default();
    let _ = VisitMut::visit(statement, &mut aliases);
    let names = &Names(columns.iter().cloned().chain(aliases.0).collect());
    let named = |name: &mut ObjectName| {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                names.settle(ident);
            }
        }
    };
    match statement {
        SqlStatement::Insert(insert) => insert.columns.iter_mut().for_each(named),
        SqlStatement::Update(update) => {
            for assignment in &mut update.assignments {
                if let AssignmentTarget::ColumnName(name) = &mut assignment.target {
                    named(name);
                }
            }
        }
        _ => {}
    }
    let _ = visit_expressions_mut(statement, |expr| {
        names.settle_expr(expr);
        ControlFlow::<()>::Continue(())
    });
}

/// Settles the case of the columns that a predicate names.
pub(super) fn settle_predicate(predicate: &mut Expr, columns: &BTreeSet<String>) {
    let names = Names(columns.clone());
    let _ = visit_expressions_mut(predicate, |expr| {
        names.settle_expr(expr);
        ControlFlow::<()>::Continue(())
    });
}

/// The names that a statement gives to its results; they keep the case they are written in.
#[derive(Default)]
struct Aliases(BTreeSet<String>);

impl VisitorMut for Aliases {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut bodies = vec![query.body.as_mut()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::SetOperation { left, right, .. } => {
                    bodies.extend([left.as_mut(), right.as_mut()]);
                }
                SetExpr::Select(select) => {
                    for item in &mut select.projection {
                        if let SelectItem::ExprWithAlias { alias, .. } = item {
                            alias.quote_style.get_or_insert('"');
                            self.0.insert(alias.value.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// What a name may mean: a column, or what the statement calls a result.
struct Names(BTreeSet<String>);

impl Names {
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

    fn settle(&self, ident: &mut Ident) {
        let written = &ident.value;
        if ident.quote_style.is_some() {
            return;
        }
        let spelled = if self.0.contains(written) {
            written.clone()
        } else if self.0.contains(&written.to_lowercase()) {
            return;
        } else {
            let mut alike = self.0.iter().filter(|name| name.eq_ignore_ascii_case(written));
            match (alike.next(), alike.next()) {
                (Some(only), None) => only.clone(),
                _ => return,
            }
        };
        *ident = Ident::with_quote('"', spelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_settled_by_the_columns_there_are() {
        let names = ["UserID", "name", "Name", "Odd", "oDD", "Count", "count"];
        let names = Names(names.map(str::to_owned).into());
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

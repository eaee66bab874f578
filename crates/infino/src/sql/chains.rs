//! Long chains of AND or OR as shallow trees.
//!
//! A parser makes `a OR b OR c …` as deep as it is long, and what walks an expression by recursion, copying it for one, then
//! needs a stack as deep. Both operators are associative, so the same chain is a tree of logarithmic depth.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};

/// Flattens every chain of AND or OR in `parsed`.
pub(super) fn flatten(parsed: &mut impl VisitMut) {
    let _ = parsed.visit(&mut Flatten);
}

struct Flatten;

impl VisitorMut for Flatten {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
            let op = op.clone();
            let terms = terms(std::mem::replace(expr, Expr::value(Value::Null)), &op);
            *expr = tree(terms, &op);
        }
        ControlFlow::Continue(())
    }
}

/// The terms of a chain, first to last.
fn terms(mut expr: Expr, chain: &BinaryOperator) -> Vec<Expr> {
    let mut terms = Vec::new();
    loop {
        match expr {
            Expr::BinaryOp { left, op, right } if op == *chain => {
                terms.push(*right);
                expr = *left;
            }
            first => {
                terms.push(first);
                break;
            }
        }
    }
    terms.reverse();
    terms
}

fn tree(mut terms: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut rest = terms.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                None => left,
                Some(right) => {
                    Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) }
                }
            });
        }
        terms = pairs;
    }
    terms.pop().expect("a chain has a term")
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};

    use super::*;

    fn parsed(sql: &str) -> Expr {
        Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap()
    }

    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryOp { left, right, .. } => 1 + depth(left).max(depth(right)),
            _ => 0,
        }
    }

    #[test]
    fn chains_become_shallow_and_keep_their_terms_in_order() {
        let names: Vec<_> = (0..1000).map(|i| format!("c{i}")).collect();
        let mut expr = parsed(&names.join(" OR "));
        assert_eq!(depth(&expr), 999);
        flatten(&mut expr);
        assert_eq!(depth(&expr), 10);
        assert_eq!(expr.to_string(), names.join(" OR "));
    }

    #[test]
    fn operators_are_not_mixed() {
        for sql in ["a AND b OR c AND d AND e", "a OR b AND (c OR d)", "NOT a OR b", "a"] {
            let mut expr = parsed(sql);
            flatten(&mut expr);
            assert_eq!(expr.to_string(), sql);
        }
    }
}

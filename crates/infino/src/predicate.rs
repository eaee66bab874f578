//! A condition on rows, as SQL text or as an expression.

use datafusion::logical_expr::Expr;

/// Which rows: a SQL boolean expression (`"lang = 'rust' AND line > 10"`) or a DataFusion [`Expr`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Predicate {
    /// SQL text, as it would stand behind WHERE.
    Sql(String),
    /// An expression over the table's columns.
    Expr(Box<Expr>),
}

impl From<&str> for Predicate {
    fn from(sql: &str) -> Self {
        Self::Sql(sql.to_owned())
    }
}

impl From<String> for Predicate {
    fn from(sql: String) -> Self {
        Self::Sql(sql)
    }
}

impl From<Expr> for Predicate {
    fn from(expr: Expr) -> Self {
        Self::Expr(Box::new(expr))
    }
}

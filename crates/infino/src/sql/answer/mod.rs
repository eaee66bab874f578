//! A predicate as far as the indexes of a table can answer it, without reading its columns.
//!
//! | condition | answered by | how |
//! |---|---|---|
//! | `col = 'v'`, `IN`, `LIKE 'abc%'`, `LIKE '%abc%'` | keyword index | exactly, while the value is shorter than a term may be |
//! | `col = 'v'` | index of words | bounded: the row must hold all of the value's words |
//! | `LIKE '%abc%'` | trigram index | bounded: the row must hold all of the pattern's trigrams |
//! | `match(col, 'q')` | any text index | exactly |
//! | `IS NULL`, `IS NOT NULL` | statistics | exactly, where all rows of a file or none are null |
//! | AND, OR, NOT of them | | exactly, if both sides are |
//!
//! What cannot be answered is bounded by all rows from above and by none from below, so that any tree has bounds.

mod bounds;
mod leaf;

use std::sync::Arc;

use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use infino_format::schema::TableSchema;
use infino_superfile::Superfile;
use infino_table::TableError;

pub(super) use bounds::Bounds;
use leaf::Leaf;

/// Levels of a predicate that are looked into; deeper ones are left to be evaluated.
const DEPTH_MAX: usize = 64;

/// Where the truth of a predicate can be looked up.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Nowhere: any row may pass.
    Unknown,
    /// It passes all rows, or none.
    Constant(bool),
    /// In an index or the statistics.
    Leaf(Arc<Leaf>),
    All(Vec<Answer>),
    Any(Vec<Answer>),
}

/// What a chain of one operator joins, however long it is.
fn sides(expr: &Expr, chain: Operator) -> Vec<&Expr> {
    let (mut sides, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == chain => {
                open.extend([right.as_ref(), left.as_ref()]);
            }
            other => sides.push(other),
        }
    }
    sides
}

impl Answer {
    /// What the indexes of a table of this schema can say of `expr`.
    pub(super) fn of(schema: &TableSchema, expr: &Expr) -> Self {
        Self::build(schema, expr, false, 0)
    }

    fn build(schema: &TableSchema, expr: &Expr, negated: bool, depth: usize) -> Self {
        if depth == DEPTH_MAX {
            return Self::Unknown;
        }
        match expr {
            Expr::Alias(alias) => Self::build(schema, &alias.expr, negated, depth + 1),
            Expr::Not(inner) => Self::build(schema, inner, !negated, depth + 1),
            Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
                let parts = sides(expr, *op)
                    .into_iter()
                    .map(|side| Self::build(schema, side, negated, depth + 1));
                // De Morgan holds with NULLs too: a row passes NOT (a AND b) if NOT a or NOT b passes it.
                match (*op == Operator::And) != negated {
                    true => Self::all(parts.collect()),
                    false => Self::any(parts.collect()),
                }
            }
            Expr::Literal(value, _) => match value {
                datafusion::common::ScalarValue::Boolean(Some(value)) => {
                    Self::Constant(*value != negated)
                }
                value if value.is_null() => Self::Constant(false),
                _ => Self::Unknown,
            },
            leaf => match Leaf::of(schema, leaf, negated) {
                Some(leaf) => Self::Leaf(Arc::new(leaf)),
                None => Self::Unknown,
            },
        }
    }

    fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Constant(true) => {}
                Self::Constant(false) => return Self::Constant(false),
                Self::All(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::Constant(true),
            1 => flat.remove(0),
            _ if flat.iter().all(|part| matches!(part, Self::Unknown)) => Self::Unknown,
            _ => Self::All(flat),
        }
    }

    fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Constant(false) => {}
                Self::Constant(true) => return Self::Constant(true),
                Self::Any(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::Constant(false),
            1 => flat.remove(0),
            // One side that may pass any row makes the whole so.
            _ if flat.iter().any(|part| matches!(part, Self::Unknown)) => Self::Unknown,
            _ => Self::Any(flat),
        }
    }

    /// Whether nothing can be said.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether the indexes alone decide every row of every file, as far as the schema tells.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Constant(_) => true,
            Self::Leaf(leaf) => leaf.is_exact(),
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_exact),
        }
    }

    /// The rows of `file` that pass for certain, and those that may.
    ///
    /// # Errors
    /// What reading the index fails with.
    pub(super) async fn bounds(
        &self,
        schema: &TableSchema,
        file: &Superfile,
    ) -> Result<Bounds, TableError> {
        Box::pin(async move {
            let rows = file.row_count();
            match self {
                Self::Unknown => Ok(Bounds::unknown(rows)),
                Self::Constant(true) => Ok(Bounds::all(rows)),
                Self::Constant(false) => Ok(Bounds::none(rows)),
                Self::Leaf(leaf) => leaf.bounds(schema, file).await,
                Self::All(parts) => {
                    let mut bounds = Bounds::all(rows);
                    for part in parts {
                        bounds.and(part.bounds(schema, file).await?);
                        if bounds.is_nothing() {
                            break;
                        }
                    }
                    Ok(bounds)
                }
                Self::Any(parts) => {
                    let parts = parts.iter().map(|part| part.bounds(schema, file));
                    let parts = futures::future::try_join_all(parts).await?;
                    let mut bounds = Bounds::none(rows);
                    parts.into_iter().for_each(|part| bounds.or(part));
                    Ok(bounds)
                }
            }
        })
        .await
    }
}

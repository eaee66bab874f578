//! What indexes know, as expressions.
//!
//! | expression | what it is |
//! |---|---|
//! | `match(column, text [, mode])` | whether the text column answers the text, as `bm25_search` understands it |
//! | `match_score(column, text [, mode])` | the row's BM25 score over the whole table; 0 where it does not answer |
//! | `highlight(column, text [, mode])` | the parts of the text that answer, in HTML with `<mark>` around what does |
//! | `distance(column, vector [, metric])` | how far a vector is, in the metric of the column's index |

mod distance;
mod highlight;
mod matching;
mod score;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::functions::string::octet_length;
use datafusion::logical_expr::{Expr, ScalarUDF};

pub(super) use distance::DISTANCE;
pub(super) use matching::MATCH;
pub(super) use score::MATCH_SCORE;

use super::source::external;
use crate::{Error, TextMode};

/// The functions, for a session to register.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::from(matching::Match::new())),
        Arc::new(ScalarUDF::from(score::MatchScore::new())),
        Arc::new(ScalarUDF::from(highlight::Highlight::new())),
        Arc::new(ScalarUDF::from(distance::Distance::new())),
        // DuckDB's name for it.
        Arc::new(octet_length().as_ref().clone().with_aliases(["strlen"])),
    ]
}

fn invalid(function: &str, problem: impl std::fmt::Display) -> DataFusionError {
    external(Error::invalid(format!("{function}: {problem}")))
}

/// The text that an expression is; `None` if it is none, or NULL.
pub(super) fn literal_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Alias(alias) => literal_text(&alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_string() => literal_text(&cast.expr),
        _ => None,
    }
}

/// The vector that an expression is.
pub(super) fn literal_vector(expr: &Expr) -> Option<Vec<f32>> {
    match expr {
        Expr::Literal(value, _) => scalar_vector(value),
        Expr::Alias(alias) => literal_vector(&alias.expr),
        Expr::Cast(cast) => literal_vector(&cast.expr),
        _ => None,
    }
}

/// The mode that an expression names; `any` if there is none.
pub(super) fn literal_mode(expr: Option<&Expr>) -> Option<TextMode> {
    match expr {
        None => Some(TextMode::default()),
        Some(expr) => TextMode::named(literal_text(expr)?).ok(),
    }
}

/// A list of numbers as a vector; `None` if it is none, or one of them is NULL.
fn scalar_vector(value: &ScalarValue) -> Option<Vec<f32>> {
    let values: ArrayRef = match value {
        ScalarValue::FixedSizeList(list) if list.is_valid(0) => list.value(0),
        ScalarValue::List(list) if list.is_valid(0) => list.value(0),
        ScalarValue::LargeList(list) if list.is_valid(0) => list.value(0),
        _ => return None,
    };
    let floats =
        cast(&values, &DataType::Float32).ok().filter(|floats| floats.null_count() == 0)?;
    Some(floats.as_primitive::<Float32Type>().values().to_vec())
}

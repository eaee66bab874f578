//! `match_score(column, text [, mode])`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::invalid;
use super::matching::{check_text, text_arguments};

/// Its name.
pub(in crate::sql) const MATCH_SCORE: &str = "match_score";

/// The BM25 score of a row. It depends on the whole table, so the search that stands in for the table's scan gives it; see
/// [`crate::sql::ranking`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MatchScore {
    signature: Signature,
}

impl MatchScore {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for MatchScore {
    fn name(&self) -> &str {
        MATCH_SCORE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        text_arguments(MATCH_SCORE, given)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        check_text(MATCH_SCORE, &args)?;
        Ok(Arc::new(Field::new(MATCH_SCORE, DataType::Float32, false)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(invalid(
            MATCH_SCORE,
            "is known where a table is read, with a constant text; here, join a bm25_search by _id instead",
        ))
    }
}

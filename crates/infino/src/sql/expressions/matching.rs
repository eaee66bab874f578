//! `match(column, text [, mode])`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use infino_format::fetch::run_resident;
use infino_format::schema::TextIndex;
use infino_fts::{BuildOptions, FtsBuilder, FtsError, FtsReader};

use super::{external, invalid};
use crate::TextMode;
use crate::sql::annotate::ANALYZER;

/// Its name.
pub(in crate::sql) const MATCH: &str = "match";

/// What the column is called in the index of a batch.
const COLUMN: &str = "text";

/// Whether a text answers a query, row by row, where no index was asked: an index of just the batch says.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Match {
    signature: Signature,
}

impl Match {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The types of `(column, text [, mode])`, if these can be made so.
pub(super) fn text_arguments(function: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    if !(2..=3).contains(&given.len()) {
        return Err(invalid(function, "takes a column, a text and perhaps a mode"));
    }
    let column = match &given[0] {
        DataType::Dictionary(_, value) if value.is_string() => value.as_ref().clone(),
        text if text.is_string() => text.clone(),
        other => return Err(invalid(function, format!("searches text, not {other}"))),
    };
    Ok(std::iter::once(column).chain(given[1..].iter().map(|_| DataType::Utf8)).collect())
}

/// The analyzer of the column that is the first argument, and the mode if it is known.
pub(super) fn check_text(function: &str, args: &ReturnFieldArgs<'_>) -> Result<String> {
    if let Some(Some(mode)) = args.scalar_arguments.get(2)
        && let Some(name) = mode.try_as_str().flatten()
    {
        TextMode::named(name).map_err(external)?;
    }
    args.arg_fields[0].metadata().get(ANALYZER).cloned().ok_or_else(|| {
        let column = args.arg_fields[0].name();
        invalid(
            function,
            format!("{column:?} is no column of a table with a full-text index on it"),
        )
    })
}

/// The text and the mode of a call, which are constant; `None` if one of them is NULL.
pub(super) fn constant_texts(
    function: &str,
    args: &ScalarFunctionArgs,
) -> Result<Option<(String, TextMode)>> {
    let constant = |at: usize, name: &str| match args.args.get(at) {
        None => Ok(Some("any".to_owned())),
        Some(ColumnarValue::Scalar(value)) => Ok(value.try_as_str().flatten().map(str::to_owned)),
        Some(ColumnarValue::Array(_)) => {
            Err(invalid(function, format!("the {name} must be constant")))
        }
    };
    let (Some(text), Some(mode)) = (constant(1, "text")?, constant(2, "mode")?) else {
        return Ok(None);
    };
    Ok(Some((text, TextMode::named(&mode).map_err(external)?)))
}

impl ScalarUDFImpl for Match {
    fn name(&self) -> &str {
        MATCH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        text_arguments(MATCH, given)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let analyzer = check_text(MATCH, &args)?;
        let metadata = [(ANALYZER.to_owned(), analyzer)].into();
        Ok(Arc::new(Field::new(MATCH, DataType::Boolean, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let analyzer = args.return_field.metadata().get(ANALYZER).cloned();
        let analyzer = analyzer.ok_or_else(|| invalid(MATCH, "was planned without its column"))?;
        let Some((text, mode)) = constant_texts(MATCH, &args)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let column = args.args[0].to_array(args.number_rows)?;
        let found = evaluate(&column, &analyzer, &text, mode)?;
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

fn evaluate(column: &ArrayRef, analyzer: &str, text: &str, mode: TextMode) -> Result<BooleanArray> {
    let failed =
        |error: FtsError| -> DataFusionError { external(infino_table::TableError::from(error)) };
    let query = mode.query(COLUMN, text).map_err(external)?;
    let texts = cast(column, &DataType::LargeUtf8)?;
    let texts = texts.as_string::<i64>();
    let index = TextIndex {
        column: COLUMN.to_owned(),
        analyzer: analyzer.to_owned(),
        positions: true,
        stored: true,
    };
    let mut builder = FtsBuilder::new(&[index], BuildOptions::default()).map_err(failed)?;
    for text in texts {
        builder.push(&[text]).map_err(failed)?;
    }
    let section = Bytes::from(builder.finish().map_err(failed)?.0);
    let reader = FtsReader::resident(section.clone()).map_err(failed)?;
    let prepared =
        run_resident(&section, reader.prepare(&query).map_err(failed)?).map_err(failed)?;
    let found =
        run_resident(&section, reader.matches(&prepared).map_err(failed)?).map_err(failed)?;
    let rows = (0u32..).zip(texts);
    Ok(rows.map(|(row, text)| text.map(|_| found.contains(row))).collect())
}

//! `highlight(column, text [, mode])`.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use infino_fts::{Analyzer, FragmentOptions, Highlighter, Markup};
use infino_table::TableError;

use super::matching::{check_text, constant_texts, text_arguments};
use super::{external, invalid};
use crate::sql::annotate::ANALYZER;

/// Its name.
const HIGHLIGHT: &str = "highlight";

/// What the column is called in the query of a batch.
const COLUMN: &str = "text";

/// The parts of a text that answer a query, in HTML with `<mark>` around what does; NULL where nothing does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Highlight {
    signature: Signature,
}

impl Highlight {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Highlight {
    fn name(&self) -> &str {
        HIGHLIGHT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        text_arguments(HIGHLIGHT, given)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let analyzer = check_text(HIGHLIGHT, &args)?;
        let metadata = [(ANALYZER.to_owned(), analyzer)].into();
        Ok(Arc::new(Field::new(HIGHLIGHT, DataType::Utf8, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let analyzer = args.return_field.metadata().get(ANALYZER);
        let analyzer =
            analyzer.ok_or_else(|| invalid(HIGHLIGHT, "was planned without its column"))?;
        let Some((text, mode)) = constant_texts(HIGHLIGHT, &args)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None)));
        };
        let failed = |error| external(TableError::from(error));
        let analyzer = Analyzer::named(analyzer).map_err(failed)?;
        let query = mode.query(COLUMN, &text).map_err(external)?;
        let highlighter = Highlighter::new(&query, COLUMN, &analyzer).map_err(failed)?;
        let texts = cast(&args.args[0].to_array(args.number_rows)?, &DataType::LargeUtf8)?;
        let options = FragmentOptions::default();
        let marked = texts.as_string::<i64>().iter().map(|text| {
            let text = text?;
            let fragments = highlighter.fragments(text, &options);
            let parts = fragments.iter().map(|fragment| fragment.render(text, &Markup::HTML));
            let parts = parts.collect::<Vec<_>>();
            (!parts.is_empty()).then(|| parts.join(" … "))
        });
        Ok(ColumnarValue::Array(Arc::new(marked.collect::<StringArray>())))
    }
}

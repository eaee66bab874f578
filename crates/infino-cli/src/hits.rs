//! Hits of a search, for people: where each is and its line that says most about the query.

use std::io::{self, Write};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type},
};

use crate::output::{cut, one_line};

/// A row of the demo's table that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Score or distance.
    pub measure: f64,
    /// File of the passage.
    pub path: String,
    /// Its first line, from 1.
    pub line: i64,
    /// All of it.
    pub text: String,
}

/// The rows of `batches`, which have the columns `path`, `line`, `text` and the one that `measure` names.
///
/// # Errors
/// A column that is missing or of another type.
pub fn of(batches: &[RecordBatch], measure: &str) -> io::Result<Vec<Hit>> {
    let mut hits = Vec::new();
    for batch in batches {
        let (measures, lines) =
            (column(batch, measure, &DataType::Float64)?, column(batch, "line", &DataType::Int64)?);
        let (paths, texts) =
            (column(batch, "path", &DataType::Utf8)?, column(batch, "text", &DataType::Utf8)?);
        for row in 0..batch.num_rows() {
            hits.push(Hit {
                measure: measures.as_primitive::<Float64Type>().value(row),
                path: paths.as_string::<i32>().value(row).to_owned(),
                line: lines.as_primitive::<Int64Type>().value(row),
                text: texts.as_string::<i32>().value(row).to_owned(),
            });
        }
    }
    Ok(hits)
}

/// A column by its name, as the type that its reader expects.
pub fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> io::Result<ArrayRef> {
    let found = batch.column_by_name(name);
    let column =
        found.ok_or_else(|| io::Error::other(format!("the rows lack a column {name:?}")))?;
    let column = cast(column, data_type).map_err(io::Error::other)?;
    if column.null_count() > 0 {
        return Err(io::Error::other(format!("a row has no {name:?}")));
    }
    Ok(column)
}

/// Writes two lines for each hit: its measure and place, and what it says about `query`.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    hits: &[Hit],
    query: &str,
    width: Option<usize>,
) -> io::Result<()> {
    let width = width.unwrap_or(100);
    for hit in hits {
        writeln!(out, "   {:>8.4}  {}:{}", hit.measure, one_line(&hit.path), hit.line)?;
        writeln!(out, "             {}", cut(excerpt(&hit.text, query).as_str(), width - 14))?;
    }
    Ok(())
}

/// The line of `text` with the most of the query's words, the longer of two that have as many.
fn excerpt(text: &str, query: &str) -> String {
    let query = query.to_lowercase();
    let words: Vec<&str> =
        query.split(|ch: char| !ch.is_alphanumeric()).filter(|word| word.len() > 1).collect();
    let rank = |line: &&str| {
        let lower = line.to_lowercase();
        (words.iter().filter(|word| lower.contains(**word)).count(), line.trim().len().min(80))
    };
    one_line(text.lines().rev().max_by_key(rank).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, StringViewArray, UInt32Array};

    use super::*;

    fn batch() -> RecordBatch {
        let text = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from(vec![text])) };
        RecordBatch::try_from_iter([
            ("score", Arc::new(Float32Array::from(vec![1.25])) as ArrayRef),
            ("path", text("a/b.rs")),
            ("line", Arc::new(UInt32Array::from(vec![7]))),
            ("text", text("fn main() {\n    spawn_a_thread();\n    // unrelated\n}")),
        ])
        .expect("columns of one length")
    }

    #[test]
    fn hits_are_read_whatever_the_width_of_their_columns() {
        let hits = of(&[batch()], "score").expect("all columns are there");
        let mut out = Vec::new();
        write(&mut out, &hits, "Thread spawn", None).expect("a vector takes all bytes");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "     1.2500  a/b.rs:7\n             spawn_a_thread();\n"
        );
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = of(&[batch()], "distance").expect_err("it is not there");
        assert!(error.to_string().contains("distance"), "{error}");
    }

    #[test]
    fn a_text_without_the_words_shows_its_longest_line() {
        assert_eq!(excerpt("a\nlonger\nb", "zebra"), "longer");
        assert_eq!(excerpt("", "zebra"), "");
    }
}

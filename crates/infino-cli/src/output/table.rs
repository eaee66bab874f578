//! Rows as columns side by side.

use std::io::{self, Write};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Float32Type, Float64Type},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};

/// A column never shrinks below this, in characters.
const COLUMN_WIDTH_MIN: usize = 8;
/// What a cell shows of a long list such as a vector, in characters.
const LIST_WIDTH_MAX: usize = 40;

/// A column on its way to the screen.
struct Column {
    name: String,
    cells: Vec<String>,
    right: bool,
    width: usize,
}

/// Writes a header, a rule, the rows and their number; with `width` long cells are cut so that lines fit.
///
/// # Errors
/// Those of `out`; a value that cannot be shown.
pub fn write(
    out: &mut impl Write,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> io::Result<()> {
    let mut columns = columns(batches)?;
    if let Some(width) = width {
        fit(&mut columns, width);
    }
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if !columns.is_empty() {
        line(out, &columns, " | ", |column| (&column.name, false))?;
        let rules: Vec<String> = columns.iter().map(|column| "-".repeat(column.width)).collect();
        writeln!(out, "{}", rules.join("-+-"))?;
        for row in 0..rows {
            line(out, &columns, " | ", |column| (&column.cells[row], column.right))?;
        }
    }
    writeln!(out, "({rows} {})", if rows == 1 { "row" } else { "rows" })
}

fn columns(batches: &[RecordBatch]) -> io::Result<Vec<Column>> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let mut columns = Vec::with_capacity(first.num_columns());
    for (at, field) in first.schema().fields().iter().enumerate() {
        let mut cells = Vec::new();
        for batch in batches {
            push_cells(&mut cells, batch.column(at).as_ref())?;
        }
        let name = one_line(field.name());
        let widest = cells.iter().map(|cell| text_width(cell)).max().unwrap_or(0);
        let width = widest.max(text_width(&name));
        columns.push(Column { name, cells, right: field.data_type().is_numeric(), width });
    }
    Ok(columns)
}

/// Adds one cell for each value of `array`.
fn push_cells(cells: &mut Vec<String>, array: &dyn Array) -> io::Result<()> {
    let options = FormatOptions::default().with_null("");
    let formatter = ArrayFormatter::try_new(array, &options).map_err(io::Error::other)?;
    for row in 0..array.len() {
        let cell = match array.data_type() {
            _ if array.is_null(row) => String::new(),
            DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
            DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                cut(&one_line(&formatter.value(row).to_string()), LIST_WIDTH_MAX)
            }
            _ => one_line(&formatter.value(row).try_to_string().map_err(io::Error::other)?),
        };
        cells.push(cell);
    }
    Ok(())
}

/// Scores and distances need no more than four places to be told apart by eye.
fn float(value: f64) -> String {
    let plain = value == 0.0 || (1e-3..1e15).contains(&value.abs());
    if plain { format!("{value:.4}") } else { format!("{value:.4e}") }
}

/// White space, line ends among it, as single spaces; other control characters would move the cursor.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(|ch: char| ch.is_control(), "\u{fffd}")
}

/// `text` cut to `width` columns, with an ellipsis if something is missing.
pub fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

fn text_width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Narrows the widest columns, evenly, until a line has at most `width` columns.
fn fit(columns: &mut [Column], width: usize) {
    let between = 3 * columns.len().saturating_sub(1);
    loop {
        let total: usize = columns.iter().map(|column| column.width).sum::<usize>() + between;
        let Some(widest) = columns.iter_mut().max_by_key(|column| column.width) else { return };
        if total <= width || widest.width <= COLUMN_WIDTH_MIN {
            return;
        }
        widest.width -= 1;
    }
}

fn line<'c>(
    out: &mut impl Write,
    columns: &'c [Column],
    between: &str,
    cell: impl Fn(&'c Column) -> (&'c String, bool),
) -> io::Result<()> {
    let mut line = String::new();
    for (at, column) in columns.iter().enumerate() {
        let (text, right) = cell(column);
        let text = cut(text, column.width);
        let pad = " ".repeat(column.width.saturating_sub(text_width(&text)));
        let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
        line.push_str(if at == 0 { "" } else { between });
        line.extend([before, &text, after]);
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, StringArray};

    use super::*;

    fn check_table(columns: Vec<(&str, ArrayRef)>, width: Option<usize>, want: &str) {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .expect("columns of one length");
        let mut out = Vec::new();
        let empty = batch.slice(0, 0);
        write(&mut out, &[batch, empty], width).expect("a vector takes all bytes");
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }

    #[test]
    fn numbers_stand_right_and_nulls_are_empty() {
        let name = StringArray::from(vec![Some("a\nb\x1b[1m"), None]);
        check_table(
            vec![
                ("name", Arc::new(name)),
                ("count", Arc::new(Int64Array::from(vec![7, 1234567]))),
                ("score", Arc::new(Float32Array::from(vec![1.5, 1e-9]))),
            ],
            None,
            "name    | count   | score\n\
             --------+---------+----------\n\
             a b\u{fffd}[1m |       7 |    1.5000\n        | 1234567 | 1.0000e-9\n(2 rows)\n",
        );
    }

    #[test]
    fn the_widest_column_gives_way() {
        let text = StringArray::from(vec!["a long text that does not fit"]);
        check_table(
            vec![("k", Arc::new(StringArray::from(vec!["short"]))), ("text", Arc::new(text))],
            Some(24),
            "k     | text\n------+-----------------\nshort | a long text tha…\n(1 row)\n",
        );
    }

    #[test]
    fn a_vector_is_hinted_at() {
        let vector = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some(vec![Some(0.5); 100])],
            100,
        );
        check_table(
            vec![("v", Arc::new(vector))],
            None,
            "v\n----------------------------------------\n\
             [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5…\n(1 row)\n",
        );
    }

    #[test]
    fn no_batch_is_no_rows() {
        let mut out = Vec::new();
        write(&mut out, &[], None).expect("a vector takes all bytes");
        assert_eq!(out, b"(0 rows)\n");
    }
}

//! Rows as columns side by side.

use std::io::{self, Write};

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, FieldRef, Float32Type, Float64Type},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};

/// A column never shrinks below this, in characters.
const COLUMN_WIDTH_MIN: usize = 8;
/// What a cell shows of a long list such as a vector, in characters.
const LIST_WIDTH_MAX: usize = 40;

/// Rows that are looked at before the widths of the columns are settled.
const ROWS_HELD: usize = 1000;

/// A column on its way to the screen.
struct Column {
    name: String,
    cells: Vec<String>,
    right: bool,
    width: usize,
}

/// Rows as columns side by side: a header, a rule, the rows and their number; with a width long cells are cut so that
/// lines fit. The first rows decide how wide a column is.
pub struct Table<W: Write> {
    out: W,
    width: Option<usize>,
    columns: Vec<Column>,
    rows: usize,
    /// Whether the header is out and the widths are settled.
    begun: bool,
}

impl<W: Write> Table<W> {
    /// A table on `out`, whose lines have at most `width` columns if that is given.
    pub fn new(out: W, width: Option<usize>) -> Self {
        Self { out, width, columns: Vec::new(), rows: 0, begun: false }
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// Those of `out`; a value that cannot be shown.
    pub fn push(&mut self, batch: &RecordBatch) -> io::Result<()> {
        if self.columns.is_empty() {
            let column = |field: &FieldRef| {
                let name = one_line(field.name());
                let (width, right) = (text_width(&name), field.data_type().is_numeric());
                Column { name, cells: Vec::new(), right, width }
            };
            self.columns = batch.schema_ref().fields().iter().map(column).collect();
        }
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            push_cells(&mut column.cells, array.as_ref())?;
        }
        self.rows += batch.num_rows();
        if self.begun || self.rows >= ROWS_HELD { self.write() } else { Ok(()) }
    }

    /// Writes the rows that are held.
    fn write(&mut self) -> io::Result<()> {
        let columns = &mut self.columns;
        if !self.begun && !columns.is_empty() {
            for column in &mut *columns {
                let widest = column.cells.iter().map(|cell| text_width(cell)).max().unwrap_or(0);
                column.width = column.width.max(widest);
            }
            if let Some(width) = self.width {
                fit(columns, width);
            }
            line(&mut self.out, columns, true, |column| (&column.name, false))?;
            let rules: Vec<String> =
                columns.iter().map(|column| "-".repeat(column.width)).collect();
            writeln!(self.out, "{}", rules.join("-+-"))?;
        }
        self.begun = true;
        for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
            // In a pipe a value that is wider than those before it is whole nevertheless.
            let cuts = self.width.is_some();
            line(&mut self.out, columns, cuts, |column| (&column.cells[row], column.right))?;
        }
        columns.iter_mut().for_each(|column| column.cells.clear());
        Ok(())
    }

    /// Writes what is left, and how many rows it were.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<()> {
        self.write()?;
        writeln!(self.out, "({} {})", self.rows, if self.rows == 1 { "row" } else { "rows" })?;
        self.out.flush()
    }
}

/// Writes the rows of `batches`, which have one schema, as a [`Table`].
///
/// # Errors
/// Those of `out`; a value that cannot be shown.
pub fn write(
    out: &mut impl Write,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> io::Result<()> {
    let mut table = Table::new(out, width);
    batches.iter().try_for_each(|batch| table.push(batch))?;
    table.finish()
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
    cuts: bool,
    cell: impl Fn(&'c Column) -> (&'c String, bool),
) -> io::Result<()> {
    let mut line = String::new();
    for (at, column) in columns.iter().enumerate() {
        let (text, right) = cell(column);
        let text = if cuts { cut(text, column.width) } else { text.clone() };
        let pad = " ".repeat(column.width.saturating_sub(text_width(&text)));
        let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
        line.push_str(if at == 0 { "" } else { " | " });
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
    fn rows_past_the_first_keep_the_widths() {
        let numbers = Int64Array::from_iter_values(0..3000);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)]);
        let mut out = Vec::new();
        let batch = batch.expect("one column");
        write(&mut out, &[batch.slice(0, 999), batch.slice(999, 1), batch.slice(1000, 2000)], None)
            .expect("a vector takes all bytes");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1], lines[2]), ("n", "---", "  0"));
        assert_eq!((lines.len(), lines[3001], lines[3002]), (3003, "2999", "(3000 rows)"));
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

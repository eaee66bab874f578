//! One condition that an index or the statistics can answer.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator, TryCast};
use infino_format::DocSet;
use infino_format::schema::{TableSchema, TextIndex};
use infino_fts::analysis::TERM_LEN_MAX;
use infino_fts::{Analyzer, FtsError, Query};
use infino_superfile::{Superfile, SuperfileError};
use infino_table::TableError;

use super::Bounds;
use crate::TextMode;
use crate::index_spec::KEYWORD;
use crate::sql::expressions::{MATCH, literal_mode};

/// The analyzer whose terms are all runs of three characters.
const TRIGRAMS: &str = "trigram-v1";

/// Values this long are terms uncut: a longer one may share its term with others.
const WHOLE_BYTES_MAX: usize = TERM_LEN_MAX - 4;

/// A condition on one column.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Leaf {
    column: String,
    test: Test,
    negated: bool,
}

#[derive(Debug, Clone)]
enum Test {
    /// The text index knows the rows: just these, or no others.
    Text { query: Query, exact: bool },
    /// `IS NULL`.
    Null,
}

impl Leaf {
    /// The condition `expr`, or its negation, if something can answer it.
    pub(super) fn of(schema: &TableSchema, expr: &Expr, negated: bool) -> Option<Self> {
        let leaf = |column: &str, test, negated| Self { column: column.to_owned(), test, negated };
        match expr {
            // Of the column itself: a cast may make nulls.
            Expr::IsNull(inner) => bare(inner).map(|column| leaf(column, Test::Null, negated)),
            Expr::IsNotNull(inner) => {
                column(inner).map(|column| leaf(column, Test::Null, !negated))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let negated = match op {
                    Operator::Eq => negated,
                    Operator::NotEq => !negated,
                    _ => return None,
                };
                let (name, value) = match (column(left), column(right)) {
                    (Some(name), None) => (name, text(right)?),
                    (None, Some(name)) => (name, text(left)?),
                    _ => return None,
                };
                let test = equals(text_index(schema, name)?, value)?;
                Some(leaf(name, test, negated))
            }
            Expr::InList(InList { expr, list, negated: not }) => {
                let name = column(expr)?;
                let index = text_index(schema, name)?;
                // A NULL in the list makes `NOT IN` pass nothing; that is left to be evaluated.
                let tests = list.iter().map(|value| equals(index, text(value)?));
                let tests = tests.collect::<Option<Vec<_>>>()?;
                let exact = tests.iter().all(|test| matches!(test, Test::Text { exact: true, .. }));
                let queries = tests.into_iter().filter_map(|test| match test {
                    Test::Text { query, .. } => Some(query),
                    Test::Null => None,
                });
                let query = Query::any(queries.collect());
                Some(leaf(name, Test::Text { query, exact }, negated != *not))
            }
            Expr::Like(Like {
                expr,
                pattern,
                negated: not,
                escape_char,
                case_insensitive: false,
            }) => {
                let name = column(expr)?;
                let pieces = pieces(text(pattern)?, escape_char.unwrap_or('\\'))?;
                let test = like(text_index(schema, name)?, &pieces)?;
                Some(leaf(name, test, negated != *not))
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == MATCH => {
                let name = column(args.first()?)?;
                let mode = literal_mode(args.get(2))?;
                let index = text_index(schema, name)?;
                let query = mode.query(&index.column, text(args.get(1)?)?).ok()?;
                if query.fields().iter().any(|field| *field != index.column) {
                    return None;
                }
                // A query of exclusions alone matches rows without a text, which are not to pass.
                let exact = mode != TextMode::Query;
                Some(leaf(name, Test::Text { query, exact }, negated))
            }
            _ => None,
        }
    }

    /// Whether it is exact in every file; what depends on a file's statistics is not.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.test, Test::Text { exact: true, .. }) && !self.negated
    }

    /// As [`super::Answer::bounds`].
    pub(super) async fn bounds(
        &self,
        schema: &TableSchema,
        file: &Superfile,
    ) -> Result<Bounds, TableError> {
        let rows = file.row_count();
        let nulls = self.nulls(schema, file);
        match &self.test {
            Test::Null => Ok(match nulls {
                Some(0) if self.negated => Bounds::all(rows),
                Some(0) => Bounds::none(rows),
                Some(nulls) if nulls == u64::from(rows) && self.negated => Bounds::none(rows),
                Some(nulls) if nulls == u64::from(rows) => Bounds::all(rows),
                _ => Bounds::unknown(rows),
            }),
            Test::Text { query, exact } => {
                let Some(found) = matching(file, query).await? else {
                    return Ok(Bounds::unknown(rows));
                };
                Ok(match (self.negated, exact) {
                    (false, true) => Bounds::exactly(found),
                    (false, false) => Bounds::at_most(found),
                    (true, _) => {
                        let mut others = DocSet::full(rows);
                        others.subtract(&found);
                        match (nulls == Some(0), exact) {
                            (true, true) => Bounds::exactly(others),
                            // Rows that the index rules out fail the condition, so they pass its negation.
                            (true, false) => Bounds { sure: others, may: DocSet::full(rows) },
                            // Others may be null, which pass neither.
                            (false, true) => Bounds::at_most(others),
                            (false, false) => Bounds::unknown(rows),
                        }
                    }
                })
            }
        }
    }

    fn nulls(&self, schema: &TableSchema, file: &Superfile) -> Option<u64> {
        let id = schema.columns.iter().find(|column| column.name == self.column)?.field_id;
        let stats = file.summary().columns.iter().find(|stats| stats.field_id == id)?;
        Some(stats.null_count)
    }
}

/// The rows of `file` that `query` matches; `None` if its index cannot say.
async fn matching(file: &Superfile, query: &Query) -> Result<Option<DocSet>, TableError> {
    let reader = match file.text().await {
        Ok(reader) => reader,
        Err(SuperfileError::NotIndexed { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let prepare = match reader.prepare(query) {
        Ok(prepare) => prepare,
        Err(error @ FtsError::Corrupt(_)) => return Err(error.into()),
        // What the index cannot be asked is evaluated row by row, a phrase without positions for one.
        Err(_) => return Ok(None),
    };
    let prepared = match file.run_text(prepare).await {
        Ok(prepared) => prepared,
        // A pattern that stands for too many terms is cheaper to evaluate row by row.
        Err(SuperfileError::Text(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(file.run_text(reader.matches(&prepared)?).await?))
}

fn text_index<'a>(schema: &'a TableSchema, column: &str) -> Option<&'a TextIndex> {
    schema.indexes.text.iter().find(|index| index.column == column)
}

/// The column that `expr` is.
fn bare(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Alias(alias) => bare(&alias.expr),
        _ => None,
    }
}

/// The column that `expr` is, a change of its string type aside.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })
            if field.data_type().is_string() =>
        {
            column(expr)
        }
        Expr::Alias(alias) => column(&alias.expr),
        _ => None,
    }
}

/// The text that `expr` is.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => scalar_text(value),
        Expr::Alias(alias) => text(&alias.expr),
        _ => None,
    }
}

fn scalar_text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn equals(index: &TextIndex, value: &str) -> Option<Test> {
    let field = index.column.as_str();
    if index.analyzer == KEYWORD {
        let query = Query::term(field, value);
        return Some(Test::Text { query, exact: value.len() <= WHOLE_BYTES_MAX });
    }
    let words = Analyzer::named(&index.analyzer).ok()?.analyze(value);
    if words.is_empty() {
        return None;
    }
    let query = Query::matching(field, value, infino_fts::Operator::And);
    Some(Test::Text { query, exact: false })
}

/// A piece of a LIKE pattern.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    One,
    Any,
}

fn pieces(pattern: &str, escape: char) -> Option<Vec<Piece>> {
    let mut pieces: Vec<Piece> = Vec::new();
    let literal = |pieces: &mut Vec<Piece>, c: char| match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(c),
        _ => pieces.push(Piece::Text(c.into())),
    };
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => literal(&mut pieces, chars.next()?),
            '%' => pieces.push(Piece::Any),
            '_' => pieces.push(Piece::One),
            c => literal(&mut pieces, c),
        }
    }
    Some(pieces)
}

fn like(index: &TextIndex, pieces: &[Piece]) -> Option<Test> {
    let field = index.column.clone();
    let bytes: usize = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.len(),
            _ => 4,
        })
        .sum();
    match index.analyzer.as_str() {
        KEYWORD if bytes > WHOLE_BYTES_MAX => None,
        KEYWORD => match pieces {
            [Piece::Text(text), Piece::Any] => {
                let query = Query::Prefix { field, text: text.clone() };
                Some(Test::Text { query, exact: true })
            }
            [Piece::Text(text)] => equals(index, text),
            // Only how it begins: a long value is a term cut short, so what a pattern asks of its end may be gone.
            [Piece::Text(text), ..] => Some(Test::Text {
                query: Query::Prefix { field, text: text.clone() },
                exact: false,
            }),
            _ => None,
        },
        TRIGRAMS => {
            let texts = pieces.iter().filter_map(|piece| match piece {
                Piece::Text(text) if text.chars().count() >= 3 => Some(text),
                _ => None,
            });
            let queries =
                texts.map(|text| Query::matching(field.clone(), text, infino_fts::Operator::And));
            let queries = queries.collect::<Vec<_>>();
            if queries.is_empty() {
                return None;
            }
            Some(Test::Text { query: Query::all(queries), exact: false })
        }
        _ => None,
    }
}

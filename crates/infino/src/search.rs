//! A search, from question to rows.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::DataType;
use infino_fts::{Analyzer, Operator, Query};
use infino_manifest::Snapshot;
use infino_table::query::{hybrid, matching, rows, text, vector};
use infino_table::{Fusion, Hit, RowFilter, Table, TableError};
use infino_vector::SearchParams;

use crate::index_spec::KEYWORD;
use crate::trace::{span, traced};
use crate::{Error, Predicate, Supertable, TextMode};

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Question {
    Bm25 {
        column: String,
        query: String,
        mode: TextMode,
    },
    Vector {
        column: String,
        vector: Arc<[f32]>,
    },
    Hybrid {
        text_column: String,
        query: String,
        mode: TextMode,
        vector_column: String,
        vector: Arc<[f32]>,
        fusion: Fusion,
    },
    Tokens {
        column: String,
        tokens: String,
    },
    Exact {
        column: String,
        value: String,
    },
}

impl Question {
    /// What it is called in traces.
    fn kind(&self) -> &'static str {
        match self {
            Self::Bm25 { .. } => "text",
            Self::Vector { .. } => "vector",
            Self::Hybrid { .. } => "hybrid",
            Self::Tokens { .. } => "tokens",
            Self::Exact { .. } => "exact",
        }
    }

    /// What the value of a hit is called; `None` if the rows are not ranked.
    pub(crate) fn value_name(&self) -> Option<&'static str> {
        match self {
            Self::Bm25 { .. } | Self::Hybrid { .. } => Some("score"),
            Self::Vector { .. } => Some("distance"),
            Self::Tokens { .. } | Self::Exact { .. } => None,
        }
    }
}

/// How a vector question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct VectorOptions {
    pub(crate) exact: bool,
    pub(crate) nprobe: Option<u32>,
    pub(crate) target_recall: Option<f32>,
}

/// A search that runs when it is awaited.
///
/// ```no_run
/// # async fn example(docs: infino::Supertable) -> Result<(), infino::Error> {
/// let hits = docs.bm25_search("body", "object storage", 10, &["path"]).filter("lang = 'rust'").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a search runs when it is awaited"]
pub struct Search {
    table: Supertable,
    question: Question,
    k: usize,
    columns: Vec<String>,
    filter: Option<Predicate>,
    options: VectorOptions,
}

impl Search {
    pub(crate) fn new(table: Supertable, question: Question, k: usize, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { table, question, k, columns, filter: None, options: VectorOptions::default() }
    }

    /// Ranks only rows that `predicate` holds for: min(k, such rows) rows come back.
    pub fn filter(mut self, predicate: impl Into<Predicate>) -> Self {
        self.filter = Some(predicate.into());
        self
    }

    /// Compares the query with every vector, whatever the index says.
    pub fn exact(mut self) -> Self {
        self.options.exact = true;
        self
    }

    /// Clusters to probe in each file, in place of what the index was calibrated for.
    pub fn nprobe(mut self, nprobe: u32) -> Self {
        self.options.nprobe = Some(nprobe);
        self
    }

    /// Recall@10 to aim for, in place of the column's own.
    pub fn target_recall(mut self, recall: f32) -> Self {
        self.options.target_recall = Some(recall);
        self
    }

    /// How the text of a BM25 or hybrid search is understood; [`TextMode::Any`] unless said.
    pub fn mode(mut self, new: TextMode) -> Self {
        if let Question::Bm25 { mode, .. } | Question::Hybrid { mode, .. } = &mut self.question {
            *mode = new;
        }
        self
    }

    /// How a hybrid search fuses its two rankings.
    pub fn fusion(mut self, new: Fusion) -> Self {
        if let Question::Hybrid { fusion, .. } = &mut self.question {
            *fusion = new;
        }
        self
    }

    async fn run(self) -> Result<Vec<RecordBatch>, Error> {
        let snapshot = self.table.pin().await?;
        let filter =
            self.filter.map(|predicate| self.table.filter(&snapshot, predicate)).transpose()?;
        let columns = self.columns.iter().map(String::as_str).collect::<Vec<_>>();
        let table = self.table.table();
        let batch = answer(
            table,
            &snapshot,
            &self.question,
            self.k,
            self.options,
            &columns,
            filter.as_ref(),
        )
        .await?;
        Ok(vec![batch])
    }
}

impl IntoFuture for Search {
    type Output = Result<Vec<RecordBatch>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = span!(
            "search",
            table = self.table.name(),
            kind = self.question.kind(),
            k = self.k,
            filtered = self.filter.is_some(),
        );
        Box::pin(traced(span, self.run()))
    }
}

/// Finds the rows that answer `question` on `snapshot` and fetches `columns` of them.
pub(crate) async fn answer(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    question: &Question,
    k: usize,
    options: VectorOptions,
    columns: &[&str],
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<RecordBatch, Error> {
    // Before any work: a misspelt column must not cost a search.
    rows::result_schema(snapshot, question.value_name(), columns)?;
    let hits = find(table, snapshot, question, k, options, filter).await?;
    Ok(rows::fetch(table, snapshot, &hits, question.value_name(), columns).await?)
}

pub(crate) async fn find(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    question: &Question,
    k: usize,
    options: VectorOptions,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, Error> {
    let params = |k| SearchParams {
        k,
        exact: options.exact,
        nprobe: options.nprobe,
        target_recall: options.target_recall,
        ..SearchParams::default()
    };
    Ok(match question {
        Question::Bm25 { column, query, mode } => {
            text::index(snapshot, column)?;
            text::search(table, snapshot, &mode.query(column, query)?, k, filter).await?
        }
        Question::Vector { column, vector } => {
            vector::search(table, snapshot, column, vector, &params(k), filter).await?
        }
        Question::Hybrid { text_column, query, mode, vector_column, vector, fusion } => {
            text::index(snapshot, text_column)?;
            let query = mode.query(text_column, query)?;
            hybrid::search(table, snapshot, &query, vector_column, vector, k, *fusion, filter)
                .await?
        }
        Question::Tokens { column, tokens } => {
            text::index(snapshot, column)?;
            matching::search(
                table,
                snapshot,
                &Query::matching(column, tokens, Operator::And),
                k,
                filter,
            )
            .await?
        }
        Question::Exact { column, value } => {
            exact(table, snapshot, column, value, k, filter).await?
        }
    })
}

/// Rows whose `column` equals `value`: the index bounds them, the column itself decides, since a term may stand for more
/// than one value.
async fn exact(
    table: &Table,
    snapshot: &Arc<Snapshot>,
    column: &str,
    value: &str,
    limit: usize,
    filter: Option<&Arc<dyn RowFilter>>,
) -> Result<Vec<Hit>, Error> {
    let index = text::index(snapshot, column)?;
    let query = Query::matching(column, value, Operator::And);
    let words = Analyzer::named(&index.analyzer).map_err(TableError::from)?.analyze(value);
    if index.analyzer != KEYWORD && words.is_empty() {
        return Err(Error::invalid(format!(
            "column {column:?} is indexed by words, of which {value:?} has none; make it a keyword column to match it"
        )));
    }
    let mut wanted = limit;
    loop {
        let found = matching::search(table, snapshot, &query, wanted, filter).await?;
        let exhausted = found.len() < wanted;
        let values = rows::fetch(table, snapshot, &found, None, &[column]).await?;
        let equal = equals(values.column(1), value)?;
        let mut hits = found
            .into_iter()
            .zip(equal.iter())
            .filter(|(_, equal)| *equal == Some(true))
            .map(|(hit, _)| hit);
        let hits: Vec<Hit> = hits.by_ref().take(limit).collect();
        if exhausted || hits.len() == limit {
            return Ok(hits);
        }
        wanted = wanted.saturating_mul(4).max(64);
    }
}

fn equals(column: &dyn Array, value: &str) -> Result<BooleanArray, Error> {
    let text = compute::cast(column, &DataType::Utf8)?;
    Ok(text.as_string::<i32>().iter().map(|found| found.map(|found| found == value)).collect())
}

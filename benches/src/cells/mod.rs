//! The cells: kind × scope × place. Each makes what it needs, asks, and puts its figures beside others.

mod superfile;
mod table;

use std::error::Error;
use std::fmt;

use crate::Options;
use crate::corpus::Corpus;
use crate::measure::Figure;
use crate::place::{Place, Site};

/// Rows that a search is to give.
const K: usize = 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Vector,
    Filtered,
    Hybrid,
    Sql,
    Ingest,
    Commit,
    Cold,
}

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One file.
    Superfile,
    /// A table, through the public API.
    Table,
}

/// A cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    kind: Kind,
    scope: Scope,
    place: Place,
}

impl Cell {
    /// Every cell there is: a file alone answers no hybrid query, and as plain Parquet it is read from a disk.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = [
            Kind::Text,
            Kind::Vector,
            Kind::Filtered,
            Kind::Hybrid,
            Kind::Sql,
            Kind::Ingest,
            Kind::Commit,
            Kind::Cold,
        ];
        let scopes = [Scope::Superfile, Scope::Table];
        let all = kinds.into_iter().flat_map(move |kind| {
            scopes.into_iter().flat_map(move |scope| {
                Place::ALL.into_iter().map(move |place| Self { kind, scope, place })
            })
        });
        all.filter(|cell| match (cell.scope, cell.kind) {
            (Scope::Superfile, Kind::Hybrid) => false,
            (Scope::Superfile, Kind::Sql) => cell.place == Place::Disk,
            _ => true,
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Text => "text",
            Kind::Vector => "vector",
            Kind::Filtered => "filtered",
            Kind::Hybrid => "hybrid",
            Kind::Sql => "sql",
            Kind::Ingest => "ingest",
            Kind::Commit => "commit",
            Kind::Cold => "cold",
        };
        let scope = if self.scope == Scope::Table { "table" } else { "superfile" };
        write!(f, "{kind}/{scope}/{}", self.place.name())
    }
}

/// Runs a cell.
pub(crate) async fn run(cell: Cell, options: &Options) -> Result<Vec<Figure>, Box<dyn Error>> {
    let corpus = Corpus::of(options);
    let site = Site::new(cell.place, options.threads);
    let mut figures = match cell.scope {
        Scope::Superfile => superfile::run(cell.kind, &corpus, site, options).await?,
        Scope::Table => table::run(cell.kind, &corpus, &site, options).await?,
    };
    figures.iter_mut().for_each(|figure| figure.cell = cell.to_string());
    Ok(figures)
}

/// Statements of the cells `sql`.
const STATEMENTS: [(&str, &str); 4] = [
    (
        "aggregate",
        "SELECT tag, count(*), avg(n) FROM bench GROUP BY tag ORDER BY 2 DESC, 1 LIMIT 10",
    ),
    ("range", "SELECT count(*) FROM bench WHERE n BETWEEN 1000 AND 2000"),
    ("like", "SELECT count(*) FROM bench WHERE body LIKE '%zz%'"),
    ("point", "SELECT body FROM bench WHERE n = 1234"),
];

/// Shares of the rows that the cells `filtered` let pass.
const SHARES: [(&str, f64); 4] = [("50%", 0.5), ("10%", 0.1), ("1%", 0.01), ("0.1%", 0.001)];

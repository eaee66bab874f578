//! What the commands that ask a table, or look after one, can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `infino demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder with text files, may be repeated [default: the Rust dependencies on this machine]
    #[arg(long = "path", value_name = "DIR")]
    pub paths: Vec<PathBuf>,
    /// Read at most this much text, in megabytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_mb: Option<u64>,
    /// What to search for
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
}

/// How rows are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// BM25 over a full-text column
    Keyword,
    /// Nearest vectors
    Vector,
    /// Both rankings fused
    Hybrid,
}

/// `infino search`.
#[derive(Debug, Args)]
pub struct Search {
    /// What to search for
    #[arg(required_unless_present = "vector")]
    pub text: Option<String>,
    /// Table to search [default: the only one]
    #[arg(short, long, value_name = "NAME")]
    pub table: Option<String>,
    /// Vector to search for: a file (.npy, .fvecs, or numbers as JSON), or - for standard input
    #[arg(long, value_name = "FILE")]
    pub vector: Option<PathBuf>,
    /// Which vector of the file, from 0
    #[arg(long, value_name = "N", default_value_t = 0, requires = "vector")]
    pub vector_row: usize,
    /// How to rank [default: by what is given: text, vector, or both]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// How the text is understood: any, all, phrase, prefix, query
    #[arg(long, default_value = "any", value_name = "HOW")]
    pub text_mode: String,
    /// Full-text column [default: the only one]
    #[arg(long, value_name = "COLUMN")]
    pub text_column: Option<String>,
    /// Vector column [default: the only one]
    #[arg(long, value_name = "COLUMN")]
    pub vector_column: Option<String>,
    /// How many rows
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub k: u32,
    /// Only rows for which this SQL condition holds
    #[arg(long = "where", value_name = "SQL")]
    pub predicate: Option<String>,
    /// Columns to show, by comma [default: all but vectors]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    pub columns: Vec<String>,
}

/// `infino sql`.
#[derive(Debug, Args)]
pub struct Sql {
    /// Statements, by semicolon; - reads them from standard input [default: a prompt]
    pub statement: Option<String>,
    /// Reads statements from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    pub file: Option<PathBuf>,
    /// Value of $1, then $2, …: a number, true, null, a list of numbers for a vector; anything else is text
    #[arg(short, long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    pub params: Vec<String>,
}

/// `infino inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Table to look at [default: all, in a line each]
    pub table: Option<String>,
    /// A file of the table: a part of its name that no other has
    #[arg(long, value_name = "NAME", requires = "table")]
    pub file: Option<String>,
    /// A section of the file, by the number it is listed under
    #[arg(long, value_name = "N", requires = "file")]
    pub section: Option<usize>,
}

/// `infino history`.
#[derive(Debug, Args)]
pub struct History {
    /// Table to look at
    pub table: String,
    /// How many versions
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `infino optimize`.
#[derive(Debug, Args)]
pub struct Optimize {
    /// Table to optimize
    pub table: String,
    /// Keep what the versions of the last so many seconds need [default: the table's retention, else an hour]
    #[arg(long, value_name = "SECONDS")]
    pub keep: Option<u64>,
}

/// `infino verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Table to read
    pub table: String,
    /// Restore what can be restored: the manifest from the log, indexes from their rows; then say what is left
    #[arg(long)]
    pub repair: bool,
}

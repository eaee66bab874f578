//! What the commands that carry rows in and out can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How rows are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// Apache Parquet
    Parquet,
    /// Comma-separated values with a header line
    Csv,
    /// Tab-separated values with a header line
    Tsv,
    /// One JSON object a line
    #[value(alias = "jsonl")]
    Ndjson,
    /// A JSON array of objects, or objects one after another
    Json,
    /// Arrow's IPC format
    #[value(aliases = ["ipc", "feather"])]
    Arrow,
}

/// `infino import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Table to fill; made if it is not there
    pub table: String,
    /// What to read: files, folders, patterns such as 'logs/*.ndjson.gz', s3://bucket/key, - for standard input
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// How the sources are laid out [default: what their names say]
    #[arg(short, long, value_enum)]
    pub format: Option<FileFormat>,
    /// Text column to index for BM25, COLUMN or COLUMN:ANALYZER; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub fts: Vec<String>,
    /// Text column to index by its whole value; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub keyword: Vec<String>,
    /// Vector column to index, COLUMN:DIM:METRIC:RECALL, all but the column optional (l2, cosine, ip, hamming); may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub vector: Vec<String>,
    /// Column whose value is unique: rows take the place of those with the same one; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub key: Vec<String>,
    /// The columns to read, by comma [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    pub columns: Vec<String>,
    /// The table must not be there yet
    #[arg(long, conflicts_with = "append")]
    pub create: bool,
    /// The table must be there; a row whose key is taken is an error
    #[arg(long)]
    pub append: bool,
    /// Go on where an import of the same sources ended
    #[arg(long)]
    pub resume: bool,
    /// Leave out fields that the table does not have
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Rows from which the types of CSV and JSON are inferred
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub infer_rows: u32,
    /// What stands between values of CSV [default: a comma, in TSV a tab]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<char>,
    /// CSV has no header line: columns are column_1, column_2, …
    #[arg(long)]
    pub no_header: bool,
    /// Commit whenever rows of so many megabytes have come in [default: 256, and 64 with a key]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub commit_mb: Option<u32>,
}

/// `infino export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Table to read
    pub table: String,
    /// File to write, or - for standard output
    #[arg(default_value = "-")]
    pub target: PathBuf,
    /// How to lay out the rows [default: what the file's name says; on standard output --output, else CSV]
    #[arg(short, long, value_enum)]
    pub format: Option<FileFormat>,
    /// Only rows for which this SQL condition holds
    #[arg(long = "where", value_name = "SQL")]
    pub predicate: Option<String>,
    /// Columns to write, by comma [default: all but _id]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    pub columns: Vec<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

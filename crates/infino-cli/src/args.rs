//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::Format;

/// Where the demo puts its tables, and where the other commands look without `--store`.
pub const STORE: &str = "./infino-demo";
/// The environment variable that stands in for `--store`.
pub const STORE_VARIABLE: &str = "INFINO_STORE";

/// SQL, full-text, vector and hybrid search over one copy of your data in Parquet.
#[derive(Debug, Parser)]
#[command(name = "infino", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Indexes real files of this machine and shows what can be asked of them
    Demo(Demo),
    /// Finds the rows of a table that best answer a text
    Search(Search),
    /// Runs an SQL statement over the tables of a store
    Sql(Sql),
    /// Shows the tables of a store, or one table's columns, indexes and files
    Inspect(Inspect),
    /// Shows the last versions of a table: when, what kind of change, how much
    History(History),
    /// Puts inserted rows into files, merges small files, removes what no kept version needs
    Optimize(Optimize),
    /// Reads a whole table and says what is not as it was written
    Verify(Verify),
}

/// Which store.
#[derive(Debug, Clone, Args)]
pub struct Store {
    /// Store with the tables: a folder, memory://, s3://bucket/prefix [default: $INFINO_STORE, else ./infino-demo]
    #[arg(long = "store", visible_alias = "uri", value_name = "URI")]
    uri: Option<String>,
}

impl Store {
    /// The store to use: what was asked for, what the environment says, or the demo's.
    pub fn uri(&self) -> String {
        let set = || std::env::var(STORE_VARIABLE).ok().filter(|uri| !uri.is_empty());
        self.uri.clone().or_else(set).unwrap_or_else(|| STORE.to_owned())
    }
}

/// `infino demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder with text files, may be repeated [default: the Rust dependencies on this machine]
    #[arg(long = "path", value_name = "DIR")]
    pub paths: Vec<PathBuf>,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
    /// Read at most this much text, in megabytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_mb: Option<u64>,
    /// What to search for
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
}

/// How a text is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// BM25 over a full-text column
    Keyword,
    /// Nearest vectors to the text's own
    Vector,
    /// Both rankings fused
    Hybrid,
}

/// `infino search`.
#[derive(Debug, Args)]
pub struct Search {
    /// What to search for
    pub text: String,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
    /// Table to search
    #[arg(long, default_value = crate::demo::TABLE, value_name = "NAME")]
    pub table: String,
    /// How to rank; vectors are those of the demo
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    pub mode: Mode,
    /// Full-text column
    #[arg(long, default_value = "text", value_name = "COLUMN")]
    pub text_column: String,
    /// Vector column
    #[arg(long, default_value = "embedding", value_name = "COLUMN")]
    pub vector_column: String,
    /// How many rows
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub k: u32,
    /// Only rows for which this SQL condition holds
    #[arg(long = "where", value_name = "SQL")]
    pub predicate: Option<String>,
    /// Columns to show, by comma [default: all but vectors]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    pub columns: Vec<String>,
    /// How to print rows
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// `infino sql`.
#[derive(Debug, Args)]
pub struct Sql {
    /// The statement; - reads it from standard input
    pub statement: String,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
    /// How to print rows
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// `infino inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Table to look at [default: all, in a line each]
    pub table: Option<String>,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
}

/// `infino history`.
#[derive(Debug, Args)]
pub struct History {
    /// Table to look at
    pub table: String,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
    /// How many versions
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `infino optimize`.
#[derive(Debug, Args)]
pub struct Optimize {
    /// Table to optimize
    pub table: String,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
}

/// `infino verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Table to read
    pub table: String,
    /// Which store.
    #[command(flatten)]
    pub store: Store,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_asked_for_goes_before_the_default() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args).expect("a sound line").command {
            Command::Search(search) => search,
            other => panic!("{other:?}"),
        };
        let search = parse(&["infino", "search", "x", "--store", "s3://b/p", "--columns", "a,b"]);
        assert_eq!(search.store.uri(), "s3://b/p");
        assert_eq!(search.columns, ["a", "b"]);
        assert_eq!(
            parse(&["infino", "search", "x", "--uri", "memory://"]).store.uri(),
            "memory://"
        );
    }
}

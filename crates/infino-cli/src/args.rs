//! The command line, as clap reads it.

mod data;
mod global;
mod table;

use clap::{Args, Parser, Subcommand};

pub use data::{Export, FileFormat, Import};
pub use global::Global;
pub use table::{Demo, History, Inspect, Mode, Optimize, Search, Sql, Verify};

const AFTER_HELP: &str = "\
Where the tables are: --uri, else $INFINO_URI, else `uri` in infino.toml (this folder's, else the one of the user).

Exit codes: 0 done; 1 the request cannot be answered; 2 the command line cannot be read; 3 the store does not answer and
may later; 4 stored bytes are damaged; 5 a defect of infino or the machine; 130 stopped by ^C.";

/// SQL, full-text, vector and hybrid search over one copy of your data in Parquet.
#[derive(Debug, Parser)]
#[command(name = "infino", version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command can be told.
    #[command(flatten)]
    pub global: Global,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Indexes real files of this machine and shows what can be asked of them
    Demo(Demo),
    /// Reads Parquet, CSV, JSON or Arrow into a table
    Import(Import),
    /// Writes a table's rows as Parquet, CSV, JSON or Arrow
    Export(Export),
    /// Finds the rows of a table that best answer a text, a vector, or both
    Search(Search),
    /// Runs SQL over the tables of a store; without a statement, at a prompt
    Sql(Sql),
    /// Lists the tables of a store
    Tables,
    /// Shows one table's columns, indexes and files; a file's parts; a section's insides
    Inspect(Inspect),
    /// Shows the last versions of a table: when, what kind of change, how much
    History(History),
    /// Puts inserted rows into files, merges small files, removes what no kept version needs
    Optimize(Optimize),
    /// Reads a whole table and says what is not as it was written
    Verify(Verify),
    /// Prints the completions of a shell, to be put where it looks for them
    Completions(Completions),
}

/// `infino completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
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
    fn what_every_command_takes_may_stand_before_or_behind_it() {
        for line in [
            ["infino", "--uri", "s3://b/p", "search", "x", "--columns", "a,b"],
            ["infino", "search", "x", "--columns", "a,b", "--uri", "s3://b/p"],
            ["infino", "search", "x", "--store", "s3://b/p", "--columns", "a,b"],
        ] {
            let cli = Cli::try_parse_from(line).expect("a sound line");
            assert_eq!(cli.global.uri.as_deref(), Some("s3://b/p"));
            let Command::Search(search) = cli.command else { panic!("it searches") };
            assert_eq!(search.columns, ["a", "b"]);
        }
    }
}

//! The infino command line, as a library: the binary `infino` calls [`main`].
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the command line |
//! | [`demo`] | `infino demo`: real files in, every kind of question out |
//! | [`search`], [`sql`], [`inspect`] | what is in a store |
//! | [`upkeep`] | `infino history`, `infino optimize`, `infino verify` |
//! | [`corpus`], [`embed`] | passages of real text and their vectors |
//! | [`output`], [`hits`], [`stopwatch`] | what is printed |
#![forbid(unsafe_code)]

pub mod args;
pub mod corpus;
pub mod demo;
pub mod embed;
mod error;
pub mod hits;
pub mod inspect;
pub mod output;
pub mod search;
pub mod sql;
pub mod stopwatch;
pub mod upkeep;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use args::{Cli, Command};
pub use error::CliError;

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = io::stdout().lock();
    match run(cli, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let red = console::Style::new().for_stderr().red().bold();
            // If the terminal is gone as well, the exit code has to do.
            let _ = writeln!(io::stderr(), "{} {error}", red.apply_to("error:"));
            error.exit_code()
        }
    }
}

fn run(cli: Cli, out: &mut impl Write) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match &cli.command {
            Command::Demo(args) => demo::run(args, out).await,
            Command::Search(args) => search::run(args, out).await,
            Command::Sql(args) => sql::run(args, out).await,
            Command::Inspect(args) => inspect::run(args, out).await,
            Command::History(args) => upkeep::history(args, out).await,
            Command::Optimize(args) => upkeep::optimize(args, out).await,
            Command::Verify(args) => upkeep::verify(args, out).await,
        }
    })?;
    Ok(out.flush()?)
}

/// Connects with the memory that a command line may take.
async fn connect(uri: &str) -> Result<infino::Connection, infino::Error> {
    let options =
        infino::ConnectOptions::new().write_buffer_bytes(96 << 20).sql_memory_bytes(256 << 20);
    infino::connect_with(uri, options).await
}

//! The infino command line, as a library: the binary `infino` calls [`main`].
//!
//! | module | what it does |
//! |---|---|
//! | [`args`], [`settings`] | the command line; with it the environment and a file |
//! | [`import`], [`export`] | rows in, rows out |
//! | [`demo`] | `infino demo`: real files in, every kind of question out |
//! | [`search`], [`sql`], [`inspect`] | what is in a store |
//! | [`upkeep`] | `infino history`, `infino optimize`, `infino verify` |
//! | [`corpus`], [`embed`], [`vectors`] | passages of real text and their vectors; vectors from files |
//! | [`output`], [`hits`], [`stopwatch`] | what is printed |
#![forbid(unsafe_code)]

pub mod args;
pub mod corpus;
pub mod demo;
pub mod embed;
mod error;
pub mod export;
pub mod hits;
pub mod import;
pub mod inspect;
pub mod output;
pub mod search;
pub mod settings;
pub mod sql;
pub mod stopwatch;
pub mod upkeep;
pub mod vectors;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
pub use error::CliError;
use settings::Settings;

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        // What was done before has been told.
        Err(error @ CliError::Stopped) => error.exit_code(),
        Err(error) => {
            let red = console::Style::new().for_stderr().red().bold();
            // If the terminal is gone as well, the exit code has to do.
            let _ = writeln!(io::stderr(), "{} {error}", red.apply_to("error:"));
            error.exit_code()
        }
    }
}

fn run(cli: &Cli, out: &mut (impl Write + Send)) -> Result<(), CliError> {
    if let Command::Completions(args) = &cli.command {
        let mut script = Vec::new();
        clap_complete::generate(args.shell, &mut Cli::command(), "infino", &mut script);
        return Ok(out.write_all(&script)?);
    }
    let settings = Settings::resolve(&cli.global, |name| std::env::var_os(name))?;
    let settings = &settings;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match &cli.command {
            Command::Demo(args) => demo::run(args, settings, out).await,
            Command::Import(args) => import::run(args, settings, out).await,
            Command::Export(args) => export::run(args, settings, out).await,
            Command::Search(args) => search::run(args, settings, out).await,
            Command::Sql(args) => sql::run(args, settings, out).await,
            Command::Tables => {
                inspect::tables(&settings.connect().await?, settings.output(), out).await
            }
            Command::Inspect(args) => inspect::run(args, settings, out).await,
            Command::History(args) => upkeep::history(args, settings, out).await,
            Command::Optimize(args) => upkeep::optimize(args, settings, out).await,
            Command::Verify(args) => upkeep::verify(args, settings, out).await,
            Command::Completions(_) => Ok(()),
        }
    });
    // A thread that waits for standard input would be waited for.
    runtime.shutdown_background();
    outcome?;
    Ok(out.flush()?)
}

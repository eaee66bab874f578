//! The chores of the workspace: `cargo xtask <chore>`. Without a chore it lists them.
//!
//! Depends on nothing but the standard library, so that it builds in seconds on a fresh machine.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod azurite;
mod checks;
mod cmd;
mod docs;
mod error;
mod faults;
mod peers;
mod python;
mod tests_run;
mod tidy;
mod wheel;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use cmd::Cmd;
use error::Failed;

const USAGE: &str = "\
usage: cargo xtask <chore> [arguments]

  test [--no-python] [cargo test arguments]
          all tests: Rust, documentation examples, the open-format check, which reads our files
          with pyarrow, DuckDB, Polars and fastparquet, and the Python package, both in a virtual
          environment it keeps in .venv; storage on Azure's emulator too, which it keeps in .azurite, if npm is there
  ci [--checks-only]
          test, then fmt, clippy and doc without warnings, then tidy
  tidy    longest files and functions; file length, layers, homes, leftover marks, doc links
  golden [-p CRATE ...]
          rewrites the pinned bytes of the format tests; read the diff before committing it
  docs [--bin DIR] [PAGE ...]
          runs every block of code in the README and under docs/, or on the pages named, with the
          binary in DIR or a new one; part of `test`
  faults [--row F1 ...] [--soak] [--json FILE]
          the rows of the table of faults in release: how often each was tried, what went wrong,
          the seed that replays it
  wheel [maturin arguments]
          builds the Python package in release, a wheel in dist
  sim [--seeds N] [--seed SEED --show]
          plays seeded simulations of several processes on one table, in release; says which do not
          hold and how to replay them
  bench [arguments]
          what searches, statements and commits cost, in release: `bench --quick`, `bench --help`
  bench peers [arguments]
          the same beside other engines, from a virtual environment that it keeps in .venv-peers
  limits [--rows N] [--budget-mib N]
          ten million rows in 4 GiB: ingested, optimised, queried, with the curve of memory
  demo [arguments]
          runs `infino demo` in release
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(chore) = args.next() else {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    let args: Vec<String> = args.collect();
    match run(&root(), &chore, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("xtask {chore}: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, chore: &str, args: &[String]) -> Result<(), Failed> {
    match chore {
        "test" => tests_run::test(root, args),
        "ci" => checks::ci(root, args),
        "tidy" => tidy::tidy(root),
        "docs" => tests_run::docs(root, args),
        "faults" => faults::faults(root, args),
        "golden" => tests_run::golden(root, args),
        "wheel" => wheel::wheel(root, args),
        "bench" if args.first().is_some_and(|arg| arg == "peers") => peers::peers(root, &args[1..]),
        "limits" => bench(root, "limits", args),
        "bench" => bench(root, "infino-bench", args),
        "sim" => {
            let sim = ["run", "--release", "--quiet", "-p", "infino-sim", "--"];
            Cmd::cargo(root).args(sim).args(args).run()
        }
        "demo" => {
            let demo = ["run", "--release", "-p", "infino-cli", "--", "demo"];
            Cmd::cargo(root).args(demo).args(args).run()
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Failed::new(format!("no chore {other:?}\n\n{USAGE}"))),
    }
}

/// Runs a program of `benches` in release.
fn bench(root: &Path, program: &str, args: &[String]) -> Result<(), Failed> {
    let bench = ["run", "--release", "-p", "infino-bench", "--features", "table", "--bin"];
    Cmd::cargo(root).args(bench).args([program, "--"]).args(args).run()
}

/// The folder of the workspace: this crate's parent.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask sits in the workspace").to_owned()
}

//! `bench peers`: our engine and the others, built or installed, then asked the same in one run.

use std::path::Path;

use crate::{cmd::Cmd, error::Failed, python, tests_run};

const VENV: &str = ".venv-peers";
const PINS: &str = "benches/peers/requirements.txt";

/// Builds `infino-peer` in release, makes the Python environment of the peers, and runs `benches/peers/run.py`.
pub(crate) fn peers(root: &Path, args: &[String]) -> Result<(), Failed> {
    let python = python::pinned(root, VENV, PINS)?;
    let build = ["build", "--release", "-p", "infino-bench", "--features", "table"];
    Cmd::cargo(root).args(build).args(["--bin", "infino-peer"]).run()?;
    let ours = tests_run::target(root).join("release/infino-peer");
    let run = Path::new("benches/peers/run.py");
    Cmd::new(root, &python).args([run]).args(["--ours"]).args([&ours]).args(args).run()
}

//! Python: virtual environments with pinned packages, of the tests in `.venv`, of the peers of the benchmarks in
//! `.venv-peers`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cmd::Cmd, error::Failed};

/// The Python of the tests.
pub(crate) fn environment(root: &Path) -> Result<PathBuf, Failed> {
    pinned(root, ".venv", "tests/requirements.txt")
}

/// Makes the folder `venv` hold what the file `pins` pins, and returns its interpreter.
///
/// A stamp of the pins makes the second call instant. A machine without Python, or with the Debian
/// split of its `venv` module, gets them from apt when this runs as root.
pub(crate) fn pinned(root: &Path, venv: &str, pins: &str) -> Result<PathBuf, Failed> {
    let pins_path = root.join(pins);
    let pins = fs::read_to_string(&pins_path).map_err(|error| Failed::at(&pins_path, &error))?;
    let venv = root.join(venv);
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = venv.join("installed-requirements.txt");
    let works = Cmd::new(root, &python).args(["-m", "pip", "--version"]).succeeds();
    if works && fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        return Ok(python);
    }
    if !works {
        create(root, &venv)?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    Cmd::new(root, &python).args(install).args([&pins_path]).run()?;
    fs::write(&stamp, pins).map_err(|error| Failed::at(&stamp, &error))?;
    Ok(python)
}

fn create(root: &Path, venv: &Path) -> Result<(), Failed> {
    if try_create(root, venv) {
        return Ok(());
    }
    let apt = Cmd::new(root, "apt-get").args(["--version"]).succeeds();
    if apt && is_root(root) {
        let quiet = |cmd: Cmd| cmd.env("DEBIAN_FRONTEND", "noninteractive");
        let install = ["install", "-y", "-qq", "--no-install-recommends", "python3-venv"];
        // Package lists may be old or absent in a container; a failed refresh may still do.
        let _ = quiet(Cmd::new(root, "apt-get").args(["update", "-qq"])).run();
        quiet(Cmd::new(root, "apt-get").args(install)).run()?;
        if try_create(root, venv) {
            return Ok(());
        }
    }
    Err(Failed::new(
        "Python 3.10 or newer with its venv module is needed to check our files with pyarrow and \
         DuckDB.\nInstall it (Debian, Ubuntu: `apt-get install python3-venv`; Fedora: `dnf install \
         python3`; macOS: `brew install python`) and run this again, or run `cargo xtask test \
         --no-python` for the Rust tests alone.",
    ))
}

fn try_create(root: &Path, venv: &Path) -> bool {
    let made = Cmd::new(root, "python3").args(["-m", "venv", "--clear"]).args([venv]).succeeds();
    if !made {
        // Half an environment would look like a whole one to the next run.
        let _ = fs::remove_dir_all(venv);
    }
    made
}

fn is_root(root: &Path) -> bool {
    Cmd::new(root, "sh").args(["-c", "test \"$(id -u)\" = 0"]).succeeds()
}

//! The Azure Blob Storage emulator of the storage tests, in `.azurite`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::cmd::Cmd;

/// The newest that runs on the Node.js of current long-term distributions.
const PACKAGE: &str = "azurite@3.35.0";

/// The emulator's program, installed with npm the first time; where there is none, why.
///
/// # Errors
/// What the tests go without, in words for a person.
pub(crate) fn program(root: &Path) -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("INFINO_AZURITE") {
        return Ok(given.into());
    }
    let folder = root.join(".azurite");
    let program = folder.join("node_modules/.bin").join(if cfg!(windows) {
        "azurite-blob.cmd"
    } else {
        "azurite-blob"
    });
    let stamp = folder.join("installed-package.txt");
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return Ok(program);
    }
    if !Cmd::new(root, "npm").args(["--version"]).succeeds() {
        return Err("npm is not on the PATH; install Node.js to run them".to_owned());
    }
    println!("installing {PACKAGE} in {}", folder.display());
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let install = ["install", PACKAGE, "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    if !Cmd::new(root, "npm").args(install).args([&folder]).succeeds() || !program.exists() {
        return Err(format!("`npm install {PACKAGE}` failed; is there a network?"));
    }
    fs::write(&stamp, PACKAGE).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(program)
}

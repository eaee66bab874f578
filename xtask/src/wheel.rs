//! The Python package: built, tested, packed as a wheel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cmd::Cmd, error::Failed, python};

/// The version of every package of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the package is.
const PACKAGE: &str = "crates/infino-python";

/// Tests the package as it was built with the workspace: its tests and the examples in its documentation by pytest, its
/// types by mypy. Every line that pytest prints is handed to `see`.
pub(crate) fn test(
    root: &Path,
    target: &Path,
    python: &Path,
    see: impl FnMut(&str),
) -> Result<(), Failed> {
    let built = target.join("debug").join(library());
    let folder = target.join("wheels");
    fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    let pack = root.join(PACKAGE).join("pack.py");
    Cmd::new(root, python).args([&pack, &built]).args([VERSION]).args([&folder]).run()?;
    let wheel = newest(&folder)?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let anew = ["--no-deps", "--force-reinstall"];
    Cmd::new(root, python).args(install).args(anew).args([&wheel]).run()?;
    let tested = Cmd::new(root, python).args(["-m", "pytest", PACKAGE]).run_seeing(see);
    let config = format!("--config-file={PACKAGE}/pyproject.toml");
    let sources = ["python/infino", "examples"].map(|folder| format!("{PACKAGE}/{folder}"));
    let typed = Cmd::new(root, python).args(["-m", "mypy", &config]).args(sources).run();
    // What the stub says of the Rust part is what is there.
    let stubs = Cmd::new(root, python).args(["-m", "mypy.stubtest", "infino._infino"]).run();
    tested.and(typed).and(stubs)
}

/// Builds the wheel for others, in release, into `dist`; `args` go to maturin.
pub(crate) fn wheel(root: &Path, args: &[String]) -> Result<(), Failed> {
    let python = python::environment(root)?;
    let manifest = format!("{PACKAGE}/Cargo.toml");
    let build = ["-m", "maturin", "build", "--release", "--manifest-path", &manifest];
    Cmd::new(root, &python).args(build).args(["--out", "dist"]).args(args).run()
}

/// What cargo calls the library of the package.
fn library() -> String {
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    format!("{prefix}_infino{suffix}")
}

/// The only wheel of this version in `folder`, whatever this machine is called in its name.
fn newest(folder: &Path) -> Result<PathBuf, Failed> {
    let start = format!("infino-{VERSION}-");
    let files = fs::read_dir(folder).map_err(|error| Failed::at(folder, &error))?;
    let mut wheels = files.filter_map(Result::ok).map(|file| file.path());
    wheels
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&start) && name.ends_with(".whl")
        })
        .ok_or_else(|| Failed::new(format!("no wheel was packed in {}", folder.display())))
}

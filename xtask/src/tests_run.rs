//! `test` and `golden`: everything a fresh machine needs, then the tests, then one closing line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{azurite, cmd::Cmd, docs, error::Failed, python, tidy::source, wheel};

/// How many tests passed, failed and were ignored, summed over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Counts a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`; others are passed by.
    fn see(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((n, "passed")) => self.passed += n.parse().unwrap_or(0),
                Some((n, "failed")) => self.failed += n.parse().unwrap_or(0),
                Some((n, "ignored")) => self.ignored += n.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Counts a closing line of pytest like `1 failed, 41 passed, 2 skipped in 3.21s`, which may stand between rules.
    fn see_pytest(&mut self, line: &str) {
        let line = line.trim_matches(['=', ' ']);
        let Some((counts, _)) = line.rsplit_once(" in ") else { return };
        for count in counts.split(", ") {
            match count.split_once(' ') {
                Some((n, "passed")) => self.passed += n.parse().unwrap_or(0),
                Some((n, "failed" | "error" | "errors")) => self.failed += n.parse().unwrap_or(0),
                Some((n, "skipped")) => self.ignored += n.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// All tests. The closing line counts them, the open-format check as one per file it compares.
pub(crate) fn test(root: &Path, args: &[String]) -> Result<(), Failed> {
    let (with_python, args) = match args.iter().position(|arg| arg == "--no-python") {
        Some(at) => (false, [&args[..at], &args[at + 1..]].concat()),
        None => (true, args.to_vec()),
    };
    // First, because it is quick: a machine that lacks Python should hear so before a long build.
    let python = if with_python { Some(python::environment(root)?) } else { None };
    let azurite = azurite::program(root);
    let mut tally = Tally::default();
    let cargo = Cmd::cargo(root).args(["test", "--workspace", "--no-fail-fast"]).args(&args);
    let tested = match &azurite {
        Ok(program) => cargo.env("INFINO_AZURITE", &program.to_string_lossy()),
        Err(_) => cargo,
    }
    .run_seeing(|line| tally.see(line));
    // A workspace of its own: it is built with optimisation and without DataFusion.
    let fuzzed = Cmd::cargo(root)
        .args(["test", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .args([target(root).join("fuzz")])
        .run_seeing(|line| tally.see(line));
    let opened = python.as_ref().map_or(Ok(()), |python| open_format(root, python, &mut tally));
    let in_python = python.as_ref().map_or(Ok(()), |python| {
        wheel::test(root, &target(root), python, |line| tally.see_pytest(line))
    });
    let documented = documents(root, python.as_deref(), &mut tally).and(examples(root, &mut tally));
    let Tally { passed, failed, ignored } = tally;
    if let Err(problem) = azurite {
        println!("SKIPPED: the storage tests on Azurite: {problem}");
    }
    println!("tests: {passed} passed, {failed} failed, {ignored} ignored");
    tested.and(fuzzed).and(opened).and(in_python).and(documented)
}

/// Writes superfiles with the example of `infino-superfile` and compares each, value by value, with
/// what pyarrow, DuckDB, Polars and fastparquet read from it.
fn open_format(root: &Path, python: &Path, tally: &mut Tally) -> Result<(), Failed> {
    let check = root.join("tests/open_format/check.py");
    if !check.exists() || !root.join("crates/infino-superfile/examples/write_sample.rs").exists() {
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("infino-open-format-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
    // Built with the whole workspace, as the tests were: a package alone has other features, and is built anew. So is the
    // library of the Python package, which no Rust test needs.
    let compared = Cmd::cargo(root)
        .args(["build", "--quiet", "--workspace", "--lib", "--example", "write_sample"])
        .run()
        .and_then(|()| {
            let sample = target(root).join("debug/examples/write_sample");
            Cmd::new(root, &sample).args([&folder]).run()
        })
        .and_then(|()| compare(root, python, &check, &folder, tally));
    let _ = fs::remove_dir_all(&folder);
    compared
}

/// Builds the binary as the tests were built: with an example the features of what is only for tests are on, without one
/// everything it depends on would be built once more.
const BUILD_BIN: [&str; 7] =
    ["build", "--quiet", "--workspace", "--bin", "infino", "--example", "write_sample"];

/// Runs the blocks of the documents, each counted as a test, with the binary that the tests of the workspace built.
fn documents(root: &Path, python: Option<&Path>, tally: &mut Tally) -> Result<(), Failed> {
    Cmd::cargo(root).args(BUILD_BIN).run()?;
    let outcome = docs::run(root, &target(root).join("debug"), python, &[]);
    match &outcome {
        Ok(count) => {
            tally.passed += count.passed;
            tally.ignored += count.skipped;
        }
        Err(_) => tally.failed += 1,
    }
    outcome.map(drop)
}

/// Examples of the crate `infino`, which take no arguments and fail if what they assert does not hold.
const EXAMPLES: [&str; 4] = ["quickstart", "folder_questions", "log_search", "product_search"];

/// Runs the examples that the tests of the workspace built, each counted as a test.
fn examples(root: &Path, tally: &mut Tally) -> Result<(), Failed> {
    Cmd::cargo(root).args(["build", "--quiet", "--workspace", "--examples"]).run()?;
    let mut outcome = Ok(());
    for name in EXAMPLES {
        let ran = Cmd::new(root, target(root).join("debug/examples").join(name)).run();
        *(if ran.is_ok() { &mut tally.passed } else { &mut tally.failed }) += 1;
        outcome = outcome.and(ran);
    }
    outcome
}

/// `docs`: only the blocks of the documents, with the binary in a folder that is named or the one that is built.
pub(crate) fn docs(root: &Path, args: &[String]) -> Result<(), Failed> {
    let (bin, pages) = match args {
        [flag, bin, pages @ ..] if flag == "--bin" => (root.join(bin), pages),
        pages => {
            Cmd::cargo(root).args(BUILD_BIN).run()?;
            (target(root).join("debug"), pages)
        }
    };
    let python = python::environment(root)?;
    docs::run(root, &bin, Some(&python), pages).map(drop)
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

fn compare(
    root: &Path,
    python: &Path,
    check: &Path,
    folder: &Path,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let pairs = samples(folder)?;
    if pairs.is_empty() {
        return Err(Failed::new("the write_sample example wrote no .parquet file with its .json"));
    }
    let mut outcome = Ok(());
    for (parquet, json) in pairs {
        let compared = Cmd::new(root, python).args([check, &parquet, &json]).run();
        *(if compared.is_ok() { &mut tally.passed } else { &mut tally.failed }) += 1;
        outcome = outcome.and(compared);
    }
    outcome
}

/// Every `NAME.parquet` in `folder` that has its `NAME.json`, by name.
fn samples(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Failed> {
    let mut pairs = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Failed::at(folder, &error))? {
        let parquet = entry.map_err(|error| Failed::at(folder, &error))?.path();
        let json = parquet.with_extension("json");
        if parquet.extension().is_some_and(|ext| ext == "parquet") && json.exists() {
            pairs.push((parquet, json));
        }
    }
    pairs.sort();
    Ok(pairs)
}

/// Rewrites the pinned bytes: runs the tests named `golden` with `UPDATE_GOLDEN=1` in the crates
/// given as `-p CRATE`, or in every crate whose sources read that variable.
pub(crate) fn golden(root: &Path, args: &[String]) -> Result<(), Failed> {
    let packages = if args.is_empty() { packages_with_golden_files(root)? } else { args.to_vec() };
    if packages.is_empty() {
        return Err(Failed::new("no crate has a test that reads UPDATE_GOLDEN"));
    }
    Cmd::cargo(root).env("UPDATE_GOLDEN", "1").args(["test"]).args(packages).args(["golden"]).run()
}

fn packages_with_golden_files(root: &Path) -> Result<Vec<String>, Failed> {
    let mut packages = Vec::new();
    for file in source::files(root, &["rs"])? {
        let mut parts = file.path.split('/');
        if parts.next() != Some("crates") || !file.text.contains("UPDATE_GOLDEN") {
            continue;
        }
        let package = parts.next().expect("a file under crates/ is in a crate").to_owned();
        if !packages.contains(&package) {
            packages.extend(["-p".to_owned(), package]);
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_sums_closing_lines_of_pytest() {
        let mut tally = Tally::default();
        for line in [
            "....s..  [100%]",
            "===== 1 failed, 41 passed, 2 skipped in 3.21s =====",
            "3 passed in 0.10s",
            "FAILED tests/test_a.py::test_b - assert 2 passed",
        ] {
            tally.see_pytest(line);
        }
        assert_eq!(tally, Tally { passed: 44, failed: 1, ignored: 2 });
    }

    #[test]
    fn tally_sums_result_lines_and_nothing_else() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished",
            "test tests::a ... ok",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "9 passed; 9 failed",
        ] {
            tally.see(line);
        }
        assert_eq!(tally, Tally { passed: 4, failed: 2, ignored: 1 });
    }
}

//! `ci`: the tests, then everything that reads the code without running it.

use std::path::Path;

use crate::{cmd::Cmd, error::Failed, tests_run, tidy};

/// All checks, each run even if an earlier one failed, so that one run shows everything.
pub(crate) fn ci(root: &Path, args: &[String]) -> Result<(), Failed> {
    let checks_only = match args {
        [] => false,
        [flag] if flag == "--checks-only" => true,
        _ => return Err(Failed::new("ci takes no argument but --checks-only")),
    };
    for component in ["fmt", "clippy"] {
        ensure(root, component)?;
    }
    let mut failures = Vec::new();
    let mut step = |name: &str, outcome: Result<(), Failed>| {
        if let Err(failed) = outcome {
            failures.push(format!("{name}: {failed}"));
        }
    };
    if !checks_only {
        step("test", tests_run::test(root, &[]));
    }
    step("fmt", Cmd::cargo(root).args(["fmt", "--all", "--check"]).run());
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("clippy", Cmd::cargo(root).args(clippy).run());
    let doc = ["doc", "--workspace", "--no-deps", "--quiet"];
    step("doc", Cmd::cargo(root).env("RUSTDOCFLAGS", "-D warnings").args(doc).run());
    step("tidy", tidy::tidy(root));
    if failures.is_empty() {
        println!("ci: all checks passed");
        return Ok(());
    }
    Err(Failed::new(failures.join("\n")))
}

/// Minimal toolchains come without `cargo fmt` and `cargo clippy`.
fn ensure(root: &Path, component: &str) -> Result<(), Failed> {
    if Cmd::cargo(root).args([component, "--version"]).succeeds() {
        return Ok(());
    }
    let name = if component == "fmt" { "rustfmt" } else { component };
    Cmd::new(root, "rustup").args(["component", "add", name]).run()
}

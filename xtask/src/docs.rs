//! `docs`: every block of code on every page is run.
//!
//! The blocks of a page are one session, in a folder of its own: shell blocks as they stand, `sql` through `infino sql`,
//! `sql,duckdb` and `python` through the Python of the tests. What a page needs and does not show stands in a comment
//! `<!-- setup … -->` as shell commands. Blocks that are marked `no_run` are only parsed. Rust blocks are documentation
//! tests of the crate `infino`; here it is checked that it includes their page.

mod page;
mod session;

use std::{fs, path::Path};

use crate::{cmd::Cmd, error::Failed, tidy::source};
use page::{Block, Language};
use session::Session;

/// Where the pages with Rust blocks are included.
const DOCTESTS: &str = "crates/infino/src/guides.rs";

/// How many blocks were run, or were found wrong.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// Runs the blocks of all pages with the binary in the folder `bin`, and with `python` if it is given; of the pages in
/// `only` if any.
pub(crate) fn run(
    root: &Path,
    bin: &Path,
    python: Option<&Path>,
    only: &[String],
) -> Result<Count, Failed> {
    let doctests = fs::read_to_string(root.join(DOCTESTS)).unwrap_or_default();
    // The wheel is installed by the tests of the Python package, before this in `cargo xtask test`.
    let has_package = python
        .is_some_and(|python| Cmd::new(root, python).args(["-c", "import infino"]).succeeds());
    let mut count = Count::default();
    let mut failures = Vec::new();
    for file in source::files(root, &["md"])? {
        let is_page = file.path == "README.md"
            || file.path.starts_with("docs/")
            || (file.path.starts_with("crates/") && file.path.ends_with("/README.md"));
        if !is_page || !(only.is_empty() || only.contains(&file.path)) {
            continue;
        }
        let blocks = page::blocks(&file.text);
        let in_rust = |block: &&Block| block.language == Language::Rust && !block.ignored;
        if let Some(block) = blocks.iter().find(in_rust)
            && !doctests.contains(&format!("/{}\"", file.path))
        {
            failures.push(format!(
                "{}:{}: {DOCTESTS} does not include the page",
                file.path, block.line
            ));
            count.failed += 1;
        }
        let session = Session { root, bin, python, has_package, page: &file.path };
        match session.run(&blocks)? {
            Ok(of_page) => {
                count.passed += of_page.passed;
                count.skipped += of_page.skipped;
            }
            Err(problem) => {
                count.failed += 1;
                failures.push(problem);
            }
        }
    }
    println!(
        "docs: {} blocks passed, {} pages failed, {} blocks skipped",
        count.passed, count.failed, count.skipped
    );
    match failures.is_empty() {
        true => Ok(count),
        false => Err(Failed::new(failures.join("\n"))),
    }
}

//! `tidy`: the rules of `docs/style.md` that a program can check.
//!
//! Each rule is a pure function from sources to [`Finding`]s; this file reads the tree, runs them and
//! prints what they found.

mod homes;
mod layers;
mod links;
mod longest;
mod marks;
pub(crate) mod source;

use std::{fmt, fs, path::Path};

use crate::error::Failed;
use source::Rust;

/// One broken rule, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 when the rule is about the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Prints the longest files and functions, then fails if a rule is broken.
pub(crate) fn tidy(root: &Path) -> Result<(), Failed> {
    let text = source::files(root, &["md", "py", "rs", "sh", "toml", "yml"])?;
    let rust: Vec<Rust> =
        text.iter().filter(|file| file.has_extension("rs")).map(Rust::read).collect();
    let style_path = root.join("docs/style.md");
    let style = fs::read_to_string(&style_path).map_err(|error| Failed::at(&style_path, &error))?;

    print_longest(&rust);
    let mut findings = Vec::new();
    findings.extend(longest::too_long(&rust));
    findings.extend(layers::broken(&style, &text));
    findings.extend(homes::outside(&rust));
    findings.extend(homes::unguarded(&rust));
    findings.extend(marks::left(&text, &rust));
    findings.extend(links::broken(&text, &rust, |path| root.join(path).exists()));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing to put right", text.len());
            Ok(())
        }
        n => Err(Failed::new(format!("{n} to put right, listed above"))),
    }
}

fn print_longest(rust: &[Rust]) {
    println!("longest files, in lines");
    for (lines, file) in longest::files(rust).into_iter().take(10) {
        println!("{lines:>6}  {}", file.path);
    }
    println!("longest functions, in lines");
    for function in longest::functions(rust).into_iter().take(10) {
        println!("{:>6}  {}:{} {}", function.lines, function.path, function.line, function.name);
    }
}

/// A file made up for a test.
#[cfg(test)]
fn file(path: &str, text: &str) -> source::File {
    source::File { path: path.to_owned(), text: text.to_owned() }
}

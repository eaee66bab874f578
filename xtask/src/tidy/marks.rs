//! Marks of unfinished work: what is unfinished is absent, not noted.

use super::{
    Finding,
    source::{File, Rust, line_of, words},
};

// Put together, so that this file does not find itself.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const MACROS: [&str; 2] = ["todo", "unimplemented"];

/// Notes in comments, Rust macros that stand for missing code, and notes in scripts and manifests.
pub(super) fn left(text: &[File], rust: &[Rust]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in rust {
        findings.extend(notes(file.path, &file.comments));
        for name in MACROS {
            let calls = words(&file.code, name)
                .filter(|at| file.code[at + name.len()..].starts_with('!'))
                .map(|at| (line_of(&file.code, at), format!("`{name}!` stands for missing code")));
            findings.extend(calls.map(|(line, message)| Finding::new(file.path, line, message)));
        }
    }
    for file in text.iter().filter(|file| !file.has_extension("rs") && !file.has_extension("md")) {
        findings.extend(notes(&file.path, &file.text));
    }
    findings
}

fn notes(path: &str, text: &str) -> Vec<Finding> {
    let found = NOTES.iter().flat_map(|note| words(text, note).map(move |at| (at, note)));
    found.map(|(at, note)| Finding::new(path, line_of(text, at), format!("{note} left"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn check_left(path: &str, text: &str, lines: &[usize]) {
        let files = [file(path, text)];
        let rust: Vec<_> =
            files.iter().filter(|file| file.has_extension("rs")).map(Rust::read).collect();
        let found = left(&files, &rust);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            lines,
            "{found:?}"
        );
    }

    #[test]
    fn notes_are_found_in_comments_and_macros_in_code() {
        let [note, fix] = NOTES;
        check_left("a.rs", &format!("x\n// {note}: y\n"), &[2]);
        check_left("a.rs", &format!("let s = \"{note}\"; // {fix}"), &[1]);
        check_left("a.rs", "todo!()\nunimplemented!(\"x\")\n", &[1, 2]);
        check_left("a.toml", &format!("# {fix}"), &[1]);
    }

    #[test]
    fn other_words_are_left_alone() {
        check_left("a.rs", "let todo = 1; // todo!, mastodon\nf(todo)", &[]);
    }
}

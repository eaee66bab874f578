//! Links that lead nowhere: relative links and their anchors in Markdown, and pages under `docs/` that
//! Rust comments name.

use std::collections::HashSet;

use super::{
    Finding,
    source::{File, Rust, line_of},
};

/// Links to files that `exists` does not know, and to headings that their page does not have.
pub(super) fn broken(text: &[File], rust: &[Rust], exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let pages: Vec<&File> = text.iter().filter(|file| file.has_extension("md")).collect();
    let leads_nowhere = |from: &str, target: &str| {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { from.to_owned() } else { path.to_owned() };
        if !exists(&path) {
            return Some(format!("{target}: no such file"));
        }
        let page = pages.iter().find(|page| page.path == path)?;
        let missing = !anchor.is_empty() && !anchors(&page.text).contains(anchor);
        missing.then(|| format!("{target}: that page has no such heading"))
    };
    let mut findings = Vec::new();
    for page in &pages {
        for (line, target) in links(&page.text) {
            let target = resolve(&page.path, &target);
            let message = leads_nowhere(&page.path, &target);
            findings.extend(message.map(|message| Finding::new(&page.path, line, message)));
        }
    }
    for file in rust {
        for (line, target) in named_pages(&file.comments) {
            let message = leads_nowhere(file.path, target);
            findings.extend(message.map(|message| Finding::new(file.path, line, message)));
        }
    }
    findings
}

/// Line and target of each relative link of a page; code is not searched.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let defined = definition(&text);
        for target in inline.chain(defined) {
            let target = target.trim_matches(['<', '>']);
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !target.is_empty() {
                found.push((at + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The target of a line like `[name]: target`.
fn definition(line: &str) -> Option<&str> {
    let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
    let footnote = name.starts_with('^');
    if footnote { None } else { target.split_whitespace().next() }
}

/// `target` as the page at `from` means it, from the folder of the workspace.
fn resolve(from: &str, target: &str) -> String {
    let (path, anchor) = match target.find('#') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    if path.is_empty() {
        return format!("{from}{anchor}");
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("{}{anchor}", parts.join("/"))
}

/// The anchors of a page's headings: lower case, words joined by hyphens, other signs dropped.
fn anchors(page: &str) -> HashSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|ch| ch.is_alphanumeric() || [' ', '-', '_'].contains(ch));
        kept.map(|ch| if ch == ' ' { '-' } else { ch }).collect()
    };
    headings.map(slug).collect()
}

/// Line and name of each `docs/….md` in comments, with its anchor.
fn named_pages(comments: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in comments.match_indices("docs/") {
        let starts =
            !comments[..at].ends_with(|ch: char| ch.is_alphanumeric() || "/.-_".contains(ch));
        let rest = &comments[at..];
        let part = |ch: char| ch.is_ascii_alphanumeric() || "/.-_#".contains(ch);
        let name = rest[..rest.find(|ch| !part(ch)).unwrap_or(rest.len())].trim_end_matches('.');
        let path = name.split('#').next().unwrap_or_default();
        if starts && path.ends_with(".md") {
            found.push((line_of(comments, at), name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn check_broken(files: &[File], want: &[(&str, usize)]) {
        let rust: Vec<_> =
            files.iter().filter(|file| file.has_extension("rs")).map(Rust::read).collect();
        let found = broken(files, &rust, |path| files.iter().any(|file| file.path == path));
        let found: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.line)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn relative_links_must_lead_somewhere() {
        let page = "[a](b.md) [c](../README.md#top-of-it)\n[d](missing.md)\n`[e](code.md)`\n\
                    ```\n[f](code.md)\n```\n[g](https://example.com/x) [h]: \n[i]: gone.md\n";
        check_broken(
            &[file("docs/a.md", page), file("docs/b.md", ""), file("README.md", "# Top of *it*\n")],
            &[("docs/a.md", 2), ("docs/a.md", 8)],
        );
    }

    #[test]
    fn anchors_must_be_headings() {
        check_broken(
            &[
                file("docs/a.md", "# One\n[x](#one) [y](#two)\n[z](b.md#three)"),
                file("docs/b.md", ""),
            ],
            &[("docs/a.md", 2), ("docs/a.md", 3)],
        );
    }

    #[test]
    fn pages_named_in_comments_must_exist() {
        let text =
            "//! Bytes: `docs/format/a.md#head`.\n/// See docs/gone.md.\nlet s = \"docs/no.md\";";
        check_broken(
            &[file("crates/x/src/lib.rs", text), file("docs/format/a.md", "## Head\n")],
            &[("crates/x/src/lib.rs", 2)],
        );
    }

    #[test]
    fn targets_are_resolved_from_their_page() {
        assert_eq!(resolve("docs/format/a.md", "../b.md#c"), "docs/b.md#c");
        assert_eq!(resolve("README.md", "docs/x.md"), "docs/x.md");
        assert_eq!(resolve("docs/a.md", "#c"), "docs/a.md#c");
        assert_eq!(resolve("crates/a/README.md", "../../README.md"), "README.md");
    }
}

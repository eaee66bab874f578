//! A crate uses the rows below it: the picture in `docs/style.md` is read and every manifest under
//! `crates/` held against it.

use super::{Finding, source::File};

/// The rows of the picture, top first: of each the crates it names, up to the first other word.
fn rows(style: &str) -> Vec<Vec<&str>> {
    let picture = style.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    let rows = picture.unwrap_or_default().lines().map(row);
    rows.filter(|row| !row.is_empty()).collect()
}

fn row(line: &str) -> Vec<&str> {
    let is_crate = |word: &&str| *word == "infino" || word.starts_with("infino-");
    line.split_whitespace().take_while(is_crate).collect()
}

/// Dependencies that do not point down, and crates the picture does not show.
pub(super) fn broken(style: &str, files: &[File]) -> Vec<Finding> {
    let rows = rows(style);
    let row_of = |name: &str| rows.iter().position(|row| row.contains(&name));
    let mut findings = Vec::new();
    for file in files {
        let Some(name) = package_of_manifest(&file.path) else { continue };
        let Some(row) = row_of(name) else {
            let message = format!("{name} stands in no row of the picture in docs/style.md");
            findings.push(Finding::new(&file.path, 0, message));
            continue;
        };
        for (line, dependency) in dependencies(&file.text) {
            if row_of(dependency).is_some_and(|below| below <= row) {
                let message = format!("{name} uses {dependency}, which is not in a row below it");
                findings.push(Finding::new(&file.path, line, message));
            }
        }
    }
    findings
}

fn package_of_manifest(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml").filter(|name| !name.contains('/'))
}

/// Line and name of each dependency a manifest builds with; those of its tests are not among them.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (at, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let of_tests = header.contains("dev-dependencies");
            inside = header.ends_with("dependencies") && !of_tests;
            let named = header.split_once("dependencies.").filter(|_| !of_tests);
            found.extend(named.map(|(_, name)| (at + 1, name)));
        } else if inside && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            if end > 0 {
                found.push((at + 1, &line[..end]));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    const STYLE: &str = "a\n```text\n  infino-cli   (later: server)   thin\n   infino   Connection\n\
                         infino-fts   infino-vector    bytes in\n  infino-format  nouns\n```\n```text\nno\n```\n";

    #[test]
    fn rows_are_read_from_the_picture() {
        let want: [&[&str]; 4] =
            [&["infino-cli"], &["infino"], &["infino-fts", "infino-vector"], &["infino-format"]];
        assert_eq!(rows(STYLE), want);
    }

    fn check_broken(name: &str, manifest: &str, want: &[usize]) {
        let found = broken(STYLE, &[file(&format!("crates/{name}/Cargo.toml"), manifest)]);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), want, "{found:?}");
    }

    #[test]
    fn down_is_the_only_way() {
        check_broken("infino", "[dependencies]\ninfino-fts.workspace = true\nfst = \"1\"\n", &[]);
        check_broken("infino-fts", "[dependencies]\ninfino-vector = { workspace = true }\n", &[2]);
        check_broken("infino-fts", "[dependencies]\n\ninfino.workspace = true\n", &[3]);
        check_broken("infino-fts", "[dependencies.infino]\npath = \"../infino\"\n", &[1]);
        check_broken("infino-fts", "[target.'cfg(unix)'.dependencies]\ninfino = \"1\"\n", &[2]);
    }

    #[test]
    fn tests_may_look_up_and_names_may_share_a_start() {
        check_broken("infino-fts", "[dev-dependencies]\ninfino.workspace = true\n", &[]);
        check_broken("infino-vector", "[dependencies]\ninfino-format.workspace = true\n", &[]);
    }

    #[test]
    fn a_crate_in_no_row_is_named() {
        check_broken("infino-new", "[dependencies]\n", &[0]);
        assert!(
            broken(STYLE, &[file("xtask/Cargo.toml", "[dependencies]\ninfino = 1")]).is_empty()
        );
    }
}

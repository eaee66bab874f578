//! One name, one home: which sources may speak of a library, and which may hold `unsafe`.

use super::{
    Finding,
    source::{Rust, line_of, words},
};

/// A library and the folders whose sources may name it.
struct Home {
    library: &'static str,
    at: &'static [&'static str],
}

const HOMES: [Home; 3] = [
    // DataFusion's own traits speak of stores and files, so `infino::sql` must too.
    Home {
        library: "object_store",
        at: &["crates/infino-storage/src/", "crates/infino/src/sql/", "crates/infino/src/sql.rs"],
    },
    // The command line reads and writes files that are no superfiles.
    Home {
        library: "parquet",
        at: &[
            "crates/infino-superfile/src/",
            "crates/infino/src/sql/",
            "crates/infino/src/sql.rs",
            "crates/infino-cli/src/import/",
            "crates/infino-cli/src/export.rs",
        ],
    },
    Home { library: "datafusion", at: &["crates/infino/src/"] },
];

/// Libraries named away from home, and `unsafe` outside `kernel` and `mmap`. Tests in files of their
/// own may use what they like as an oracle.
pub(super) fn outside(rust: &[Rust]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in rust.iter().filter(|file| file.path.starts_with("crates/")) {
        let mut add = |at, message| {
            findings.push(Finding::new(file.path, line_of(&file.code, at), message));
        };
        for home in HOMES.iter().filter(|home| is_product(file.path) && !is_at(file.path, home)) {
            for at in uses(&file.code, home.library) {
                add(at, format!("`{}` may be named only in {}", home.library, home.at.join(", ")));
            }
        }
        if !may_be_unsafe(file.path) {
            for at in words(&file.code, "unsafe") {
                add(at, "`unsafe` may stand only in modules `kernel` and `mmap`".to_owned());
            }
        }
    }
    findings
}

/// Crate roots that do not refuse `unsafe`: `deny` where a module of the crate may allow it again,
/// `forbid` elsewhere.
pub(super) fn unguarded(rust: &[Rust]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for root in rust.iter().filter(|file| is_root(file.path)) {
        let has = |level: &str| root.code.contains(&format!("#![{level}(unsafe_code)]"));
        let mut siblings = rust.iter().filter(|file| file.package() == root.package());
        let message = if siblings.any(|file| may_be_unsafe(file.path)) {
            (!has("deny") && !has("forbid")).then_some("must say #![deny(unsafe_code)]")
        } else {
            (!has("forbid")).then_some("must say #![forbid(unsafe_code)]")
        };
        findings.extend(message.map(|message| Finding::new(root.path, 0, message)));
    }
    findings
}

fn is_at(path: &str, home: &Home) -> bool {
    home.at.iter().any(|folder| path.starts_with(folder))
}

fn is_product(path: &str) -> bool {
    let mut parts = path.split('/');
    path.contains("/src/") && !parts.any(|part| part == "tests" || part == "tests.rs")
}

fn is_root(path: &str) -> bool {
    let in_bin = path.split_once("/src/bin/").is_some_and(|(_, name)| !name.contains('/'));
    in_bin || path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

fn may_be_unsafe(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "kernel" | "kernel.rs" | "mmap" | "mmap.rs"))
}

/// Where `code` starts a path with `library` or with one of its parts, such as `datafusion_common`.
fn uses<'c>(code: &'c str, library: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(library).map(|(at, _)| at).filter(move |&at| {
        let (before, after) = (&code[..at], &code[at + library.len()..]);
        let end = after.find(|ch: char| !ch.is_alphanumeric() && ch != '_').unwrap_or(after.len());
        let (rest_of_word, after) = after.split_at(end);
        let starts = !before.ends_with(|ch: char| ch.is_alphanumeric() || ch == '_' || ch == ':');
        let is_library = rest_of_word.is_empty() || rest_of_word.starts_with('_');
        let imported = before.trim_end().ends_with("use") || before.trim_end().ends_with("crate");
        starts && is_library && (after.starts_with("::") || imported)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    fn check_outside(path: &str, text: &str, lines: &[usize]) {
        let file = file(path, text);
        let found = outside(&[Rust::read(&file)]);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            lines,
            "{found:?}"
        );
    }

    #[test]
    fn libraries_stay_at_home() {
        let text =
            "use object_store::path::Path;\nfn f() -> parquet::Error {}\nuse datafusion_common;";
        check_outside("crates/infino-table/src/a.rs", text, &[1, 2, 3]);
        check_outside("crates/infino-storage/src/a.rs", text, &[2, 3]);
        check_outside("crates/infino-superfile/src/a.rs", text, &[1, 3]);
        check_outside("crates/infino/src/sql/provider.rs", text, &[]);
        check_outside("crates/infino/src/catalog.rs", text, &[1, 2]);
        check_outside("crates/infino-table/src/query/tests.rs", text, &[]);
        check_outside("crates/infino-table/tests/open.rs", text, &[]);
        check_outside("benches/src/lib.rs", text, &[]);
    }

    #[test]
    fn a_name_is_not_a_library() {
        let text = "let parquet = self.parquet; f(parquet); // use parquet::X\nour::parquet::X; \"use parquet\"";
        check_outside("crates/infino-table/src/a.rs", text, &[]);
    }

    #[test]
    fn unsafe_has_two_homes() {
        let text = "// unsafe\n#![allow(unsafe_code)]\nunsafe { f() }";
        check_outside("crates/infino-table/src/a.rs", text, &[3]);
        check_outside("crates/infino-table/tests/a.rs", text, &[3]);
        check_outside("crates/infino-vector/src/kernel/avx2.rs", text, &[]);
        check_outside("crates/infino-storage/src/mmap.rs", text, &[]);
    }

    #[test]
    fn a_crate_root_refuses_unsafe() {
        let root = |text| file("crates/a/src/lib.rs", text);
        let kernel = file("crates/a/src/kernel/mod.rs", "");
        let other = file("crates/b/src/kernel/mod.rs", "");
        let check = |files: &[&super::super::source::File], want: usize| {
            let rust: Vec<_> = files.iter().map(|file| Rust::read(file)).collect();
            assert_eq!(unguarded(&rust).len(), want);
        };
        check(&[&root("")], 1);
        check(&[&root("#![deny(unsafe_code)]"), &other], 1);
        check(&[&root("#![forbid(unsafe_code)]")], 0);
        check(&[&root("#![deny(unsafe_code)]"), &kernel], 0);
        check(&[&root("// #![deny(unsafe_code)]"), &kernel], 1);
        check(&[&file("crates/a/src/bin/tool.rs", "")], 1);
        check(&[&file("crates/a/src/other.rs", "")], 0);
    }
}

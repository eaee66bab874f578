use std::{fs, path::Path};

use super::*;

fn write(root: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("a temporary folder");
        fs::write(path, bytes).expect("a temporary file");
    }
}

fn open(path: &Path, bytes_max: Option<u64>) -> Corpus {
    Corpus::open(&[path.to_owned()], bytes_max).expect("the folder is there")
}

fn paths(corpus: &Corpus) -> Vec<String> {
    corpus.passages().map(|passage| format!("{}:{}", passage.path, passage.line)).collect()
}

#[test]
fn text_files_come_by_name_and_others_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(
        folder.path(),
        &[
            ("b-1.2.3/src/lib.rs", b"//! The library b of the test.\n"),
            ("a/README.md", b"# The letter A\n\nIt is the first.\n"),
            ("a/copy/README.md", b"# The letter A\n\nIt is the first.\n"),
            ("a/data.bin", b"not a language"),
            ("a/binary.rs", b"fn main() {}\0\0\0\0"),
            ("a/latin1.rs", b"// caf\xe9 and more text"),
            ("a/empty.rs", b""),
            ("a/generated.rs", b"// @generated\nfn lots_of_code() {}\n"),
            (".git/x.rs", b"fn hidden_code_here() {}\n"),
            ("a/target/CACHEDIR.TAG", b"Signature"),
            ("a/target/y.rs", b"fn built_code_here() {}\n"),
            ("top.py", b"print('at the top of it')\n"),
            ("z/huge.txt", &b"many words in a row\n".repeat(60_000)),
        ],
    );
    let corpus = open(folder.path(), None);
    assert_eq!(paths(&corpus), ["a/README.md:1", "b-1.2.3/src/lib.rs:1", "top.py:1"]);
    assert_eq!(corpus.survey().files, 7);

    let mut passages = corpus.passages();
    let all: Vec<Passage> = passages.by_ref().collect();
    assert_eq!((all[1].crate_name.as_str(), all[1].version.as_str()), ("b", "1.2.3"));
    assert_eq!((all[0].crate_name.as_str(), all[0].version.as_str()), ("a", ""));
    assert_eq!(all[2].language, "python");
    let root = folder.path().canonicalize().expect("it is there");
    assert_eq!(all[2].crate_name, root.file_name().expect("it has a name").to_string_lossy());
    assert_eq!(passages.counts(), Counts { files: 3, bytes: 90, skipped: 4 });
}

#[test]
fn the_limit_ends_the_reading() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names: Vec<String> = (0..9).map(|n| format!("file{n}.txt")).collect();
    for name in &names {
        write(
            folder.path(),
            &[(name, format!("{name} holds a hundred bytes {:>70}", ".").as_bytes())],
        );
    }
    let corpus = open(folder.path(), Some(250));
    assert_eq!(corpus.passages().count(), 3);
    assert_eq!(corpus.survey().bytes, 250);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error =
        Corpus::open(&[PathBuf::from("/no/such/folder")], None).expect_err("it is not there");
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_so_a_loop_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &[("a/x.md", b"Some words to be read once.")]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).expect("a link");
    let corpus = open(folder.path(), None);
    assert_eq!(paths(&corpus), ["a/x.md:1"]);
}

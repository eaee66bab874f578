//! The binary, run as a user runs it, on a small folder made up for the test.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder of text, a place for a store, and the binary.
struct Bench {
    folder: TempDir,
}

const FILES: &[(&str, &str)] = &[
    (
        "anvil-1.2.3/src/lib.rs",
        "//! Shapes hot iron.\n\n/// Strikes the glowing horseshoe with a hammer.\npub fn strike() {}\n",
    ),
    ("anvil-1.2.3/README.md", "# Anvil\n\nA horseshoe is bent over the horn of the anvil.\n"),
    (
        "bakery-0.4.0/src/main.rs",
        "/// Kneads the sourdough until it is smooth.\nfn knead() {}\n\nfn main() {\n    knead();\n}\n",
    ),
    ("bakery-0.4.0/README.md", "# Bakery\n\nSourdough needs flour, water, salt and patience.\n"),
    ("bakery-0.4.0/Cargo.toml", "[package]\nname = \"bakery\"\nversion = \"0.4.0\"\n"),
    ("bakery-0.4.0/logo.png", "\u{89}PNG"),
];

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in FILES {
            let path = folder.path().join("text").join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        Self { folder }
    }

    /// A bench whose store the demo has filled, searching for `query`.
    fn after_demo(query: &str) -> (Self, String) {
        let bench = Self::new();
        let text = bench.text();
        let output = bench.infino(["demo", "--path", &text, "--query", query]);
        (bench, stdout(&output))
    }

    fn text(&self) -> String {
        self.folder.path().join("text").display().to_string()
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The folder of the table in the store.
    fn table(&self) -> PathBuf {
        let entries = fs::read_dir(self.store()).expect("the demo made a store");
        let mut found = entries.map(|entry| entry.expect("an entry").path());
        found.find(|path| path.join("head").exists()).expect("a table")
    }

    /// Runs the binary in the temporary folder, on the store in it.
    fn infino<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infino"));
        command.args(args).current_dir(self.folder.path());
        command.env("INFINO_URI", self.store()).env_remove("CARGO_HOME");
        command
    }

    /// What an SQL statement gives, as CSV.
    fn sql(&self, statement: &str) -> String {
        stdout(&self.infino(["sql", statement, "-o", "csv"]))
    }
}

/// What a successful run printed.
fn stdout(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    text
}

fn check_fails(output: &Output, code: i32, says: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for part in says {
        assert!(errors.contains(part), "{part:?} is not in: {errors}");
    }
}

fn check_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn the_demo_answers_from_the_files_and_shows_every_stop() {
    let (bench, text) = Bench::after_demo("glowing horseshoe");
    check_says(
        &text,
        &[
            "Indexed 5 passages of 5 files",
            "1. Keyword search, BM25: \"glowing horseshoe\"",
            "anvil-1.2.3/src/lib.rs:1\n             /// Strikes the glowing horseshoe with a hammer.",
            "2. Vector search",
            "3. Hybrid search",
            "4. Vector search where language = '",
            "5. SQL",
            "6. Delete where path = 'anvil-1.2.3/src/lib.rs'\n   1 rows gone",
            "7. Update the passage at anvil-1.2.3/README.md:1",
            "8. Reopen the table from storage",
            "4 rows, version",
            "9. Ask version",
            "5 rows then, 4 now; 0 of them with the new word",
            "duckdb -c",
            "peak memory",
        ],
    );
    assert!(bench.store().is_dir(), "the store is where it was asked for");
}

#[test]
fn the_demo_runs_again_in_the_same_store() {
    let (bench, _) = Bench::after_demo("sourdough");
    let text = bench.text();
    let again = stdout(&bench.infino(["demo", "--path", &text, "--query", "sourdough"]));
    check_says(&again, &["Replacing the table of an earlier run", "Indexed 5 passages"]);
}

#[test]
fn a_folder_without_the_usual_words_still_gets_a_query_with_an_answer() {
    let bench = Bench::new();
    let folder = bench.folder.path().join("other");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.txt"), "Quokkas wander pleasantly.\n").expect("a file");
    let text =
        stdout(&bench.infino([OsStr::new("demo"), OsStr::new("--path"), folder.as_os_str()]));
    check_says(&text, &["BM25: \"pleasantly Quokkas wander\"", "other", "a.txt:1"]);
}

#[test]
fn sql_sees_the_rows_that_the_demo_left() {
    let (bench, _) = Bench::after_demo("glowing horseshoe");
    assert_eq!(
        bench.sql(
            "SELECT crate, language, count(*) AS n FROM passages GROUP BY 1, 2 ORDER BY 1, 2;"
        ),
        "crate,language,n\nanvil,markdown,1\nbakery,markdown,1\nbakery,rust,1\nbakery,toml,1\n"
    );
    assert_eq!(
        bench.sql("SELECT text FROM passages WHERE crate = 'anvil'"),
        "text\n\"// infinodemoedited: # Anvil\n\nA horseshoe is bent over the horn of the anvil.\"\n"
    );
    let table = stdout(&bench.infino(["sql", "SELECT DISTINCT version FROM passages ORDER BY 1"]));
    assert_eq!(table, "version\n-------\n0.4.0\n1.2.3\n(2 rows)\n");
    let plan = stdout(&bench.infino(["sql", "EXPLAIN SELECT path FROM passages LIMIT 1"]));
    assert!(plan.lines().count() >= 4, "a plan keeps its lines: {plan}");
}

#[test]
fn search_ranks_filters_and_projects() {
    let (bench, _) = Bench::after_demo("glowing horseshoe");
    let search = |args: &[&str]| {
        let rest = ["--columns", "path", "-o", "ndjson"];
        let output = bench.infino([&["search", "sourdough patience"], args, &rest].concat());
        let paths = stdout(&output);
        let path = |line: &str| {
            line.split("\"path\":\"")
                .nth(1)
                .and_then(|rest| Some(rest.split('"').next()?.to_owned()))
        };
        paths.lines().map(|line| path(line).expect("every row has a path")).collect::<Vec<_>>()
    };
    let (readme, main) = ("bakery-0.4.0/README.md", "bakery-0.4.0/src/main.rs");
    assert_eq!(search(&["--mode", "keyword"]), [readme, main]);
    assert_eq!(search(&["--mode", "keyword", "-k", "1"]), [readme]);
    assert_eq!(search(&["--mode", "keyword", "--where", "language = 'rust'"]), [main]);
    assert_eq!(search(&["--mode", "vector", "-k", "2"]), [readme, main]);
    assert_eq!(
        search(&["--mode", "vector", "--where", "crate = 'anvil'"]),
        ["anvil-1.2.3/README.md"]
    );
    assert_eq!(search(&["-k", "1"]), [readme]);
    let shown =
        stdout(&bench.infino(["search", "sourdough patience", "--mode", "keyword", "-k", "1"]));
    check_says(
        &shown,
        &["bakery-0.4.0/README.md:1", "Sourdough needs flour, water, salt and patience."],
    );
}

#[test]
fn inspect_shows_tables_columns_and_files() {
    let (bench, _) = Bench::after_demo("glowing horseshoe");
    check_says(&stdout(&bench.infino(["inspect"])), &["passages: 4 rows", "version"]);
    let table = stdout(&bench.infino(["inspect", "passages"]));
    check_says(&table, &["rows     4", "path", "embedding", "2 deleted", ".parquet"]);
}

#[test]
fn a_table_is_looked_after() {
    let (bench, _) = Bench::after_demo("glowing horseshoe");
    check_says(&stdout(&bench.infino(["history", "passages"])), &["create", "append", "update"]);
    check_says(&stdout(&bench.infino(["optimize", "passages"])), &["files became", "version"]);
    check_says(&stdout(&bench.infino(["verify", "passages"])), &["superfiles", "read"]);
    check_fails(&bench.infino(["verify", "recipes"]), 1, &["recipes"]);
    let manifest = bench.table().join("manifest");
    for object in fs::read_dir(manifest).expect("optimize writes a checkpoint") {
        fs::write(object.expect("an object").path(), b"not it").expect("a manifest object");
    }
    check_fails(&bench.infino(["verify", "passages"]), 4, &["damaged"]);
    let repaired = stdout(&bench.infino(["verify", "passages", "--repair"]));
    check_says(&repaired, &["manifest/", "restored", "superfiles"]);
    check_says(&stdout(&bench.infino(["verify", "passages"])), &["superfiles", "read"]);
    let files = stdout(&bench.infino(["inspect", "passages"]));
    let file = files.split_whitespace().find(|word| word.ends_with(".parquet")).expect("a file");
    let path = bench.store().join(file);
    let mut bytes = fs::read(&path).expect("a superfile");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("a superfile");
    check_fails(&bench.infino(["verify", "passages"]), 4, &["damaged in 1 places"]);
}

#[test]
fn what_cannot_be_done_is_named() {
    let (bench, _) = Bench::after_demo("sourdough");
    check_fails(&bench.infino(["search", "x", "--table", "recipes"]), 1, &["recipes", "passages"]);
    check_fails(&bench.infino(["search", "x", "--where", "colour = 1"]), 1, &["colour"]);
    check_fails(&bench.infino(["search", "x", "--columns", "colour"]), 1, &["colour"]);
    check_fails(&bench.infino(["sql", "SELEC 1"]), 1, &["SELEC"]);
    check_fails(&bench.infino(["sql", "SELECT * FROM recipes"]), 1, &["recipes"]);
    check_fails(&bench.infino(["inspect", "recipes"]), 1, &["recipes"]);
    check_fails(&bench.infino(["inspect", "--store", "ftp://host/x"]), 1, &["ftp"]);
    check_fails(&bench.infino(["search"]), 2, &["Usage"]);
}

#[test]
fn a_demo_with_nothing_to_read_says_how_to_go_on() {
    let bench = Bench::new();
    let empty = bench.folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    let demo =
        |path: &Path| bench.infino([OsStr::new("demo"), OsStr::new("--path"), path.as_os_str()]);
    check_fails(&demo(&empty), 1, &["no text files", "--path"]);
    check_fails(&demo(&empty.join("not-there")), 1, &["not-there"]);
    let no_registry = bench.command(["demo"]).env("CARGO_HOME", &empty).output().expect("it runs");
    check_fails(&no_registry, 1, &["no Rust dependencies", "--path"]);
    assert!(!bench.store().exists(), "a demo that cannot begin leaves nothing");
}

#[test]
fn the_registry_is_found_where_cargo_home_says() {
    let bench = Bench::new();
    let source = bench.folder.path().join("cargo/registry/src");
    fs::create_dir_all(&source).expect("a folder");
    fs::rename(bench.text(), source.join("index")).expect("the same file system");
    let mut demo = bench.command(["demo", "--query", "sourdough", "--store", "memory://"]);
    let output = demo.env("CARGO_HOME", bench.folder.path().join("cargo")).output();
    let text = stdout(&output.expect("the binary runs"));
    check_says(
        &text,
        &["Indexed 5 passages", "bakery-0.4.0/README.md", "gone with its connection"],
    );
    assert!(!bench.store().exists(), "the flag goes before the variable");
}

#[test]
fn a_table_that_is_not_the_demos_survives() {
    let (bench, _) = Bench::after_demo("sourdough");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        use infino::arrow::datatypes::{DataType, Field, Schema};
        let uri = bench.store().display().to_string();
        let db = infino::connect(&uri).await.expect("the demo's store");
        db.drop_table("passages").await.expect("the demo's table");
        let schema = Schema::new(vec![Field::new("verse", DataType::Utf8, false)]);
        db.create_table("passages", schema, infino::IndexSpec::new()).await.expect("a table");
    });
    let text = bench.text();
    check_fails(&bench.infino(["demo", "--path", &text]), 1, &["not the demo's", "--uri"]);
    check_says(&stdout(&bench.infino(["inspect", "passages"])), &["verse"]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (bench, _) = Bench::after_demo("sourdough");
    let mut sql = bench.command(["sql", "SELECT a.path FROM passages a, passages b, passages c"]);
    let child =
        sql.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let mut child = child.expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

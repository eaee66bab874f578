//! `infino import` and `infino export`, run as a user runs them.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A folder with files to read, and a store in it.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infino"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("INFINO_URI", "store").env("XDG_CONFIG_HOME", self.folder.path().join("none"));
        command
    }

    fn infino(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// What a run that must succeed printed.
    fn run(&self, args: &[&str]) -> String {
        let output = self.infino(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {}\n{errors}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run_on(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(args);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the binary runs");
        // It may end before it has read all.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    fn check_fails(&self, args: &[&str], code: i32, says: &[&str]) {
        check_failed(&self.infino(args), code, says);
    }

    fn sql(&self, statement: &str) -> String {
        self.run(&["sql", statement, "-o", "csv"])
    }
}

fn check_failed(output: &Output, code: i32, says: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for part in says {
        assert!(errors.contains(part), "{part:?} is not in: {errors}");
    }
}

fn vector(at: usize) -> String {
    let values: Vec<String> = (0..16).map(|n| if n == at { "1" } else { "0" }.to_owned()).collect();
    format!("[{}]", values.join(", "))
}

fn documents() -> String {
    let texts = ["the quick brown fox", "a lazy dog", "the fox sleeps"];
    let lines = texts.iter().enumerate().map(|(id, text)| {
        format!("{{\"id\": {id}, \"body\": \"{text}\", \"embedding\": {}}}\n", vector(id))
    });
    lines.collect()
}

const FLAGS: [&str; 6] =
    ["--fts", "body:english-v1", "--vector", "embedding:cosine", "--key", "id"];

#[test]
fn rows_come_in_are_searched_and_go_out_again() {
    let bench = Bench::new();
    bench.file("docs.ndjson", documents());
    let said = bench.run(&[&["import", "docs", "docs.ndjson"], &FLAGS[..]].concat());
    assert!(said.contains("3 rows were committed to \"docs\" in 1 commit, version "), "{said}");
    assert!(bench.run(&["tables"]).starts_with("docs: 3 rows"));
    let found = bench.run(&["search", "foxes", "--columns", "id", "-o", "csv"]);
    let ids: Vec<&str> = found.lines().skip(1).filter_map(|line| line.rsplit(',').next()).collect();
    assert_eq!(ids, ["2", "0"], "{found}");

    bench.file("query.json", vector(1));
    let near = ["search", "--vector", "query.json", "-k", "1", "--columns", "id", "-o", "ndjson"];
    assert!(bench.run(&near).trim_end().ends_with("\"id\":1}"), "{}", bench.run(&near));
    let both =
        bench.run(&["search", "fox", "--vector", "query.json", "--where", "id <> 1", "-o", "csv"]);
    assert_eq!(both.lines().count(), 3, "{both}");

    for (file, rows) in [
        ("out.parquet", 3),
        ("out.csv", 3),
        ("out.ndjson", 3),
        ("out.json", 3),
        ("out.arrow", 3),
        ("out.tsv", 3),
    ] {
        bench.run(&["export", "docs", file, "-q"]);
        let table = file.replace('.', "_");
        bench.run(&[&["import", &table, file], &FLAGS[..]].concat());
        let same = format!(
            "SELECT count(*) AS n FROM docs a JOIN {table} b ON a.id = b.id AND a.body = b.body AND a.embedding = b.embedding"
        );
        assert_eq!(bench.sql(&same), format!("n\n{rows}\n"), "{file}");
    }
    bench.check_fails(&["export", "docs", "out.csv"], 1, &["out.csv is there already", "--force"]);
    let some = bench.run(&[
        "export",
        "docs",
        "--where",
        "id > 0 -- not the first",
        "--columns",
        "id",
        "--limit",
        "1",
    ]);
    assert!(["id\n1\n", "id\n2\n"].contains(&some.as_str()), "{some}");
}

#[test]
fn rows_with_a_key_take_the_place_of_others() {
    let bench = Bench::new();
    bench.file("docs.ndjson", documents());
    bench.run(&[&["import", "docs", "docs.ndjson"], &FLAGS[..]].concat());
    let new = "{\"id\": 1, \"body\": \"a busy dog\"}\n{\"id\": 7, \"body\": \"an owl\"}\n";
    let said = bench.run_on(&["import", "docs", "-", "-f", "ndjson"], new.as_bytes());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("2 rows were committed") && said.contains("1 of them in the place"),
        "{said}"
    );
    assert_eq!(
        bench.sql("SELECT id, body FROM docs ORDER BY id"),
        "id,body\n0,the quick brown fox\n1,a busy dog\n2,the fox sleeps\n7,an owl\n"
    );
    let taken = bench.run_on(&["import", "docs", "-", "-f", "ndjson", "--append"], new.as_bytes());
    check_failed(&taken, 1, &["is as it was"]);
    bench.check_fails(&["import", "docs", "docs.ndjson", "--key", "body"], 1, &["its key is id"]);
    bench.check_fails(
        &["import", "docs", "docs.ndjson", "--fts", "body:code-v1"],
        1,
        &["english-v1"],
    );
    bench.check_fails(&["import", "docs", "docs.ndjson", "--create"], 1, &["exists already"]);
    bench.check_fails(&["import", "other", "docs.ndjson", "--append"], 1, &["other", "docs"]);
}

#[test]
fn folders_patterns_and_packed_files_are_read() {
    let bench = Bench::new();
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.as_bytes()).expect("a vector takes all bytes");
        out.finish().expect("a vector takes all bytes")
    };
    bench.file("logs/a.csv", "n,when,text\n1,2024-01-02,one\n2,,\"two, too\"\n");
    bench.file("logs/sub/b.csv.gz", gzip("n,when,text\n3,2024-03-04,three\n"));
    let packed = zstd::encode_all(&b"text\tn\nfour\t4\n"[..], 3).expect("it packs");
    bench.file("logs/sub/c.tsv.zst", packed);
    bench.file("logs/readme.txt", "not a row");
    bench.run(&["import", "logs", "logs"]);
    assert_eq!(
        bench.sql("SELECT n, \"when\", text FROM logs ORDER BY n"),
        "n,when,text\n1,2024-01-02,one\n2,,\"two, too\"\n3,2024-03-04,three\n4,,four\n"
    );
    bench.run(&["import", "some", "logs/*.csv"]);
    assert_eq!(bench.sql("SELECT count(*) AS n FROM some"), "n\n2\n");
    let more = b"n,when,text\n8,,eight\n9,,nine\n";
    bench.run_on(&["import", "both", "logs/a.csv", "-", "-f", "csv"], more);
    assert_eq!(bench.sql("SELECT count(*) AS n, max(n) AS m FROM both"), "n,m\n4,9\n");
    bench.file("none.csv", "a,b\n");
    bench.run(&["import", "none", "none.csv"]);
    assert_eq!(bench.sql("SELECT a, b FROM none"), "a,b\n");
    bench.check_fails(&["import", "t", "logs/*.json"], 1, &["no such file"]);
    bench.check_fails(&["import", "t", "logs/readme.txt"], 1, &["readme.txt", "--format"]);
    bench.check_fails(&["import", "t", "-"], 1, &["--format"]);
}

#[test]
fn what_is_wrong_is_named_by_file_and_line() {
    let bench = Bench::new();
    let mut text: String = (0..30_000).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    text.push_str("{\"n\": \"many\"}\n");
    bench.file("bad.ndjson", &text);
    let infino = |args: &[&str]| bench.infino(args);
    check_failed(
        &infino(&["import", "t", "bad.ndjson"]),
        1,
        &["bad.ndjson:30001: ", "nothing was committed", "was not made"],
    );
    assert!(bench.run(&["tables"]).starts_with("no tables"));
    bench.file("bad.json", "[{\"n\": 1},\n {\"n\": 2,}]");
    check_failed(&infino(&["import", "t", "bad.json"]), 1, &["bad.json:2: "]);
    let rows: String = (0..20_000).map(|n| format!("{n},x\n")).collect();
    bench.file("bad.csv", format!("n,t\n{rows}many,y\n"));
    check_failed(&infino(&["import", "t", "bad.csv"]), 1, &["bad.csv: ", "many", "20001"]);
    bench.file("bad.parquet", "PAR1, or is it?");
    check_failed(&infino(&["import", "t", "bad.parquet"]), 1, &["bad.parquet: "]);
    let short = format!("{{\"v\": {}}}\n{{\"v\": [1, 2]}}\n", vector(0));
    bench.file("short.ndjson", short);
    check_failed(
        &infino(&["import", "t", "short.ndjson", "--vector", "v"]),
        1,
        &["short.ndjson:2: "],
    );
    bench.file("more.ndjson", "{\"n\": 1}\n{\"n\": 2, \"m\": 3}\n");
    bench.file("one.ndjson", "{\"n\": 0}\n");
    bench.run(&["import", "t", "one.ndjson"]);
    check_failed(&infino(&["import", "t", "more.ndjson"]), 1, &["more.ndjson:2: ", "m"]);
    bench.run(&["import", "t", "more.ndjson", "--ignore-unknown"]);
    assert_eq!(bench.sql("SELECT count(*) AS n, sum(n) AS s FROM t"), "n,s\n3,3\n");
}

/// An error behind whole commits leaves those, says so, and `--resume` goes on behind them once the file is mended.
#[test]
fn an_import_goes_on_where_it_ended() {
    let bench = Bench::new();
    let rows = |from: usize, to: usize| -> String {
        let filler = "x".repeat(200);
        (from..to).map(|n| format!("{{\"n\": {n:>6}, \"t\": \"{filler}\"}}\n")).collect()
    };
    let (good, rest) = (rows(0, 30_000), rows(30_001, 40_000));
    bench.file(
        "in.ndjson",
        format!("{good}{{\"n\": \"oops\", \"t\": \"{}\"}}\n{rest}", "x".repeat(200)),
    );
    let broken = bench.infino(&["import", "t", "in.ndjson", "--commit-mb", "1"]);
    check_failed(&broken, 1, &["in.ndjson:30001: ", "rows were committed to \"t\"", "--resume"]);
    let part = bench.sql("SELECT count(*) = max(n) + 1 AS whole, count(*) > 0 AS some FROM t");
    assert_eq!(part, "whole,some\ntrue,true\n");
    bench.file(
        "in.ndjson",
        format!("{good}{{\"n\": 300000, \"t\": \"{}\"}}\n{rest}", "x".repeat(200)),
    );
    let said = bench.run(&["import", "t", "in.ndjson", "--resume"]);
    assert!(said.contains("rows were there from an earlier run"), "{said}");
    let all = bench.sql("SELECT count(*) AS n, count(DISTINCT n) AS d FROM t");
    assert_eq!(all, "n,d\n40000,40000\n");
    let again = bench.run(&["import", "t", "in.ndjson", "--resume"]);
    assert!(again.contains("no rows to add"), "{again}");
}

#[cfg(unix)]
#[test]
fn control_c_leaves_whole_commits_and_says_which() {
    use std::io::{BufRead, BufReader};
    let bench = Bench::new();
    bench.file("one.ndjson", "{\"n\": 0}\n");
    bench.run(&["import", "t", "one.ndjson"]);
    let mut command = bench.command(&["import", "t", "-", "-f", "ndjson", "--commit-mb", "1"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    let feeder = std::thread::spawn(move || {
        // Until the reader is gone.
        for n in 1_u64.. {
            if input.write_all(format!("{{\"n\": {n}}}\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    let pid = child.id().to_string();
    // The table shows commits of the other process before it is stopped.
    while bench.sql("SELECT count(*) > 1 AS more FROM t") == "more\nfalse\n" {}
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("it runs").success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let errors: Vec<String> = BufReader::new(child.stderr.take().expect("a pipe"))
        .lines()
        .map(|line| line.expect("text"))
        .collect();
    feeder.join().expect("it ends with the pipe");
    let told = errors.iter().find(|line| line.contains("rows were committed to \"t\""));
    let told = told.unwrap_or_else(|| panic!("{errors:?}"));
    let rows: u64 =
        told.split(' ').next().expect("a number").replace(',', "").parse().expect("one");
    let all = bench.sql("SELECT count(*) AS n, max(n) AS m FROM t");
    assert_eq!(all, format!("n,m\n{},{rows}\n", rows + 1));
    assert!(bench.run(&["verify", "t"]).contains("read"));
}

#[test]
fn reading_where_nothing_is_leaves_nothing() {
    let bench = Bench::new();
    for args in [
        &["search", "x"][..],
        &["tables"],
        &["sql", "SELECT 1"],
        &["inspect", "t"],
        &["export", "t"],
        &["verify", "t"],
        &["history", "t"],
    ] {
        bench.infino(args);
        assert!(!bench.folder.path().join("store").exists(), "{args:?}");
    }
    bench.check_fails(&["search", "x"], 1, &["no tables"]);
    let nowhere = bench.command(&["tables"]).env_remove("INFINO_URI").output().expect("it runs");
    check_failed(&nowhere, 1, &["--uri", "INFINO_URI"]);
}

#[test]
fn statements_come_from_files_and_pipes_with_parameters() {
    let bench = Bench::new();
    bench.file("make.sql", "CREATE TABLE t (a BIGINT, b TEXT); -- two rows; no more\nINSERT INTO t VALUES (1, 'x;y'), (2, 'z');");
    bench.run(&["sql", "-f", "make.sql", "-o", "json"]);
    let piped =
        bench.run_on(&["sql", "-o", "csv"], b"SELECT b FROM t WHERE a = 1;\nSELECT 2 AS two;");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), "b\nx;y\ntwo\n2\n");
    let bound = bench.run(&[
        "sql",
        "SELECT a FROM t WHERE b = $1 OR a = $2",
        "-p",
        "x;y",
        "-p",
        "7",
        "-o",
        "json",
    ]);
    assert_eq!(bound, "[{\"a\":1}]\n");
    assert_eq!(bench.run(&["sql", "SELECT a FROM t WHERE a > 9", "-o", "csv"]), "a\n");
    bench.check_fails(&["sql", " -- nothing"], 1, &["no statement"]);
}

#[test]
fn a_file_sets_what_the_command_line_does_not() {
    let bench = Bench::new();
    bench.file("one.ndjson", "{\"n\": 0}\n");
    bench.file("infino.toml", "uri = 'elsewhere'\noutput = 'csv'\n");
    let set = |args: &[&str]| {
        let output = bench.command(args).env_remove("INFINO_URI").output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    set(&["import", "t", "one.ndjson"]);
    assert_eq!(set(&["sql", "SELECT n FROM t"]), "n\n0\n");
    assert!(bench.folder.path().join("elsewhere/catalog").exists());
    bench.file("infino.toml", "where = 'there'\n");
    assert!(set(&["tables"]).contains("\"where\""));
}

#[test]
fn a_file_and_a_section_are_looked_into() {
    let bench = Bench::new();
    bench.file("docs.ndjson", documents());
    bench.run(&[&["import", "docs", "docs.ndjson"], &FLAGS[..]].concat());
    let table = bench.run(&["inspect", "docs"]);
    for part in ["text english-v1, positions", "vectors cosine, recall 0.95", "key"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    let files = bench.run(&["inspect", "docs", "-o", "csv"]);
    let path = files.lines().nth(1).and_then(|line| line.split(',').next()).expect("a file");
    let file = bench.run(&["inspect", "docs", "--file", path]);
    for part in ["embedding", "text", "vector", "key", "checksums", "body: \"a lazy dog\" to"] {
        assert!(file.contains(part), "{part} is not in {file}");
    }
    let sections = bench.run(&["inspect", "docs", "--file", "parquet", "-o", "csv"]);
    for (number, line) in sections.lines().skip(1).enumerate() {
        let kind = line.split(',').nth(1).expect("a kind");
        let shown =
            bench.run(&["inspect", "docs", "--file", path, "--section", &number.to_string()]);
        let says = match kind {
            "text" => "body: 3 texts",
            "vector" => "3 of 16 dimensions, cosine",
            _ => "bytes",
        };
        assert!(shown.contains(says), "{says} is not in {shown}");
    }
    bench.check_fails(&["inspect", "docs", "--file", "nope"], 1, &["nope"]);
    bench.check_fails(
        &["inspect", "docs", "--file", path, "--section", "9"],
        1,
        &["sections 0 to"],
    );
}

#[test]
fn shells_get_their_completions() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(bench.run(&["completions", shell]).contains("import"), "{shell}");
    }
}

//! One page's blocks, run one after another in a folder of their own.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    Count,
    page::{Block, Language},
};
use crate::error::Failed;

/// A page takes seconds; one that hangs is stopped.
const TIME_MAX: Duration = Duration::from_secs(600);

/// What is defined before the blocks: `cargo run … -p infino-cli -- …` is the binary that was built, other commands of
/// cargo are what tests run anyway.
const PRELUDE: &str = r#"
set -euo pipefail
cargo() {
    case " $* " in
        *" -p infino-cli -- "*) while [ "$1" != -- ]; do shift; done; shift; infino "$@" ;;
        *) echo "not run here: cargo $*" ;;
    esac
}
python_block() {
    if [ -z "${PY_PID:-}" ]; then coproc PY { python ../driver.py; }; fi
    echo "$1" >&"${PY[1]}"
    read -r said <&"${PY[0]}"
    [ "$said" = ok ]
}
"#;

/// Runs one block of Python after another in one interpreter, so that a page's blocks build on each other.
const DRIVER: &str = r#"
import os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
names = {"__name__": "__main__"}
for line in sys.stdin:
    path = line.strip()
    try:
        with open(path) as file:
            exec(compile(file.read(), path, "exec"), names)
        sys.stdout.flush()
        answers.write("ok\n")
    except BaseException:
        traceback.print_exc()
        answers.write("failed\n")
    answers.flush()
"#;

const DUCKDB: &str = "import duckdb, sys\nprint(duckdb.sql(sys.stdin.read()))";
const COMPILE: &str = "import sys\ncompile(sys.stdin.read(), 'block', 'exec')";

/// How the blocks of a page are run.
pub(super) struct Session<'a> {
    pub(super) root: &'a Path,
    /// The folder of the binary `infino`.
    pub(super) bin: &'a Path,
    pub(super) python: Option<&'a Path>,
    /// Whether that Python has the package `infino`; a page whose blocks need it is not run without.
    pub(super) has_package: bool,
    pub(super) page: &'a str,
}

impl Session<'_> {
    /// Runs the blocks; the inner error is a block that failed, and what it said.
    pub(super) fn run(&self, blocks: &[Block]) -> Result<Result<Count, String>, Failed> {
        let (script, count) = self.script(blocks);
        if count.passed == 0 {
            return Ok(Ok(count));
        }
        let name = self.page.replace('/', "-");
        let folder =
            std::env::temp_dir().join(format!("infino-docs-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| Failed::at(&folder, &error))?;
        let outcome = self.run_in(&folder, &script);
        let _ = fs::remove_dir_all(&folder);
        println!(
            "docs: {} {}",
            self.page,
            if matches!(outcome, Ok(None)) { "ok" } else { "FAILED" }
        );
        Ok(match outcome? {
            None => Ok(count),
            Some(said) => Err(format!("{}: {said}", self.page)),
        })
    }

    /// The blocks as one script, and how many of them it runs.
    fn script(&self, blocks: &[Block]) -> (String, Count) {
        let mut script = PRELUDE.to_owned();
        let mut count = Count::default();
        let needs_package = blocks.iter().any(|block| {
            block.language == Language::Python && block.text.contains("import infino")
        });
        for block in blocks {
            let needs_python = matches!(block.language, Language::Python | Language::DuckDb);
            match block.language {
                Language::Text | Language::Rust => continue,
                Language::Sql if block.no_run => continue,
                _ if needs_python
                    && (self.python.is_none() || (needs_package && !self.has_package)) =>
                {
                    count.skipped += 1;
                    continue;
                }
                _ => count.passed += 1,
            }
            let _ = writeln!(script, "echo '--- line {}'", block.line);
            let command = match (block.language, block.no_run) {
                (Language::Shell, false) => {
                    script.push_str(&block.text);
                    continue;
                }
                (Language::Shell, true) => "bash -n".to_owned(),
                (Language::Sql, _) => "infino sql -".to_owned(),
                (Language::Python, false) => {
                    let path = format!("../block-{}.py", block.line);
                    let text = &block.text;
                    let _ = writeln!(
                        script,
                        "cat > {path} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\npython_block {path}"
                    );
                    continue;
                }
                (Language::Python, true) => format!("python -c \"{COMPILE}\""),
                (Language::DuckDb, _) => format!("python -c \"{DUCKDB}\""),
                (Language::Text | Language::Rust, _) => unreachable!("left out above"),
            };
            let _ = writeln!(script, "{command} <<'END_OF_BLOCK'\n{}END_OF_BLOCK", block.text);
        }
        (script, count)
    }

    /// What was said by a script that failed; `None` if it did not.
    fn run_in(&self, folder: &Path, script: &str) -> Result<Option<String>, Failed> {
        let failed = |error: &std::io::Error| Failed::at(folder, error);
        let work = folder.join("work");
        let home = folder.join("home");
        fs::create_dir_all(&work).map_err(|error| failed(&error))?;
        self.registry(&home).map_err(|error| failed(&error))?;
        fs::write(folder.join("driver.py"), DRIVER).map_err(|error| failed(&error))?;
        let path = folder.join("blocks.sh");
        fs::write(&path, script).map_err(|error| failed(&error))?;
        let log = folder.join("log");
        let out = File::create(&log).map_err(|error| failed(&error))?;
        let err = out.try_clone().map_err(|error| failed(&error))?;
        let mut child = Command::new("bash")
            .arg(&path)
            .current_dir(&work)
            .env("PATH", self.path()?)
            .env("HOME", &home)
            .env("CARGO_HOME", &home)
            .env_remove("INFINO_URI")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| Failed::new(format!("bash did not start: {error}")))?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| failed(&error))? {
                break status;
            }
            if begun.elapsed() > TIME_MAX {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return Ok(None);
        }
        let said = fs::read(&log).map_err(|error| failed(&error))?;
        Ok(Some(format!("{status}\n{}", String::from_utf8_lossy(&said))))
    }

    /// The search path, with the binary and the Python of the tests before anything else.
    fn path(&self) -> Result<std::ffi::OsString, Failed> {
        let first = [Some(self.bin), self.python.and_then(Path::parent)];
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let rest: Vec<PathBuf> = std::env::split_paths(&rest).collect();
        let all = first.into_iter().flatten().map(Path::to_owned).chain(rest);
        std::env::join_paths(all).map_err(|error| Failed::new(error.to_string()))
    }

    /// A registry of sources as cargo keeps one, small, so that the demo has something to read.
    fn registry(&self, home: &Path) -> std::io::Result<()> {
        let package = home.join("registry/src/index/infino-format-0.1.0/src");
        fs::create_dir_all(&package)?;
        for entry in fs::read_dir(self.root.join("crates/infino-format/src"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                fs::copy(&path, package.join(path.file_name().unwrap_or_default()))?;
            }
        }
        Ok(())
    }
}

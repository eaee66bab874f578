//! The prompt: lines with history and completion, statements over several lines, a few commands.

use std::{borrow::Cow, io::Write, path::PathBuf, time::Instant};

use clap::ValueEnum;
use infino::Connection;
use rustyline::{
    Config, Context, Editor, Helper,
    completion::{Completer, Pair},
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::Validator,
};

use super::{one, split};
use crate::{CliError, inspect, output::Format, settings::Settings, stopwatch::duration};

const HELP: &str = "\
Statements end with a semicolon and may take several lines.
  \\dt            the tables
  \\d NAME        a table's columns, indexes and files
  \\o FORMAT      how rows are printed: table, json, ndjson, csv, arrow
  \\timing        shows how long statements take, or no longer
  \\q             leaves (^D does too)";

/// Words that statements are made of.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "BETWEEN",
    "IS NULL",
    "DISTINCT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "UNION",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "INSERT INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE FROM",
    "CREATE TABLE",
    "DROP TABLE",
    "SHOW TABLES",
    "DESCRIBE",
    "count(*)",
    "bm25_search(",
    "vector_search(",
    "hybrid_search(",
    "token_match(",
    "exact_match(",
    "match(",
    "match_score(",
    "distance(",
    "highlight(",
];

/// Reads statements from the terminal and runs them until the end of input. A statement that fails ends nothing.
pub(super) async fn run(
    db: &Connection,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let config = Config::builder().auto_add_history(false).max_history_size(10_000);
    let config = config.map_err(into_io)?.build();
    let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(into_io)?;
    let history = history_file();
    if let Some(path) = &history {
        // None yet, or one that cannot be read: it begins anew.
        let _ = editor.load_history(path);
    }
    writeln!(out, "infino {} on {}; \\? for help", env!("CARGO_PKG_VERSION"), db.uri())?;
    let mut session = Session { format: settings.output(), timing: true };
    let mut text = String::new();
    editor.set_helper(Some(Words::of(db).await));
    loop {
        let prompt = if text.is_empty() { "infino> " } else { "   ...> " };
        match editor.readline(prompt) {
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            // ^C gives up the statement that is being written.
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(into_io(error).into()),
        }
        let whole = text.trim();
        let is_command = whole.starts_with('\\') || matches!(whole, "quit" | "exit");
        if !is_command && !split::is_complete(&text) {
            if whole.is_empty() {
                text.clear();
            }
            continue;
        }
        let whole = whole.to_owned();
        text.clear();
        let _ = editor.add_history_entry(whole.as_str());
        if let Some(path) = &history {
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = editor.append_history(path);
        }
        if is_command {
            match session.command(db, &whole, settings, out).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => report(&error)?,
            }
            continue;
        }
        for statement in split::statements(&whole) {
            let start = Instant::now();
            match one(db, statement, &[], session.format, out).await {
                Ok(()) if session.timing => writeln!(out, "{}", duration(start.elapsed()))?,
                Ok(()) => {}
                Err(error) => {
                    report(&error)?;
                    break;
                }
            }
            out.flush()?;
            if changes_names(statement) {
                editor.set_helper(Some(Words::of(db).await));
            }
        }
    }
    Ok(())
}

/// Whether a statement may have made or removed a table.
fn changes_names(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    ["CREATE", "DROP", "ALTER"].iter().any(|word| word.eq_ignore_ascii_case(first))
}

/// What commands change.
struct Session {
    format: Format,
    timing: bool,
}

impl Session {
    /// Carries out a command; `false` to leave.
    async fn command(
        &mut self,
        db: &Connection,
        text: &str,
        settings: &Settings,
        out: &mut impl Write,
    ) -> Result<bool, CliError> {
        let mut words = text.split_whitespace();
        match (words.next().unwrap_or_default(), words.next()) {
            ("\\q" | "quit" | "exit", _) => return Ok(false),
            ("\\dt", _) => inspect::tables(db, self.format, out).await?,
            ("\\d", Some(name)) => {
                let name = name.trim_end_matches(';');
                inspect::table(&db.open_table(name).await?, self.format, settings, out).await?;
            }
            ("\\d", None) => inspect::tables(db, self.format, out).await?,
            ("\\o", Some(name)) => {
                self.format = Format::from_str(name, true)
                    .map_err(|_| CliError::Usage(format!("formats are {}", Format::names())))?;
            }
            ("\\timing", _) => {
                self.timing = !self.timing;
                writeln!(out, "times are {}", if self.timing { "shown" } else { "not shown" })?;
            }
            _ => writeln!(out, "{HELP}")?,
        }
        out.flush()?;
        Ok(true)
    }
}

fn report(error: &CliError) -> Result<(), CliError> {
    let red = console::Style::new().for_stderr().red().bold();
    Ok(writeln!(std::io::stderr(), "{} {error}", red.apply_to("error:"))?)
}

fn into_io(error: ReadlineError) -> std::io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => std::io::Error::other(other),
    }
}

/// Where the lines of earlier sessions are kept: `$XDG_STATE_HOME/infino/history`, else below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || Some(set("HOME")?.join(".local").join("state"));
    let state = set("XDG_STATE_HOME").or_else(|| set("LOCALAPPDATA")).or_else(home)?;
    Some(state.join("infino").join("history"))
}

/// What may stand next: names of tables and columns, and the words of SQL.
struct Words {
    names: Vec<String>,
}

impl Words {
    /// The words that are known now; a store that does not answer offers none of its own.
    async fn of(db: &Connection) -> Self {
        let mut names = db.table_names().await.unwrap_or_default();
        for table in names.clone() {
            if let Ok(schema) = async { db.open_table(&table).await?.schema() }.await {
                names.extend(schema.fields().iter().map(|field| field.name().clone()));
            }
        }
        names.sort();
        names.dedup();
        Self { names }
    }

    /// Where the last word of `line` begins, and what it may be the beginning of.
    fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let is_part = |ch: char| ch.is_alphanumeric() || ch == '_';
        let start = line
            .rfind(|ch| !is_part(ch))
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let word = &line[start..];
        if word.is_empty() {
            return (start, Vec::new());
        }
        let names = self.names.iter().filter(|name| name.starts_with(word)).cloned();
        let small = word.chars().all(|ch| !ch.is_uppercase());
        let begins = |keyword: &&&str| {
            keyword.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
        };
        let keywords = KEYWORDS.iter().filter(begins).map(|keyword| match small {
            true => keyword.to_lowercase(),
            false => (*keyword).to_owned(),
        });
        (start, names.chain(keywords).collect())
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.complete(&line[..at]);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_completed_by_names_and_keywords() {
        let words = Words { names: vec!["docs".into(), "document".into(), "wo".into()] };
        assert_eq!(
            words.complete("SELECT * FROM do"),
            (14, vec!["docs".into(), "document".into()])
        );
        assert_eq!(
            words.complete("select w"),
            (7, vec!["wo".into(), "where".into(), "when".into()])
        );
        assert_eq!(words.complete("WHE"), (0, vec!["WHERE".into(), "WHEN".into()]));
        assert_eq!(words.complete("SELECT "), (7, vec![]));
        assert_eq!(words.complete("ü(ma"), (3, vec!["match(".into(), "match_score(".into()]));
    }
}

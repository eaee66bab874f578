//! The files of the workspace, and Rust text with its comments and literals told apart from its code.

use std::{fs, path::Path};

use crate::error::Failed;

/// A text file of the workspace.
#[derive(Debug)]
pub(crate) struct File {
    /// From the folder of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|ext| ext == extension)
    }
}

/// Every file under `root` with one of `extensions`, by path; build output, virtual environments and
/// hidden folders left out, except those of continuous integration.
pub(crate) fn files(root: &Path, extensions: &[&str]) -> Result<Vec<File>, Failed> {
    let mut found = Vec::new();
    walk(root, "", extensions, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(root: &Path, under: &str, ext: &[&str], found: &mut Vec<File>) -> Result<(), Failed> {
    let folder = root.join(under);
    for entry in fs::read_dir(&folder).map_err(|error| Failed::at(&folder, &error))? {
        let entry = entry.map_err(|error| Failed::at(&folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if under.is_empty() { name.clone() } else { format!("{under}/{name}") };
        let kind = entry.file_type().map_err(|error| Failed::at(&entry.path(), &error))?;
        let hidden = name.starts_with('.') && ![".ci", ".github"].contains(&name.as_str());
        if kind.is_dir() {
            if !hidden && name != "target" {
                walk(root, &path, ext, found)?;
            }
        } else if kind.is_file()
            && Path::new(&name).extension().is_some_and(|e| ext.iter().any(|x| e == *x))
        {
            let text =
                fs::read_to_string(entry.path()).map_err(|e| Failed::at(&entry.path(), &e))?;
            found.push(File { path, text });
        }
    }
    Ok(())
}

/// A Rust file taken apart: two texts as long as the original, line for line.
pub(crate) struct Rust<'a> {
    pub(crate) path: &'a str,
    /// Code alone: comments and what stands in string and character literals are spaces.
    pub(crate) code: String,
    /// Comments alone, their slashes included: everything else is spaces.
    pub(crate) comments: String,
}

impl<'a> Rust<'a> {
    pub(crate) fn read(file: &'a File) -> Self {
        let (code, comments) = split(&file.text);
        Self { path: &file.path, code, comments }
    }

    /// The crate this file belongs to, as its folder: `crates/infino-fts`, `xtask`, `benches`.
    pub(crate) fn package(&self) -> &str {
        let end = match self.path.strip_prefix("crates/") {
            Some(rest) => rest.find('/').map(|at| at + "crates/".len()),
            None => self.path.find('/'),
        };
        &self.path[..end.unwrap_or(self.path.len())]
    }
}

/// What one stretch of Rust text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// `text` as its code alone and its comments alone.
fn split(text: &str) -> (String, String) {
    let mut code = String::with_capacity(text.len());
    let mut comments = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (kind, len) = stretch(text, at);
        for ch in text[at..at + len].chars() {
            let blank = if ch == '\n' { '\n' } else { ' ' };
            code.push(if kind == Kind::Code { ch } else { blank });
            comments.push(if kind == Kind::Comment { ch } else { blank });
        }
        at += len;
    }
    (code, comments)
}

/// Kind and length in bytes of what starts at `at`.
fn stretch(text: &str, at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Kind::Literal, quoted(rest));
    }
    if rest.starts_with('\'') {
        let len = character(rest);
        return if len == 0 { (Kind::Code, 1) } else { (Kind::Literal, len) };
    }
    let word = rest.find(|ch: char| !ch.is_alphanumeric() && ch != '_').unwrap_or(rest.len());
    if word == 0 {
        return (Kind::Code, rest.chars().next().map_or(1, char::len_utf8));
    }
    let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
    if ["r", "br", "cr"].contains(&&rest[..word]) && rest[word + hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = word + hashes + 1;
        let len = rest[body..].find(&end).map_or(rest.len(), |found| body + found + end.len());
        return (Kind::Literal, len);
    }
    (Kind::Code, word)
}

/// Length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (bytes, mut depth, mut at) = (rest.as_bytes(), 0, 0);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a string literal with escapes, quotes included.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, ch) in rest.char_indices().skip(1) {
        match ch {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a character literal, quotes included, or 0 where the quote starts a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|&(_, ch)| ch == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// The line, from 1, that holds byte `at` of `text`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|&byte| byte == b'\n').count() + 1
}

/// Where `word` stands in `text` with no letter, digit or underscore beside it.
pub(crate) fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let part = |ch: char| ch.is_alphanumeric() || ch == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `_` in `want` stands for a blanked character, so that its width is seen.
    fn check_code(text: &str, want: &str) {
        assert_eq!(split(text).0, want.replace('_', " "));
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check_code("a // b \"c\nd", "a _______\nd");
        check_code("a /* b /* c */ d */ e", "a _________________ e");
        check_code(r#"f("x \" y", z)"#, "f(________, z)");
        check_code("r#\"a\"b\"# c", "________ c");
        check_code("br\"a\" c", "_____ c");
        check_code("r#type c", "r#type c");
    }

    #[test]
    fn a_lifetime_is_code_and_a_character_is_not() {
        check_code("&'a str", "&'a str");
        check_code("['{', 'b']", "[___, ___]");
        check_code(r"'\'' x", "____ x");
        check_code("'static", "'static");
    }

    #[test]
    fn comments_keep_their_place() {
        let (_, comments) = split("a /// see `docs/x.md`\nb");
        assert_eq!(comments, "  /// see `docs/x.md`\n ");
    }

    #[test]
    fn words_have_no_letters_beside_them() {
        assert_eq!(words("unsafe_code unsafe { } an_unsafe", "unsafe").collect::<Vec<_>>(), [12]);
    }

    #[test]
    fn package_of_a_file() {
        let of = |path: &str| {
            Rust::read(&File { path: path.to_owned(), text: String::new() }).package().to_owned()
        };
        assert_eq!(of("crates/infino-fts/src/lib.rs"), "crates/infino-fts");
        assert_eq!(of("xtask/src/main.rs"), "xtask");
    }
}

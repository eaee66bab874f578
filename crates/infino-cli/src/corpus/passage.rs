//! Where a file is cut: at the strongest boundary that keeps a passage near its aim.

use std::{collections::VecDeque, ops::Range};

use super::Language;

/// The most a passage holds, in bytes.
pub const PASSAGE_BYTES_MAX: usize = 2_000;
/// The most a passage holds, in lines.
pub const PASSAGE_LINES_MAX: usize = 50;
/// Shorter passages, in bytes without white space, say nothing.
const INK_BYTES_MIN: usize = 8;

/// What all passages of a file share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) crate_name: String,
    pub(super) version: String,
    pub(super) language: Language,
}

/// A stretch of a file that can be read on its own: one row of the demo's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The file, from the folder that was read, with `/`.
    pub path: String,
    /// The crate, or the first folder on the path.
    pub crate_name: String,
    /// The crate's version; empty where the folder's name has none.
    pub version: String,
    /// By the file's extension.
    pub language: Language,
    /// Of the first line, from 1.
    pub line: u32,
    /// Whole lines, without empty ones at either end.
    pub text: String,
}

/// How good a place before a line is for a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Boundary {
    /// Between two lines that belong together.
    Line,
    /// After a blank line.
    Paragraph,
    /// Before an item or a heading: unindented, after a blank line.
    Item,
}

/// Cuts `text` into passages of at most [`PASSAGE_BYTES_MAX`] and [`PASSAGE_LINES_MAX`], in order. Only
/// blank stretches and stray braces are in none.
pub(super) fn cut(source: &Source, text: &str) -> VecDeque<Passage> {
    let lines = lines(text);
    let mut passages = VecDeque::new();
    let mut start = 0;
    while start < lines.len() {
        let end = passage_end(text, &lines, start, &source.language);
        let (from, to) = (lines[start].start, lines[end - 1].end);
        push(&mut passages, source, start, &text[from..to]);
        start = end;
    }
    passages
}

/// Ranges of the lines of `text`, ends of line included; a line too long for a passage counts as several.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        while end - at > PASSAGE_BYTES_MAX {
            let mut cut = at + PASSAGE_BYTES_MAX;
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            lines.push(at..cut);
            at = cut;
        }
        lines.push(at..end);
        at = end;
    }
    lines
}

/// The line after the last of the passage that starts at line `start`: the whole rest if it fits, else the
/// latest of the strongest boundaries in the second half of what fits.
fn passage_end(text: &str, lines: &[Range<usize>], start: usize, language: &str) -> usize {
    let from = lines[start].start;
    let fits = |line: &&Range<usize>| line.end - from <= PASSAGE_BYTES_MAX;
    let count = lines[start..].iter().take(PASSAGE_LINES_MAX).take_while(fits).count().max(1);
    let last = start + count;
    if last == lines.len() {
        return last;
    }
    let is_late = |&end: &usize| {
        let bytes = lines[end - 1].end - from;
        end - start >= PASSAGE_LINES_MAX / 2 || bytes >= PASSAGE_BYTES_MAX / 2
    };
    let ends = (start + 1..=last).filter(is_late);
    ends.max_by_key(|&end| (boundary(text, lines, end, language), end)).unwrap_or(last)
}

/// The boundary before line `at`.
fn boundary(text: &str, lines: &[Range<usize>], at: usize, language: &str) -> Boundary {
    let line = &text[lines[at].clone()];
    let after_blank = text[lines[at - 1].clone()].trim().is_empty();
    let heading = language == "markdown" && line.starts_with('#');
    let unindented = line.starts_with(|ch: char| !ch.is_whitespace() && !"})]".contains(ch));
    match (after_blank, heading || unindented) {
        (true, true) => Boundary::Item,
        (true, false) => Boundary::Paragraph,
        (false, _) => Boundary::Line,
    }
}

fn push(passages: &mut VecDeque<Passage>, source: &Source, line: usize, text: &str) {
    let blank = text.split_inclusive('\n').take_while(|line| line.trim().is_empty());
    let (skipped, skipped_bytes) =
        blank.fold((0, 0), |(lines, bytes), line| (lines + 1, bytes + line.len()));
    let text = text[skipped_bytes..].trim_end();
    let ink = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    if ink < INK_BYTES_MIN {
        return;
    }
    let Source { path, crate_name, version, language } = source.clone();
    let line = u32::try_from(line + skipped + 1).unwrap_or(u32::MAX);
    passages.push_back(Passage {
        path,
        crate_name,
        version,
        language,
        line,
        text: text.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_text(text: &str) -> Vec<(u32, String)> {
        let source = Source {
            path: "a/b.rs".to_owned(),
            crate_name: "a".to_owned(),
            version: String::new(),
            language: "rust".into(),
        };
        cut(&source, text).into_iter().map(|passage| (passage.line, passage.text)).collect()
    }

    #[test]
    fn a_short_file_is_one_passage() {
        assert_eq!(cut_text("\n\nfn main() {}\n\n"), [(3, "fn main() {}".to_owned())]);
        assert_eq!(cut_text("}\n)\n"), []);
        assert_eq!(cut_text(""), []);
    }

    #[test]
    fn items_stay_whole_with_their_comments() {
        let item = |n: usize| {
            format!("/// Item {n}.\nfn item_{n}() {{\n\n{}}}\n\n", "    work();\n".repeat(14))
        };
        let text: String = (0..5).map(item).collect();
        let passages = cut_text(&text);
        for (at, (line, text)) in passages.iter().enumerate() {
            assert!(text.starts_with("/// Item"), "passage {at} at {line}: {text}");
            assert!(text.ends_with('}'));
        }
        assert_eq!(passages.len(), 3);
    }

    #[test]
    fn nothing_with_words_is_lost_and_lines_are_right() {
        let mut text = String::new();
        for n in 0..400 {
            let pad = "x".repeat(n * 37 % 190);
            text.push_str(&format!(
                "{}line {n} {pad}\n{}",
                " ".repeat(n % 3),
                "\n".repeat(n % 5 / 4)
            ));
        }
        let all: Vec<&str> = text.lines().collect();
        let mut seen = 0;
        for (line, passage) in cut_text(&text) {
            assert!(passage.len() <= PASSAGE_BYTES_MAX);
            assert!(passage.lines().count() <= PASSAGE_LINES_MAX);
            let at = line as usize - 1;
            let want = all[at..at + passage.lines().count()].join("\n");
            assert_eq!(passage, want.trim_end());
            seen += passage.matches("line ").count();
        }
        assert_eq!(seen, 400);
    }

    #[test]
    fn a_line_longer_than_a_passage_is_cut_between_characters() {
        let text = "é".repeat(3_000);
        let passages = cut_text(&text);
        assert_eq!(passages.len(), 3);
        assert_eq!(passages.iter().map(|(_, text)| text.as_str()).collect::<String>(), text);
        assert!(passages.iter().all(|(_, text)| text.len() <= PASSAGE_BYTES_MAX));
    }
}

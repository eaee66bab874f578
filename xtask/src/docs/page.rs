//! The blocks of code on a page.

/// What a block is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Shell,
    Sql,
    DuckDb,
    Python,
    Rust,
    /// Nothing that runs: output, pictures, configuration.
    Text,
}

/// A block of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) language: Language,
    /// The line of its fence, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// Whether it is only parsed.
    pub(super) no_run: bool,
    /// Whether a documentation test passes it by.
    pub(super) ignored: bool,
}

/// The blocks of a page in order; a comment that begins with `setup` is a shell block.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let fence = line.trim_start();
        let (info, end) = if let Some(info) = fence.strip_prefix("```") {
            (info.trim().to_owned(), "```")
        } else if fence == "<!-- setup" {
            ("sh".to_owned(), "-->")
        } else {
            continue;
        };
        let indent = line.len() - fence.len();
        let mut text = String::new();
        for (_, line) in lines.by_ref() {
            if line.trim() == end {
                break;
            }
            text.push_str(line.get(indent..).unwrap_or_default());
            text.push('\n');
        }
        found.push(block(&info, at + 1, text));
    }
    found
}

fn block(info: &str, line: usize, text: String) -> Block {
    let mut words = info.split([',', ' ']).map(str::trim);
    let language = words.next().unwrap_or_default();
    let flags: Vec<&str> = words.collect();
    let has = |flag: &str| flags.contains(&flag);
    let language = match language {
        "sh" | "bash" | "shell" | "console" => Language::Shell,
        "sql" if has("duckdb") => Language::DuckDb,
        "sql" => Language::Sql,
        "python" | "py" => Language::Python,
        "rust" | "rs" => Language::Rust,
        _ => Language::Text,
    };
    Block { language, line, text, no_run: has("no_run"), ignored: has("ignore") || has("text") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_a_language_a_line_and_flags() {
        let page = "# A\n```sh\na\nb\n```\n<!-- setup\nc\n-->\n- x\n  ```sql,duckdb,no_run\n  d\n  ```\n```\ne\n```\n";
        let found = blocks(page);
        let shown: Vec<_> =
            found.iter().map(|b| (b.language, b.line, b.text.as_str(), b.no_run)).collect();
        assert_eq!(
            shown,
            [
                (Language::Shell, 2, "a\nb\n", false),
                (Language::Shell, 6, "c\n", false),
                (Language::DuckDb, 10, "d\n", true),
                (Language::Text, 13, "e\n", false),
            ]
        );
    }
}

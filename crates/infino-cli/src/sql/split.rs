//! Statements in a text.

/// The statements of `text`, cut at semicolons that stand outside of quotes and comments; empty ones are left out.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in ends(text).into_iter().chain([text.len()]) {
        let statement = text[start..end].trim();
        if !is_blank(statement) {
            found.push(statement);
        }
        start = (end + 1).min(text.len());
    }
    found
}

/// Whether `text` ends outside of quotes and comments, behind a semicolon.
#[cfg_attr(not(feature = "prompt"), allow(dead_code, reason = "the prompt asks for more lines"))]
pub(super) fn is_complete(text: &str) -> bool {
    ends(text).last().is_some_and(|&end| is_blank(&text[end + 1..]))
}

/// Where semicolons end a statement.
fn ends(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        at += match bytes[at] {
            b';' => {
                ends.push(at);
                1
            }
            // A quote that is doubled inside ends one text and begins the next, which comes to the same.
            quote @ (b'\'' | b'"' | b'`') => {
                1 + bytes[at + 1..]
                    .iter()
                    .position(|&byte| byte == quote)
                    .map_or(bytes.len(), |n| n + 1)
            }
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |n| n + 2),
            _ => 1,
        };
        while at < bytes.len() && !text.is_char_boundary(at) {
            at += 1;
        }
    }
    ends
}

/// Whether there is nothing but white space and comments.
fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        rest = if rest.is_empty() {
            return true;
        } else if rest.starts_with("--") {
            rest.split_once('\n').map_or("", |(_, rest)| rest)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return false;
        }
        .trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        for (text, want) in [
            ("SELECT 1", &["SELECT 1"][..]),
            ("SELECT 1;\nSELECT 2 ;", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';', 'it''s;' ;", &["SELECT ';', 'it''s;'"]),
            ("SELECT \"a;b\", `c;d`; SELECT 'ü;'", &["SELECT \"a;b\", `c;d`", "SELECT 'ü;'"]),
            ("-- one; two\nSELECT 1 /* ; */;", &["-- one; two\nSELECT 1 /* ; */"]),
            (";; -- nothing\n;/* ; */", &[]),
            ("SELECT 'open;", &["SELECT 'open;"]),
            ("", &[]),
        ] {
            assert_eq!(statements(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_statement_is_complete_behind_its_semicolon() {
        assert!(is_complete("SELECT 1;"));
        assert!(is_complete("SELECT 1; -- so there"));
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "-- ;", "/* ;"] {
            assert!(!is_complete(open), "{open}");
        }
    }
}

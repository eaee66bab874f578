//! Identifiers in program text: the whole and its parts.

use std::ops::Range;

/// Calls `word` with each identifier of `text`, and then with its parts if it has several, at the same word number.
///
/// An identifier is a run of letters, digits and `_`; its parts are cut at `_`, between lower and upper case
/// (`parseHtml`), before the last capital of a run that a lower-case letter follows (`HTTPServer`), and between letters
/// and digits. The last argument tells whether the word begins a new place in the text.
pub(crate) fn words(text: &str, mut word: impl FnMut(Range<usize>, bool)) {
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let inside = c.is_alphanumeric() || c == '_';
        match (start, inside) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                start = None;
                identifier(&text[from..at], from, &mut word);
            }
            _ => {}
        }
    }
}

fn identifier(whole: &str, base: usize, word: &mut impl FnMut(Range<usize>, bool)) {
    if whole.bytes().all(|byte| byte == b'_') {
        return;
    }
    word(base..base + whole.len(), true);
    let chars: Vec<(usize, char)> = whole.char_indices().collect();
    let mut start = 0;
    let mut parts = Vec::new();
    for i in 0..=chars.len() {
        let end = chars.get(i).map_or(whole.len(), |&(at, _)| at);
        let cut = i == chars.len() || i > 0 && splits(&chars, i);
        if cut {
            let part = whole[start..end].trim_matches('_');
            if !part.is_empty() {
                let at = start
                    + (whole[start..end].len() - whole[start..end].trim_start_matches('_').len());
                parts.push(at..at + part.len());
            }
            start = end;
        }
    }
    if parts.len() > 1 || parts.first().is_some_and(|part| part.len() != whole.len()) {
        parts.into_iter().for_each(|part| word(base + part.start..base + part.end, false));
    }
}

/// Whether a part ends before character `i`.
fn splits(chars: &[(usize, char)], i: usize) -> bool {
    let (before, here) = (chars[i - 1].1, chars[i].1);
    let after = chars.get(i + 1).map(|&(_, c)| c);
    here == '_' && before != '_'
        || before.is_lowercase() && here.is_uppercase()
        || before.is_uppercase() && here.is_uppercase() && after.is_some_and(char::is_lowercase)
        || before.is_numeric() != here.is_numeric() && before != '_' && here != '_'
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut found = Vec::new();
        super::words(text, |range, new| {
            found.push(if new { text[range].to_owned() } else { format!("={}", &text[range]) });
        });
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn identifiers_are_kept_whole_and_cut() {
        check("parseHtmlPage(x)", "parseHtmlPage =parse =Html =Page x");
        check("HTTPServer2 snake_case", "HTTPServer2 =HTTP =Server =2 snake_case =snake =case");
        check("__init__ __ a.b", "__init__ =init a b");
        check("", "");
        check("straßeÜber", "straßeÜber =straße =Über");
    }
}

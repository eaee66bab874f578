//! Overlapping pieces of text, for scripts that put no space between words and for finding parts of words.

use std::ops::Range;

use super::segment;

/// Whether `c` is of a script written without spaces between words: Han, kana, Hangul and their like.
fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}' // Hangul jamo
        | '\u{2e80}'..='\u{2fdf}' // radicals
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' // kana
        | '\u{3100}'..='\u{318f}' // bopomofo, jamo
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Calls `word` with the words of `text`, and where it is Chinese, Japanese or Korean with every two neighbouring
/// characters (one if it stands alone).
pub(crate) fn cjk_words(text: &str, mut word: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        let wide = text[at..].starts_with(is_cjk);
        let len = text[at..].find(|c| is_cjk(c) != wide).unwrap_or(text.len() - at);
        let run = at..at + len;
        at = run.end;
        if !wide {
            segment::words(&text[run.clone()], |range| {
                word(run.start + range.start..run.start + range.end)
            });
            continue;
        }
        let mut one = None;
        let mut two = None;
        for (start, c) in text[run.clone()].char_indices() {
            let (start, end) = (run.start + start, run.start + start + c.len_utf8());
            if let Some(before) = one {
                two = Some(before);
                word(before..end);
            }
            one = Some(start);
        }
        if two.is_none() {
            word(run);
        }
    }
}

/// Calls `word` with every `len` neighbouring characters of `text`, with all of it if it has fewer.
pub(crate) fn grams(text: &str, len: usize, mut word: impl FnMut(Range<usize>)) {
    let mut starts = text.char_indices().map(|(at, _)| at);
    let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8()).skip(len.max(1) - 1);
    let mut any = false;
    while let (Some(start), Some(end)) = (starts.next(), ends.next()) {
        any = true;
        word(start..end);
    }
    if !any && !text.is_empty() {
        word(0..text.len());
    }
}

#[cfg(test)]
mod tests {
    fn all(text: &str, words: impl Fn(&str, &mut dyn FnMut(std::ops::Range<usize>))) -> String {
        let mut found = Vec::new();
        words(text, &mut |range| found.push(&text[range]));
        found.join("|")
    }

    #[test]
    fn cjk_goes_by_pairs_and_the_rest_by_words() {
        let check = |text, expected| assert_eq!(all(text, |t, w| super::cjk_words(t, w)), expected);
        check("東京タワーはTokyo towerだ。", "東京|京タ|タワ|ワー|ーは|Tokyo|tower|だ");
        check("한국어 hello", "한국|국어|hello");
        check("", "");
        check("好", "好");
    }

    #[test]
    fn grams_overlap() {
        let check = |text, expected| assert_eq!(all(text, |t, w| super::grams(t, 3, w)), expected);
        check("a bçd", "a b| bç|bçd");
        check("ab", "ab");
        check("", "");
    }
}

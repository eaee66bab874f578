//! Words by Unicode Standard Annex #29, with a fast path for ASCII.
//!
//! A space or a line break always ends a word, so text is cut there first; a run without a byte above 127 is segmented by
//! the few rules that concern ASCII, any other by the full algorithm. Both give the same words. (The annex lets a space begin a
//! word if a combining letter follows it; here the word begins with the letter.)

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const JOIN: u8 = 4; // '_' continues letters and digits
const MID_LETTER: u8 = 8; // between letters
const MID_DIGIT: u8 = 16; // between digits
const BREAK: u8 = 32; // white space: nothing reaches across
const WIDE: u8 = 64; // not ASCII

const fn classes() -> [u8; 256] {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'_' => JOIN,
            b':' => MID_LETTER,
            b'.' | b'\'' => MID_LETTER | MID_DIGIT,
            b',' | b';' => MID_DIGIT,
            b' ' | b'\n' | b'\r' | b'\t' => BREAK,
            128..=255 => WIDE,
            _ => 0,
        };
        byte += 1;
    }
    class
}

const CLASS: [u8; 256] = classes();

/// Calls `word` with the place of each word of `text`, in order.
#[inline]
pub(crate) fn words(text: &str, mut word: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let (mut at, mut run) = (0, 0);
    while at < bytes.len() {
        let class = CLASS[bytes[at] as usize];
        if class & (LETTER | DIGIT | JOIN) != 0 {
            let (end, any) = ascii_word(bytes, at);
            if end < bytes.len() && CLASS[bytes[end] as usize] == WIDE {
                at = wide_run(text, run, at, &mut word);
                run = at;
                continue;
            }
            if any {
                word(at..end);
            }
            at = end;
        } else if class == WIDE {
            at = wide_run(text, run, at, &mut word);
            run = at;
        } else {
            at += 1;
            if class == BREAK {
                run = at;
            }
        }
    }
}

/// Calls `word` with the place of each run of `text` without white space.
pub(crate) fn spaces(text: &str, mut word: impl FnMut(Range<usize>)) {
    for run in text.split_whitespace() {
        let start = run.as_ptr().addr() - text.as_ptr().addr();
        word(start..start + run.len());
    }
}

/// End of the ASCII word that begins at `start`, and whether it holds a letter or digit.
#[inline]
fn ascii_word(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut at = start;
    let mut any = 0;
    let class_at = |at: usize| bytes.get(at).map_or(0, |&byte| CLASS[byte as usize]);
    loop {
        let mut class = class_at(at);
        while class & (LETTER | DIGIT | JOIN) != 0 {
            any |= class;
            at += 1;
            class = class_at(at);
        }
        let (before, after) = (CLASS[bytes[at - 1] as usize], class_at(at + 1));
        let joins = (class & MID_LETTER != 0 && before & after & LETTER != 0)
            || (class & MID_DIGIT != 0 && before & after & DIGIT != 0)
            || (class & (MID_LETTER | MID_DIGIT) != 0 && after == WIDE);
        if !joins {
            return (at, any & (LETTER | DIGIT) != 0);
        }
        at += 1;
        if after == WIDE {
            return (at, true);
        }
    }
}

/// Segments the run that begins at `run` and holds a wide character; words before `from` have been told already.
#[cold]
fn wide_run(text: &str, run: usize, from: usize, word: &mut impl FnMut(Range<usize>)) -> usize {
    let bytes = text.as_bytes();
    let end = bytes[from..]
        .iter()
        .position(|&byte| CLASS[byte as usize] == BREAK)
        .map_or(bytes.len(), |len| from + len);
    for (at, found) in text[run..end].unicode_word_indices() {
        let start = run + at;
        // What follows may have been joined to a sign that has been passed already.
        if start + found.len() > from {
            word(start..start + found.len());
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

    fn check(text: &str) {
        let mut found = Vec::new();
        words(text, |range| found.push(&text[range]));
        // A space that a combining letter follows is part of its word to the annex, and never to us.
        let expected: Vec<&str> =
            text.unicode_words().map(|word| word.trim_start_matches(SPACE)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn ascii_rules_match_the_annex() {
        for text in [
            "can't stop 3.14, 1,000;2 a.b.c. x:y _a_ __ a_b 'quoted' e.g. 3a.b a.3 don''t",
            "naïve café’s l'été x.é é.x 12.é a:é é\u{301}b \u{301}a b\u{301} c",
            "東京タワー ab東cd ไทย \u{1F600}a 한국어 a\u{200d}b \u{feff}x a\u{a0}b a\u{2028}b",
            "a\u{b}b a\u{c}b",
        ] {
            check(text);
        }
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_full_algorithm(text in "[a-c1-2_.:,;' \u{e9}\u{301}\u{6771}\u{200d}\u{b7}\"\n-]{0,24}") {
            check(&text);
        }

        #[test]
        fn any_text_is_segmented_alike(text in "\\PC{0,30}") {
            check(&text);
        }
    }
}

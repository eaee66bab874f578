//! The parts of a text worth showing, and how they are shown.

use std::collections::HashMap;
use std::ops::Range;

use super::{Match, merged};

/// How many fragments of what length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentOptions {
    /// At most so many.
    pub count_max: usize,
    /// Each at most about so many bytes; one that begins with a longer word is longer.
    pub len_max: usize,
    /// Whether a text that answers nothing is shown by its beginning.
    pub or_beginning: bool,
}

impl Default for FragmentOptions {
    fn default() -> Self {
        Self { count_max: 3, len_max: 160, or_beginning: false }
    }
}

/// A part of a text and what is to be marked in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// The bytes to mark, in the text; ascending, apart, inside the fragment.
    pub marks: Vec<Range<usize>>,
    /// How well it answers: the boosts of the conditions it meets, and a little for each repetition.
    pub score: f32,
}

/// What stands around marked text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Markup<'a> {
    /// Before it.
    pub before: &'a str,
    /// After it.
    pub after: &'a str,
    /// Whether `&`, `<`, `>`, `"` and `'` of the text are written as HTML has them.
    pub escapes_html: bool,
}

impl Markup<'static> {
    /// `<mark>` and `</mark>`, the text escaped.
    pub const HTML: Self = Self { before: "<mark>", after: "</mark>", escapes_html: true };
    /// Bold on a terminal.
    pub const ANSI: Self = Self { before: "\x1b[1m", after: "\x1b[0m", escapes_html: false };
}

impl Fragment {
    /// The fragment of `text` with its marks; where text is left out before or after, nothing tells so.
    pub fn render(&self, text: &str, markup: &Markup<'_>) -> String {
        let mut out = String::with_capacity(self.range.len() + 16 * self.marks.len());
        let mut at = self.range.start;
        for mark in &self.marks {
            push(&mut out, &text[at..mark.start], markup);
            out.push_str(markup.before);
            push(&mut out, &text[mark.clone()], markup);
            out.push_str(markup.after);
            at = mark.end;
        }
        push(&mut out, &text[at..self.range.end], markup);
        out
    }
}

fn push(out: &mut String, text: &str, markup: &Markup<'_>) {
    if !markup.escapes_html {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// The best fragments of `text` around `matches`, which are sorted; in the order of the text.
pub(crate) fn best(text: &str, matches: &[Match], options: &FragmentOptions) -> Vec<Fragment> {
    let mut windows: Vec<(f32, Range<usize>, Range<usize>)> = Vec::new();
    let mut scorer = Scorer::default();
    let mut end = 0;
    for (first, found) in matches.iter().enumerate() {
        let limit = found.range.start.saturating_add(options.len_max);
        while end < matches.len() && (end <= first || matches[end].range.end <= limit) {
            scorer.enter(&matches[end]);
            end += 1;
        }
        windows.push((scorer.score(), first..end, found.range.clone()));
        scorer.leave(found);
    }
    windows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.start.cmp(&b.1.start)));
    let mut chosen: Vec<Fragment> = Vec::new();
    for (score, own, first) in windows {
        if chosen.len() == options.count_max {
            break;
        }
        let inside = &matches[own];
        let last = inside.iter().map(|found| found.range.end).max().unwrap_or(first.end);
        if chosen.iter().any(|other| first.start < other.range.end && other.range.start < last) {
            continue;
        }
        // Text around it is shared with no other fragment.
        let floor = chosen.iter().map(|other| other.range.end).filter(|&end| end <= first.start);
        let ceiling = chosen.iter().map(|other| other.range.start).filter(|&start| start >= last);
        let room = floor.max().unwrap_or(0)..ceiling.min().unwrap_or(text.len());
        let range = around(text, first.start..last, &room, options.len_max);
        chosen.push(Fragment { marks: merged(inside), range, score });
    }
    if chosen.is_empty() && options.or_beginning && options.count_max > 0 && !text.is_empty() {
        let range = around(text, 0..0, &(0..text.len()), options.len_max);
        chosen.push(Fragment { range, marks: Vec::new(), score: 0.0 });
    }
    chosen.sort_by_key(|fragment| fragment.range.start);
    chosen
}

/// What the matches of a window are worth together.
#[derive(Debug, Default)]
struct Scorer {
    /// How often each condition is met, and its boost.
    met: HashMap<usize, (u32, f32)>,
}

impl Scorer {
    fn enter(&mut self, found: &Match) {
        self.met.entry(found.leaf).or_insert((0, found.weight)).0 += 1;
    }

    fn leave(&mut self, found: &Match) {
        if let Some((count, _)) = self.met.get_mut(&found.leaf) {
            *count -= 1;
            if *count == 0 {
                self.met.remove(&found.leaf);
            }
        }
    }

    fn score(&self) -> f32 {
        let mut met: Vec<(usize, u32, f32)> =
            self.met.iter().map(|(&leaf, &(count, weight))| (leaf, count, weight)).collect();
        // In one order, so that the sum is always the same.
        met.sort_unstable_by_key(|&(leaf, ..)| leaf);
        met.iter().map(|&(_, count, weight)| weight * (2.0 - 1.0 / count as f32)).sum()
    }
}

/// `core` and text around it up to `len_max` bytes, a quarter of the rest before it, within `room`; begins at a sentence or
/// a word, ends between words.
fn around(text: &str, core: Range<usize>, room: &Range<usize>, len_max: usize) -> Range<usize> {
    let spare = len_max.saturating_sub(core.len());
    let least = boundary(text, core.start.saturating_sub(spare / 4).max(room.start));
    let before = &text[least..core.start];
    let sentence = before.rmatch_indices(['.', '!', '?', '\n', '。']).find_map(|(at, sign)| {
        let rest = &before[at + sign.len()..];
        let trimmed = rest.trim_start();
        (trimmed.len() < rest.len() || sign == "\n" || sign == "。")
            .then(|| core.start - trimmed.len())
    });
    let word = || match least == room.start {
        true => least,
        false => before.find(char::is_whitespace).map_or(core.start, |at| {
            let rest = &before[at..];
            core.start - rest.trim_start().len()
        }),
    };
    let start = sentence.unwrap_or_else(word);
    let most = boundary(text, start.saturating_add(len_max).clamp(core.end, room.end));
    let after = &text[core.end..most.max(core.end)];
    let end = match most == room.end || text[most..].starts_with(char::is_whitespace) {
        true => most,
        false => core.end + after.rfind(char::is_whitespace).unwrap_or(0),
    };
    // A text without spaces is cut between characters.
    let end = if end == core.end && core.is_empty() { most } else { end.max(core.end) };
    start..core.end + text[core.end..end].trim_end().len()
}

/// The last place at or before `at` that is between characters.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

//! Words so frequent that a chain may leave them out.
//!
//! `english` is the short list that search engines have long used: articles, prepositions and forms of *to be*. The others are
//! Snowball's, under the licence beside them (`stop_words/LICENSE-SNOWBALL`). A list never changes: a chain that names it
//! must mean the same terms for ever.

/// Name and words of each list, a word a line, ascending by bytes.
const LISTS: &[(&str, &str)] = &[
    ("danish", include_str!("stop_words/danish.txt")),
    ("dutch", include_str!("stop_words/dutch.txt")),
    ("english", include_str!("stop_words/english.txt")),
    ("english-long", include_str!("stop_words/english-long.txt")),
    ("finnish", include_str!("stop_words/finnish.txt")),
    ("french", include_str!("stop_words/french.txt")),
    ("german", include_str!("stop_words/german.txt")),
    ("hungarian", include_str!("stop_words/hungarian.txt")),
    ("italian", include_str!("stop_words/italian.txt")),
    ("norwegian", include_str!("stop_words/norwegian.txt")),
    ("portuguese", include_str!("stop_words/portuguese.txt")),
    ("russian", include_str!("stop_words/russian.txt")),
    ("spanish", include_str!("stop_words/spanish.txt")),
    ("swedish", include_str!("stop_words/swedish.txt")),
];

/// The words of the list called `name`, ascending; `None` if there is none.
pub(crate) fn list(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    LISTS.iter().find(|(other, _)| *other == name).map(|(_, words)| words.lines())
}

/// The names of all lists.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LISTS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_are_sorted_and_in_lower_case() {
        for name in super::names() {
            let words: Vec<&str> = super::list(name).unwrap().collect();
            assert!(words.len() >= 33, "{name}");
            assert!(words.is_sorted_by(|a, b| a < b), "{name}");
            assert!(words.iter().all(|word| !word.is_empty() && word.to_lowercase() == *word));
        }
        assert!(super::list("klingon").is_none());
    }
}

//! What is asked: a tree of conditions, and the text it can be written in.

mod automaton;
mod fuzzy;
pub(crate) mod leaf;
mod parse;
pub(crate) mod pattern;
pub(crate) mod plan;

use std::ops::Bound;

pub use parse::{ParseOptions, QueryError, parse_query};

/// Whether a text's words must all occur or any will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Operator {
    /// At least one.
    #[default]
    Or,
    /// Every one.
    And,
}

/// A condition on the rows, and what makes one better than another.
///
/// Leaves name their field and hold text as a person wrote it; each field's own analyzer turns it into terms. A leaf whose
/// text has no terms (only stop words, say) is left out of the [`Boolean`] around it; alone it matches nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Every row, each with score 1.
    All,
    /// No row.
    Nothing,
    /// One word; if the analyzer makes several of it, all of them side by side (in any place if no positions are kept).
    Term {
        /// The field.
        field: String,
        /// The word.
        text: String,
    },
    /// The words of a text, any or all.
    Match {
        /// The field.
        field: String,
        /// The text.
        text: String,
        /// Any or all.
        operator: Operator,
    },
    /// The words of a text in its order, with at most `slop` moves of one place between them.
    Phrase {
        /// The field.
        field: String,
        /// The text.
        text: String,
        /// Moves allowed; 0 is side by side.
        slop: u32,
    },
    /// Every term that begins so, each row with score 1. Stemming does not apply; case follows the analyzer.
    Prefix {
        /// The field.
        field: String,
        /// How it begins.
        text: String,
    },
    /// Every term that looks so, each row with score 1: `*` is any text, `?` any character, a backslash takes the next one
    /// literally. Stemming does not apply; case follows the analyzer.
    Wildcard {
        /// The field.
        field: String,
        /// The pattern.
        pattern: String,
    },
    /// Every term spelled nearly so, each row with score 1.
    Fuzzy {
        /// The field.
        field: String,
        /// The word.
        text: String,
        /// Insertions, deletions and substitutions of a character allowed, at most 2; `None` allows none in a word of up to 2
        /// characters, 1 up to 5 and 2 beyond.
        distance: Option<u8>,
        /// So many characters at the start must be as written.
        prefix: u32,
        /// Whether swapping two neighbours is one edit.
        transpositions: bool,
    },
    /// Every term that a regular expression describes from end to end, each row with score 1. Stemming does not apply; letters
    /// of either case stand for each other where the analyzer makes one of them.
    Regex {
        /// The field.
        field: String,
        /// The expression, in the syntax of Rust's `regex`: no look-around, no references.
        expression: String,
    },
    /// Every term between two, each row with score 1. Terms compare by their UTF-8 bytes; stemming does not apply, case
    /// follows the analyzer.
    Range {
        /// The field.
        field: String,
        /// Where it begins.
        from: Bound<String>,
        /// Where it ends.
        to: Bound<String>,
    },
    /// The words of a text, any or all, each in any of several fields, as if these were one (BM25F).
    ///
    /// A word's frequency is the sum of its frequencies in the fields, each divided by its field's length norm and multiplied by
    /// the field's weight; its rarity is that in the field where it is most frequent. All fields must cut `text` in the
    /// same number of words.
    Combined {
        /// The fields and what each counts: finite and positive.
        fields: Vec<(String, f32)>,
        /// The text.
        text: String,
        /// Any or all.
        operator: Operator,
    },
    /// Any of several conditions; a row's score is its best plus `tie_breaker` times the others.
    DisMax {
        /// The conditions.
        queries: Vec<Query>,
        /// From 0, only the best counts, to 1, all do.
        tie_breaker: f32,
    },
    /// Conditions combined.
    Boolean(Boolean),
    /// A condition whose scores count `boost` times.
    Boost {
        /// The condition.
        query: Box<Query>,
        /// The factor: finite and not negative.
        boost: f32,
    },
}

/// Conditions combined: a row matches if it meets every `must` and `filter`, no `must_not`, and enough of `should`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boolean {
    /// Required, and scored.
    pub must: Vec<Query>,
    /// Scored if met.
    pub should: Vec<Query>,
    /// Excluded.
    pub must_not: Vec<Query>,
    /// Required, not scored.
    pub filter: Vec<Query>,
    /// How many of `should` are enough; by default 1 if there is no `must` and no `filter`, else 0.
    pub minimum_should_match: Option<u32>,
}

impl Query {
    /// The words of `text` in `field`, any or all.
    pub fn matching(field: impl Into<String>, text: impl Into<String>, operator: Operator) -> Self {
        Self::Match { field: field.into(), text: text.into(), operator }
    }

    /// One word of `field`.
    pub fn term(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Term { field: field.into(), text: text.into() }
    }

    /// The words of `text` side by side in `field`.
    pub fn phrase(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Phrase { field: field.into(), text: text.into(), slop: 0 }
    }

    /// This, with scores that count `boost` times.
    pub fn boosted(self, boost: f32) -> Self {
        Self::Boost { query: Box::new(self), boost }
    }

    /// Any of `queries`.
    pub fn any(queries: Vec<Self>) -> Self {
        Self::Boolean(Boolean { should: queries, ..Boolean::default() })
    }

    /// All of `queries`.
    pub fn all(queries: Vec<Self>) -> Self {
        Self::Boolean(Boolean { must: queries, ..Boolean::default() })
    }

    /// The fields it names, each once, in order of appearance.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.collect_fields(&mut fields);
        fields
    }

    fn collect_fields<'a>(&'a self, fields: &mut Vec<&'a str>) {
        match self {
            Self::All | Self::Nothing => {}
            Self::Term { field, .. }
            | Self::Match { field, .. }
            | Self::Phrase { field, .. }
            | Self::Wildcard { field, .. }
            | Self::Fuzzy { field, .. }
            | Self::Regex { field, .. }
            | Self::Range { field, .. }
            | Self::Prefix { field, .. } => {
                if !fields.contains(&&field[..]) {
                    fields.push(field);
                }
            }
            Self::Combined { fields: own, .. } => {
                for (field, _) in own {
                    if !fields.contains(&&field[..]) {
                        fields.push(field);
                    }
                }
            }
            Self::Boost { query, .. } => query.collect_fields(fields),
            Self::DisMax { queries, .. } => {
                queries.iter().for_each(|query| query.collect_fields(fields));
            }
            Self::Boolean(Boolean { must, should, must_not, filter, .. }) => {
                let all = must.iter().chain(should).chain(must_not).chain(filter);
                all.for_each(|query| query.collect_fields(fields));
            }
        }
    }
}

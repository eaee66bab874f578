//! How the text of a search is understood.

use infino_fts::{Operator, ParseOptions, Query, parse_query};

use crate::Error;

/// How the text of a search is understood; SQL calls them `'any'`, `'all'`, `'phrase'`, `'prefix'` and `'query'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TextMode {
    /// Words, any of which will do. No character means anything special, so text of users is safe.
    #[default]
    Any,
    /// Words, all of which must occur.
    All,
    /// Words side by side, in this order.
    Phrase,
    /// Words, any of which will do; the last may be the beginning of one, as while somebody types. A word so completed scores 1.
    Prefix,
    /// The query language: `+must -not "a phrase"~2 rust* colour~1 (a OR b)^2`.
    Query,
}

impl TextMode {
    const NAMES: [(Self, &str); 5] = [
        (Self::Any, "any"),
        (Self::All, "all"),
        (Self::Phrase, "phrase"),
        (Self::Prefix, "prefix"),
        (Self::Query, "query"),
    ];

    /// The mode of this name.
    ///
    /// # Errors
    /// `Invalid`, listing the names.
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = Self::NAMES.iter().find(|named| named.1 == name);
        found.map(|named| named.0).ok_or_else(|| {
            let known = Self::NAMES.map(|named| named.1).join(", ");
            Error::invalid(format!("no text mode is called {name:?}; known are {known}"))
        })
    }

    /// `text` as a query of `column`.
    ///
    /// # Errors
    /// `Invalid`, pointing at the character, if the text is not of the query language.
    pub(crate) fn query(self, column: &str, text: &str) -> Result<Query, Error> {
        Ok(match self {
            Self::Any => Query::matching(column, text, Operator::Or),
            Self::All => Query::matching(column, text, Operator::And),
            Self::Phrase => Query::phrase(column, text),
            Self::Prefix => match text.rsplit(char::is_whitespace).next() {
                None | Some("") => Query::matching(column, text, Operator::Or),
                Some(last) => Query::any(vec![
                    Query::matching(column, &text[..text.len() - last.len()], Operator::Or),
                    Query::Prefix { field: column.to_owned(), text: last.to_owned() },
                ]),
            },
            Self::Query => {
                let options = ParseOptions {
                    default_fields: vec![column.to_owned()],
                    default_operator: Operator::Or,
                };
                parse_query(text, &options)
                    .map_err(|error| Error::invalid(format!("query {error}")))?
            }
        })
    }
}

//! Why text could not be indexed or searched.

use infino_format::FormatError;

/// Why an index could not be built, read or asked.
#[derive(Debug, thiserror::Error)]
pub enum FtsError {
    /// No analyzer has this name: choose one of those listed.
    #[error("no analyzer is called {name:?}; known are {known}")]
    UnknownAnalyzer {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The description of an analyzer cannot be understood: mend it as it says.
    #[error("analyzer {spec:?}: {problem}")]
    BadAnalyzer {
        /// The description.
        spec: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The section does not index this field: name one that it does.
    #[error("field {field:?} has no full-text index here; indexed are {known:?}")]
    UnknownField {
        /// The field asked for.
        field: String,
        /// The fields the section has.
        known: Vec<String>,
    },
    /// The field keeps no positions, which a phrase needs: index it with positions.
    #[error(
        "field {field:?} keeps no positions, so it cannot answer a phrase; index it with positions"
    )]
    NoPositions {
        /// The field asked for.
        field: String,
    },
    /// The call contradicts its documentation.
    #[error("{0}")]
    Invalid(String),
    /// A wildcard, prefix, pattern or fuzzy word stands for more terms than a query may have: make it longer.
    #[error(
        "{pattern:?} stands for more than {max} terms of field {field:?}; make it more specific"
    )]
    TooManyTerms {
        /// The field asked for.
        field: String,
        /// The pattern.
        pattern: String,
        /// The most terms one may stand for.
        max: usize,
    },
    /// The pattern cannot be understood.
    #[error("pattern {pattern:?}: {problem}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Stored bytes contradict themselves; reading them again cannot help.
    #[error("full-text section: {0}")]
    Corrupt(#[from] FormatError),
    /// The scratch folder or the output failed.
    #[error("writing a full-text section: {0}")]
    Io(#[from] std::io::Error),
}

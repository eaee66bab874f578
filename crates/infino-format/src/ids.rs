//! Who is who: rows, documents, superfiles, tables, writers, commits.

use std::fmt;

use crate::FormatError;

/// A row of one superfile, numbered from 0 in file order.
pub type DocId = u32;

/// A row of the table for as long as it lives: time-ordered, unique across processes.
///
/// 126 bits, so that it stays below 10^38 and fits `Decimal128(38, 0)`: 48 bits of milliseconds since the Unix epoch,
/// 54 random bits drawn for each run of ids, a 24-bit counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u128);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a superfile; drawn at random, never reused, part of the object's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuperfileId(pub u128);

impl SuperfileId {
    /// A new name, time-ordered (UUID version 7).
    pub fn new() -> Self {
        Self(crate::entropy::unique())
    }

    /// Reads the form that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] if `text` is not 32 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() != 32 {
            return Err(FormatError::invalid(
                "superfile id",
                format!("{text:?} is not 32 hexadecimal digits"),
            ));
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|error| FormatError::invalid("superfile id", error.to_string()))
    }
}

impl Default for SuperfileId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for SuperfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SuperfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// A new id, never drawn before (UUID version 7).
            pub fn new() -> Self {
                Self(crate::entropy::unique())
            }

            /// Reads the form that [`fmt::Display`] writes.
            ///
            /// # Errors
            /// [`FormatError::Invalid`] if `text` is not 32 hexadecimal digits.
            pub fn parse(text: &str) -> Result<Self, FormatError> {
                let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let id = u128::from_str_radix(text, 16).ok().filter(|_| hex);
                id.map(Self).ok_or_else(|| {
                    FormatError::invalid($what, format!("{text:?} is not 32 hexadecimal digits"))
                })
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

random_id!(
    /// Names a table; drawn when it is created, the same for as long as it lives.
    TableId,
    "table id"
);
random_id!(
    /// Names one attempt to change a table; the outcome of an unclear one is asked for by it.
    CommitId,
    "commit id"
);
random_id!(
    /// Names one open log; its commits are numbered in order, so that at most one of them is ever undecided.
    WriterId,
    "writer id"
);

//! Why bytes could not be decoded.

/// Stored bytes contradict their specification. Reading the same bytes again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end before the value does.
    #[error("{what}: needs {needed} bytes at {at}, {len} are there")]
    Truncated {
        /// The structure being read.
        what: &'static str,
        /// Offset at which the read began.
        at: usize,
        /// Bytes the read needs.
        needed: usize,
        /// Length of the whole input.
        len: usize,
    },
    /// The first bytes are not those of this structure.
    #[error("{what}: not one, it begins with {found:02x?}")]
    Magic {
        /// The structure expected.
        what: &'static str,
        /// The bytes found in place of the magic.
        found: Vec<u8>,
    },
    /// Written by a newer release than this one.
    #[error(
        "{what}: format version {found}, this release reads up to {newest}; upgrade infino to read it"
    )]
    Version {
        /// The structure being read.
        what: &'static str,
        /// The version stored.
        found: u32,
        /// The newest version this release reads.
        newest: u32,
    },
    /// The checksum does not match the bytes.
    #[error("{what}: checksum {found:08x}, stored {expected:08x}")]
    Checksum {
        /// The structure being read.
        what: &'static str,
        /// The checksum stored.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// A field holds a value that its specification excludes.
    #[error("{what}: {problem}")]
    Invalid {
        /// The structure being read.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl FormatError {
    /// Shorthand for [`FormatError::Invalid`].
    pub fn invalid(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { what, problem: problem.into() }
    }
}

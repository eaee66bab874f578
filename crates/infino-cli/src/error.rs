//! What ends a command, what is said about it, and the exit code.

use std::{io, process::ExitCode};

use infino::ErrorKind;

use crate::corpus::CorpusError;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub enum CliError {
    /// The engine refused or failed.
    Infino(infino::Error),
    /// There is nothing to read.
    Corpus(CorpusError),
    /// What is read in is not as it should be; says where.
    Source(String),
    /// Stored bytes are damaged.
    Damage(String),
    /// ^C; what was done before stands, and has been told.
    Stopped,
    /// The terminal, a pipe or a local file failed.
    Io(io::Error),
    /// The command cannot work as it was given; says what would.
    Usage(String),
    /// A table is not what was written.
    Damaged {
        /// Its name.
        table: String,
        /// How many things are wrong with it.
        problems: usize,
    },
}

impl CliError {
    /// 1 the request cannot be answered, 3 the store does not answer and may later, 4 stored bytes are damaged,
    /// 5 a defect of infino or of the machine, 130 stopped by ^C; 2 is clap's, for a command line that cannot be read.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Infino(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Conflict => 3,
                ErrorKind::Corrupt => 4,
                ErrorKind::Internal => 5,
                _ => 1,
            },
            Self::Damaged { .. } | Self::Damage(_) => 4,
            Self::Stopped => 130,
            Self::Corpus(_) | Self::Io(_) | Self::Usage(_) | Self::Source(_) => 1,
        })
    }

    /// Whether the reader of our output has gone, as `head` does; nothing is left to say then.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Infino(error) => error.fmt(f),
            Self::Corpus(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Usage(message) | Self::Source(message) | Self::Damage(message) => message.fmt(f),
            Self::Stopped => "stopped".fmt(f),
            Self::Damaged { table, problems } => {
                write!(f, "table {table:?} is damaged in {problems} places, listed above")
            }
        }
    }
}

impl std::error::Error for CliError {}

impl From<infino::Error> for CliError {
    fn from(error: infino::Error) -> Self {
        Self::Infino(error)
    }
}

impl From<CorpusError> for CliError {
    fn from(error: CorpusError) -> Self {
        Self::Corpus(error)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<arrow::error::ArrowError> for CliError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

//! Errors as the exceptions of `infino.errors`.

use infino::{Error, ErrorKind};
use pyo3::prelude::*;

/// The exception that says what `error` says.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let name = match error.kind() {
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::AlreadyExists => "AlreadyExistsError",
        ErrorKind::Invalid => "InvalidError",
        ErrorKind::Conflict => "ConflictError",
        ErrorKind::Unavailable => "UnavailableError",
        ErrorKind::Corrupt => "CorruptError",
        _ => "InternalError",
    };
    make(py, name, &error.to_string(), error.is_retryable(), error.is_outcome_unknown())
}

/// `infino.InternalError`.
pub(crate) fn internal(py: Python<'_>, message: &str) -> PyErr {
    make(py, "InternalError", message, false, false)
}

/// `infino.InvalidError`.
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    make(py, "InvalidError", message, false, false)
}

/// `infino.Error` itself.
pub(crate) fn general(py: Python<'_>, message: &str) -> PyErr {
    make(py, "Error", message, false, false)
}

fn make(py: Python<'_>, name: &str, message: &str, retryable: bool, unknown: bool) -> PyErr {
    let made = py
        .import("infino.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1((message, retryable, unknown)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

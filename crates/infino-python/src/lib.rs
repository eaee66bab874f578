//! The Python package `infino`, as far as it is written in Rust: the module `infino._infino`.
//!
//! A thin translation of the crate `infino`. What a Python user touches is in `python/infino`; this module gives it
//! `connection`, `table` and `rows`, whose methods that wait give a `job`: the work, not begun, which
//! the caller waits for or hands to an event loop. So each method is written once and serves callers of both kinds.
//!
//! Rows cross in both directions through Arrow's C data interface, without a copy. The interpreter is let go while anything
//! waits. Errors become the exceptions of `infino.errors`.
#![forbid(unsafe_code)]

mod connection;
mod errors;
mod index;
mod job;
mod process;
mod reports;
mod rows;
mod search;
mod table;

use pyo3::prelude::*;

/// The module `infino._infino`.
#[pymodule]
fn _infino(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<connection::Connection>()?;
    module.add_class::<job::Job>()?;
    module.add_class::<job::Running>()?;
    module.add_class::<rows::Rows>()?;
    module.add_class::<table::Table>()?;
    module.add_function(wrap_pyfunction!(connection::connect, module)?)
}

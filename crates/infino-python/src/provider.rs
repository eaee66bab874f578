//! A table for DataFusion's own Python package.
//!
//! It loads tables of other libraries of its major version through a table of C functions, in a capsule of the name it asks for:
//! <https://datafusion.apache.org/python/user-guide/io/table_provider.html>. Plans that it makes run on our threads.

use std::sync::{Arc, OnceLock};

use datafusion_ffi::table_provider::FFI_TableProvider;
use infino::Supertable;
use infino::datafusion::execution::TaskContextProvider;
use infino::datafusion::prelude::SessionContext;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors;
use crate::process::Process;

/// `table` in a capsule.
///
/// # Errors
/// `infino.CorruptError` if the stored schema is damaged.
pub(crate) fn capsule<'py>(
    py: Python<'py>,
    process: &Process,
    table: &Supertable,
) -> PyResult<Bound<'py, PyCapsule>> {
    // Asked for functions when expressions are sent across. It is held weakly there, so it must live on here.
    static FUNCTIONS: OnceLock<Arc<SessionContext>> = OnceLock::new();
    let functions = FUNCTIONS.get_or_init(|| Arc::new(SessionContext::new()));
    let functions = Arc::clone(functions) as Arc<dyn TaskContextProvider>;
    let provider = table.table_provider().map_err(|error| errors::exception(py, &error))?;
    let threads = Some(process.handle());
    let provider = FFI_TableProvider::new(provider, true, threads, &functions, None);
    PyCapsule::new_with_value(py, provider, c"datafusion_table_provider")
}

//! Work that is waited for, or handed to an event loop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use infino::Error;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::errors;
use crate::process::{Owned, Process};

/// How often a thread that waits looks whether the user wants it to stop.
const TICK: Duration = Duration::from_millis(50);

/// Makes the Python object of a result, once the interpreter is at hand.
type Give = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send>;

type Work = Pin<Box<dyn Future<Output = Result<Give, Error>> + Send>>;

/// Work that has not begun. It is done once, by [`Job::wait`] or by [`Job::start`]; one that is dropped was never begun.
#[pyclass(frozen, module = "infino._infino")]
pub(crate) struct Job {
    work: Owned<Mutex<Option<Work>>>,
}

impl Job {
    /// `work`, whose result `give` makes an object of.
    pub(crate) fn new<T: Send + 'static>(
        process: &Process,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
        give: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    ) -> Self {
        let work: Work = Box::pin(async move {
            let value = work.await?;
            let give: Give = Box::new(move |py| give(py, value));
            Ok(give)
        });
        Self { work: Owned::new(process.clone(), Mutex::new(Some(work))) }
    }

    /// `work`, whose result is a plain value.
    pub(crate) fn value<T: for<'py> IntoPyObject<'py> + Send + 'static>(
        process: &Process,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self::new(process, work, |py, value| value.into_bound_py_any(py))
    }

    /// `work`, which has no result: None.
    pub(crate) fn done(
        process: &Process,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        Self::new(process, work, |py, ()| Ok(py.None().into_bound(py)))
    }

    fn take(&self, py: Python<'_>) -> PyResult<Work> {
        self.work.process().check(py)?;
        let mut work = self.work.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        work.take().ok_or_else(|| errors::internal(py, "this call was made already"))
    }
}

#[pymethods]
impl Job {
    /// Does the work and waits for it. Other threads run meanwhile; a signal whose handler raises gives the work up.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let work = self.take(py)?;
        let (send, mut receive) = mpsc::sync_channel(1);
        let task = self.work.process().spawn(async move {
            // Nobody waits any more: there is nobody to tell.
            let _ = send.send(work.await);
        });
        loop {
            let answer;
            (answer, receive) = py.detach(move || (receive.recv_timeout(TICK), receive));
            match answer {
                Ok(result) => return settle(py, result),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(stop) = py.check_signals() {
                        task.abort();
                        return Err(stop);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(ended_early(py)),
            }
        }
    }

    /// Begins the work. `done(result, exception)` is called when it is over, one of them None, from another thread.
    fn start(&self, py: Python<'_>, done: Py<PyAny>) -> PyResult<Running> {
        let work = self.take(py)?;
        let process = self.work.process().clone();
        let task = process.clone().spawn(async move {
            // A task of its own, so that one that panics is noticed.
            let (send, receive) = tokio::sync::oneshot::channel();
            let task = process.spawn(async move {
                let _ = send.send(work.await);
            });
            let stop = StopOnDrop(task.abort_handle());
            let result = receive.await.ok();
            drop(stop);
            // An interpreter that is going away takes no more results.
            let _ = Python::try_attach(|py| tell(py, &done, result));
        });
        Ok(Running { task: task.abort_handle() })
    }
}

/// Work that was begun and is not waited for.
#[pyclass(frozen, module = "infino._infino")]
pub(crate) struct Running {
    task: AbortHandle,
}

#[pymethods]
impl Running {
    /// Gives the work up; nobody is told.
    fn cancel(&self) {
        self.task.abort();
    }
}

struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell(py: Python<'_>, done: &Py<PyAny>, result: Option<Result<Give, Error>>) {
    let result = match result {
        Some(result) => settle(py, result),
        None => Err(ended_early(py)),
    };
    let told = match result {
        Ok(value) => done.call1(py, (value, py.None())),
        Err(error) => done.call1(py, (py.None(), error)),
    };
    if let Err(error) = told {
        error.write_unraisable(py, None);
    }
}

fn settle(py: Python<'_>, result: Result<Give, Error>) -> PyResult<Bound<'_, PyAny>> {
    match result {
        Ok(give) => give(py),
        Err(error) => Err(errors::exception(py, &error)),
    }
}

fn ended_early(py: Python<'_>) -> PyErr {
    errors::internal(py, "the work ended early, by a defect of infino; standard error says where")
}

//! The threads that calls run on, which a fork leaves behind.
//!
//! `fork` copies a process but only the thread that calls it: in the child there is nobody to do the work of what was opened
//! in the parent, and locks that other threads held stay held. So everything that is opened remembers its process. Used in
//! another one it is an error; dropped there it is left alone. What the child opens itself works.

use std::future::Future;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::errors;

/// A process and its threads for I/O.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    id: u32,
    handle: Handle,
}

/// The threads of this process. The lock is taken by attached threads alone and never while one detaches, and Python forks
/// attached: so no child is born with it held.
static THREADS: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

impl Process {
    /// This process; its threads are started when they are first needed.
    ///
    /// # Errors
    /// `infino.InternalError` if the system refuses threads.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        let id = std::process::id();
        let mut threads = THREADS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let runtime = match *threads {
            Some((owner, runtime)) if owner == id => runtime,
            _ => {
                let made =
                    Builder::new_multi_thread().enable_all().thread_name("infino-io").build();
                let made = made.map_err(|error| {
                    errors::internal(py, &format!("starting threads failed: {error}"))
                })?;
                // They serve until the process ends, whatever is still open then.
                let runtime: &'static Runtime = Box::leak(Box::new(made));
                *threads = Some((id, runtime));
                runtime
            }
        };
        Ok(Self { id, handle: runtime.handle().clone() })
    }

    /// Whether this is the process that runs.
    pub(crate) fn is_current(&self) -> bool {
        self.id == std::process::id()
    }

    /// # Errors
    /// `infino.Error` in a process that was forked off.
    pub(crate) fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(errors::general(
            py,
            "this was opened before the process forked, and the threads that serve it did not come along; call \
             infino.connect in the child, or start children by \"spawn\"",
        ))
    }

    /// Begins `work` on the threads.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(work)
    }
}

/// Something of one process, that is not to be dropped in another.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    process: Process,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(process: Process, value: T) -> Self {
        Self { process, value: Some(value) }
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

impl<T> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("present until dropped")
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("present until dropped")
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.process.is_current() {
            mem::forget(self.value.take());
        }
    }
}

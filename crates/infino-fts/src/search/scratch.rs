//! Buffers that outlive a query, so that a short one need not ask the system for memory.

use std::cell::Cell;

use super::window::WINDOW;

thread_local! {
    static SUMS: Cell<Option<Box<[f32; WINDOW]>>> = const { Cell::new(None) };
}

/// A window of sums, all zero when it is taken and when it is given back.
pub(crate) struct Sums {
    sums: Option<Box<[f32; WINDOW]>>,
    clean: bool,
}

impl Sums {
    /// This thread's window, or a new one if it is in use.
    pub(crate) fn take() -> Self {
        let sums = SUMS.take().unwrap_or_else(|| Box::new([0.0; WINDOW]));
        Self { sums: Some(sums), clean: true }
    }

    /// Promises that all are zero, or not; what is not clean when dropped is not used again.
    pub(crate) fn set_clean(&mut self, clean: bool) {
        self.clean = clean;
    }
}

impl std::ops::Deref for Sums {
    type Target = [f32; WINDOW];

    fn deref(&self) -> &Self::Target {
        self.sums.as_ref().expect("present until dropped")
    }
}

impl std::ops::DerefMut for Sums {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.sums.as_mut().expect("present until dropped")
    }
}

impl Drop for Sums {
    fn drop(&mut self) {
        if self.clean {
            SUMS.set(self.sums.take());
        }
    }
}

//! Deletion vectors that a decision needs in memory.

use std::collections::HashMap;

use infino_format::{Deletes, FormatError};
use roaring::RoaringBitmap;

/// The vectors that stand in objects, read; those inline need no reading.
#[derive(Debug, Clone, Default)]
pub struct Vectors {
    read: HashMap<String, RoaringBitmap>,
}

impl Vectors {
    /// Whether [`Vectors::rows`] knows the rows of `deletes`.
    pub fn has(&self, deletes: &Deletes) -> bool {
        deletes.object().is_none_or(|object| self.read.contains_key(&object.path))
    }

    /// Remembers the rows of `deletes`, whose object holds `bytes`.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not those that were written.
    pub fn insert(&mut self, deletes: &Deletes, bytes: &[u8]) -> Result<(), FormatError> {
        if let Some(object) = deletes.object() {
            self.read.insert(object.path.clone(), deletes.rows(bytes)?);
        }
        Ok(())
    }

    /// The rows of `deletes`; none of `None`.
    ///
    /// # Errors
    /// [`FormatError`] if an inline vector is corrupt, or one in an object was not read.
    pub fn rows(&self, deletes: Option<&Deletes>) -> Result<RoaringBitmap, FormatError> {
        let Some(deletes) = deletes else { return Ok(RoaringBitmap::new()) };
        match deletes.object() {
            None => deletes.rows(&[]),
            Some(object) => self.read.get(&object.path).cloned().ok_or_else(|| {
                FormatError::invalid("deletion vector", format!("{} was not read", object.path))
            }),
        }
    }
}

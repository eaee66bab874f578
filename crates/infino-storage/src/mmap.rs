//! Files of this machine as memory: ranges without a copy, and without a call to the system once a file is mapped.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memmap2::Mmap;

/// Files that stay mapped; systems allow a process some ten thousands.
const MAPPED_MAX: usize = 1024;

/// The files of a store that are mapped, by name.
#[derive(Debug, Default)]
pub(crate) struct Maps(Mutex<HashMap<String, Bytes>>);

impl Maps {
    pub(crate) fn get(&self, name: &str) -> Option<Bytes> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn keep(&self, name: &str, bytes: &Bytes) {
        let mut maps = self.lock();
        if maps.len() >= MAPPED_MAX {
            // What somebody reads stays mapped for them.
            maps.clear();
        }
        maps.insert(name.to_owned(), bytes.clone());
    }

    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole of a file that nobody changes or shortens while it is mapped.
pub(crate) fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: a store's objects are written once under names of their own, and replaced or removed by whole files, never
    // changed in place; whoever sets the option `mmap` is told to keep others from doing so.
    let map = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_files_stay_mapped() {
        let maps = Maps::default();
        for i in 0..2 * MAPPED_MAX {
            maps.keep(&i.to_string(), &Bytes::from_static(b"x"));
        }
        assert!(maps.lock().len() <= MAPPED_MAX);
        let last = (2 * MAPPED_MAX - 1).to_string();
        assert!(maps.get(&last).is_some());
        maps.forget(&last);
        assert!(maps.get(&last).is_none());
    }
}

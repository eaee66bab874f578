//! Files brought near before a query asks for them.

use std::sync::Arc;

use infino_manifest::Entry;
use infino_storage::{WarmObject, WarmUp};
use infino_superfile::Superfile;

use crate::query::fan_out;
use crate::{Table, TableError};

impl Table {
    /// Brings the files of the newest snapshot near: opens them, the newest first, as far as half of the memory
    /// for open files goes, after reading ahead into the store's cache, if it has one, what `mode` says. Returns how many
    /// files are open then.
    ///
    /// # Errors
    /// As [`Table::pin`] and [`Table::file`]; what was brought near before stays.
    pub async fn warm_up(&self, mode: WarmUp) -> Result<usize, TableError> {
        if mode == WarmUp::None {
            return Ok(0);
        }
        let snapshot = self.pin().await?;
        let mut left = self.inner.runtime.files_bytes() / 2;
        let mut files: Vec<(Arc<Entry>, WarmObject)> = Vec::new();
        let stored = snapshot.entries.iter().filter(|entry| entry.built.is_none());
        for entry in stored.collect::<Vec<_>>().into_iter().rev() {
            // A summary that contradicts itself is an error of who queries the file.
            let Some(open) = Superfile::open_ranges(&entry.summary) else { continue };
            let bytes: u64 = open.iter().map(|range| range.end - range.start).sum();
            // Open, a file takes about twice what opens it.
            let Some(rest) = left.checked_sub(bytes.saturating_mul(2)) else { break };
            left = rest;
            let (path, len) = (self.inner.path(&entry.summary.path()), entry.summary.file_len);
            files.push((entry.clone(), WarmObject { path, len, open }));
        }
        if matches!(mode, WarmUp::Full | WarmUp::Heat) {
            let objects: Vec<_> = files.iter().map(|(_, object)| object.clone()).collect();
            self.inner.store.warm_up(mode, &objects).await?;
        }
        let entries = files.into_iter().map(|(entry, _)| entry).collect();
        let opened = fan_out::each(entries, |entry| {
            let table = self.clone();
            async move { table.file(&entry).await.map(drop) }
        });
        Ok(opened.await?.len())
    }
}

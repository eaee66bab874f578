//! Fresh rows become a superfile in storage.

use std::sync::Arc;

use infino_manifest::Entry;

use crate::maintain::compact;
use crate::{Table, TableError};

/// Living rows of a superfile that sealing writes.
const ROWS_MAX: u64 = 1_000_000;

/// What sealing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealReport {
    /// Lots of fresh rows that are in superfiles now.
    pub lots: usize,
    /// Their living rows.
    pub rows: u64,
    /// Superfiles that they became.
    pub superfiles: usize,
}

impl Table {
    /// Puts the rows that are still in the log into superfiles; they keep their ids, and no version shows one twice or
    /// not at all. Lots that another process seals at the same time are left to it.
    ///
    /// # Errors
    /// Storage and build errors; what was committed before stays.
    pub async fn seal(&self) -> Result<SealReport, TableError> {
        let snapshot = self.refresh().await?;
        let fresh = snapshot.entries.iter().filter(|entry| entry.built.is_some());
        let mut groups: Vec<Vec<Arc<Entry>>> = Vec::new();
        let mut rows = 0;
        for entry in fresh {
            rows += entry.live_rows();
            if groups.is_empty() || rows > ROWS_MAX {
                groups.push(Vec::new());
                rows = entry.live_rows();
            }
            groups.last_mut().expect("pushed above").push(entry.clone());
        }
        let mut report = SealReport::default();
        for group in groups {
            match compact::replace(self, &snapshot, &group).await {
                Ok(merged) => {
                    report.lots += group.len();
                    report.rows += group.iter().map(|entry| entry.live_rows()).sum::<u64>();
                    report.superfiles += usize::from(merged.is_some());
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }
}

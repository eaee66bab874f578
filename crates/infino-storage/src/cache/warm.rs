//! Reading ahead: objects brought near before they are asked for.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt};

use super::cached::CachedStore;
use crate::StorageError;

/// Objects that are warmed at once.
const OBJECTS_AT_ONCE: usize = 8;

/// How much of the objects named to [`crate::Store::warm_up`] is read ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WarmUp {
    /// Nothing.
    #[default]
    None,
    /// What opens them.
    Open,
    /// What was in memory when [`crate::Cache::save_heat`] last ran on the cache's directory, by whichever process; what
    /// opens them if that is not known.
    Heat,
    /// All of it.
    Full,
}

/// An object to warm.
#[derive(Debug, Clone)]
pub struct WarmObject {
    /// Its name.
    pub path: String,
    /// Its length in bytes.
    pub len: u64,
    /// What is read of it when it is opened.
    pub open: Vec<Range<u64>>,
}

impl CachedStore {
    /// As [`crate::Store::warm_up`]; what was read before a failure stays.
    pub(super) async fn warm_objects(
        &self,
        mode: WarmUp,
        objects: &[WarmObject],
    ) -> Result<usize, StorageError> {
        let heat = match mode {
            WarmUp::None => return Ok(0),
            WarmUp::Heat => self.cache.load_heat().await,
            WarmUp::Open | WarmUp::Full => Default::default(),
        };
        let mut left = self.cache.largest_tier() / 2;
        let size = self.cache.block_bytes;
        let mut work = Vec::new();
        for object in objects {
            let mut ranges = match mode {
                WarmUp::Full => vec![0..object.len],
                _ => object.open.clone(),
            };
            for run in heat.0.get(&self.object(&object.path)).into_iter().flatten() {
                let bytes = |block: u64| block.saturating_mul(size).min(object.len);
                ranges.push(bytes(run.start)..bytes(run.end));
            }
            ranges.retain(|range| range.start < range.end && range.end <= object.len);
            let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            if bytes > left {
                break;
            }
            left -= bytes;
            work.push((object.path.clone(), ranges));
        }
        let count = work.len();
        futures::stream::iter(work)
            .map(|(path, ranges)| async move {
                for range in &ranges {
                    self.fill(&path, range.clone()).await?;
                }
                Ok::<_, StorageError>(())
            })
            .buffer_unordered(OBJECTS_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(count)
    }
}

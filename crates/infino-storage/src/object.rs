//! Stores reached through the `object_store` crate: S3 and what speaks its protocol, Azure Blob Storage, Google Cloud
//! Storage.
//!
//! Two clients share each store. The *data* client retries, which is safe: objects are immutable and uniquely named. The
//! *swap* client never does, since a retry of a conditional write whose first reply was lost is told that it lost to
//! itself; whoever swaps asks the object instead.

mod build;
mod credentials;
mod failure;
mod upload;

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

pub(crate) use self::build::connect;
use self::failure::Failure;
use crate::cas::{self, Condition};
use crate::options::Limits;
use crate::retry::{Backoff, Deadline};
use crate::source::{self, Requests};
use crate::{ObjectInfo, StorageError, Store, Swap, Tag, path};

/// How often a body that ends early or breaks off is asked for again; requests that fail have their own retries below.
const SHORT_BODY_RETRIES: usize = 3;

/// A range of more parts than this is checked against the object's length first.
const PARTS_UNCHECKED_MAX: u64 = 64;

/// A bucket or container.
pub struct RemoteStore {
    uri: String,
    identity: String,
    data: Arc<dyn ObjectStore>,
    swap: Arc<dyn ObjectStore>,
    condition: Condition,
    limits: Limits,
    permits: Semaphore,
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl RemoteStore {
    pub(crate) fn new(
        uri: String,
        identity: String,
        data: Arc<dyn ObjectStore>,
        swap: Arc<dyn ObjectStore>,
        condition: Condition,
        limits: Limits,
    ) -> Self {
        let permits = Semaphore::new(limits.concurrency);
        Self { uri, identity, data, swap, condition, limits, permits }
    }

    /// Runs `work` when the store has room for one more request, and not past the deadline.
    async fn request<T>(
        &self,
        path: &str,
        operation: &'static str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let permitted = async {
            let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
            work.await
        };
        let limit = self.limits.deadline;
        match Deadline::after(limit).limit(permitted).await {
            Some(outcome) => outcome,
            None => Err(Failure::timed_out(path, operation, limit)),
        }
    }

    /// Reads a whole object, or `range` of it, again if the body breaks off. `clips` lets the object end in the range.
    async fn read(
        &self,
        path: &str,
        options: GetOptions,
        range: Option<&Range<u64>>,
        clips: bool,
    ) -> Result<(Bytes, ObjectMeta), Failure> {
        let location = location(path)?;
        let deadline = Deadline::after(self.limits.deadline);
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
        let mut retries = 0;
        loop {
            let once = || self.read_once(path, &location, options.clone(), range, clips);
            match self.hedged(path, once).await {
                Err(failure) if failure.is_body() && retries < SHORT_BODY_RETRIES => {
                    retries += 1;
                    tracing::debug!(path, retries, error = %failure, "reading again");
                    if !deadline.sleep(backoff.wait()).await {
                        return Err(failure);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Refuses a range that is cut into many parts and ends behind the object: one request tells, instead of thousands.
    async fn check_long(&self, path: &str, ranges: &[Range<u64>]) -> Result<(), StorageError> {
        let most = self.limits.range_part_bytes.saturating_mul(PARTS_UNCHECKED_MAX);
        let is_long = |range: &&Range<u64>| range.end.saturating_sub(range.start) > most;
        if ranges.iter().find(is_long).is_none() {
            return Ok(());
        }
        let len = self.head(path).await?.len;
        match ranges.iter().find(|range| range.end > len) {
            Some(range) => Err(source::not_exact(path, range, format!("an object of {len} bytes"))),
            None => Ok(()),
        }
    }

    async fn read_once(
        &self,
        path: &str,
        location: &object_store::path::Path,
        options: GetOptions,
        range: Option<&Range<u64>>,
        clips: bool,
    ) -> Result<(Bytes, ObjectMeta), Failure> {
        let result = match self.data.get_opts(location, options).await {
            Ok(result) => result,
            Err(error) => return Err(self.failed_read(path, location, range, error).await),
        };
        let (meta, told) = (result.meta.clone(), result.range.clone());
        let is_end =
            |wanted: &Range<u64>| clips && told.start == wanted.start && told.end == meta.size;
        if let Some(wanted) = range.filter(|range| **range != told && !is_end(range)) {
            return Err(Failure::other_range(path, wanted, &told));
        }
        let bytes = result.bytes().await.map_err(|e| Failure::of_body(path, e))?;
        if bytes.len() as u64 != told.end - told.start {
            return Err(Failure::short(path, &told, bytes.len()));
        }
        Ok((bytes, meta))
    }

    /// What a read that gave no bytes means. Where the store answered, and what it answered is not the range, the object's
    /// length tells whether the range can be had at all.
    async fn failed_read(
        &self,
        path: &str,
        location: &object_store::path::Path,
        range: Option<&Range<u64>>,
        error: object_store::Error,
    ) -> Failure {
        let Some(range) = range.filter(|_| failure::may_be_other_range(&error)) else {
            return Failure::of(path, "reading", error);
        };
        match self.data.head(location).await {
            Ok(meta) if meta.size < range.end => {
                Failure::not_exact(path, range, format!("an object of {} bytes", meta.size))
            }
            Ok(_) => Failure::of_answer(path, range, error),
            Err(error) => Failure::of(path, "looking up", error),
        }
    }

    /// Reads once, or twice if the first is slow and the store has room; the first success counts.
    async fn hedged<T, W>(&self, path: &str, read: impl Fn() -> W) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        let first = self.request(path, "reading", read());
        let Some(after) = self.limits.hedge_after else { return first.await };
        let mut first = std::pin::pin!(first);
        if let Ok(answer) = tokio::time::timeout(after, first.as_mut()).await {
            return answer;
        }
        if self.permits.available_permits() == 0 {
            return first.await;
        }
        let second = std::pin::pin!(self.request(path, "reading", read()));
        match select(first, second).await {
            Either::Left((Err(_), second)) => second.await,
            Either::Right((Err(_), first)) => first.await,
            Either::Left((answer, _)) | Either::Right((answer, _)) => answer,
        }
    }

    /// Reads what `ranges` come to, `clips` letting the object end in one of them.
    async fn read_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
        clips: bool,
    ) -> Result<Vec<Bytes>, StorageError> {
        let Limits { gap_bytes, range_part_bytes, concurrency, .. } = self.limits;
        let requests = Requests::plan(path, ranges, gap_bytes, range_part_bytes)?;
        let reads = requests.spans.iter().cloned().map(|span| self.read_span(path, span, clips));
        let spans: Vec<Bytes> =
            futures::stream::iter(reads).buffered(concurrency).try_collect().await?;
        Ok(requests.answer(ranges, &spans))
    }

    async fn read_span(&self, path: &str, span: Range<u64>, clips: bool) -> Result<Bytes, Failure> {
        let range = Some(GetRange::Bounded(span.clone()));
        let options = GetOptions { range, ..GetOptions::default() };
        match self.read(path, options, Some(&span), clips).await {
            Ok((bytes, _)) => Ok(bytes),
            // The part lies behind the object's end.
            Err(Failure::Error(StorageError::Range { .. })) if clips => Ok(Bytes::new()),
            Err(failure) => Err(failure),
        }
    }

    fn tagged(
        &self,
        path: &str,
        (bytes, meta): (Bytes, ObjectMeta),
    ) -> Result<(Bytes, Tag), StorageError> {
        match self.condition.tag(meta.e_tag.as_deref(), meta.version.as_deref()) {
            Some(tag) => Ok((bytes, tag)),
            None => Err(self.untagged(path)),
        }
    }

    fn untagged(&self, path: &str) -> StorageError {
        StorageError::Unfit {
            store: self.uri.clone(),
            problem: format!(
                "it answered for {path} without {}, so a change could not be told from none; use another store",
                self.condition.header()
            ),
        }
    }
}

/// First and longest wait before a read is tried again.
const RETRY_FIRST: std::time::Duration = std::time::Duration::from_millis(50);
const RETRY_LONGEST: std::time::Duration = std::time::Duration::from_secs(2);

/// The key of an object. Characters that the clouds advise against are spelled as `%XX` in it.
fn location(name: &str) -> Result<object_store::path::Path, StorageError> {
    path::check(name)?;
    Ok(object_store::path::Path::from(name))
}

/// What a listing says of a key; `None` for one that this crate cannot have written.
fn info(meta: &ObjectMeta) -> Option<ObjectInfo> {
    let path = path::unescape(meta.location.as_ref())?;
    path::check(&path).ok()?;
    let modified_ms = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or_default();
    Some(ObjectInfo { path, len: meta.size, modified_ms })
}

#[async_trait]
impl Store for RemoteStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn get(&self, path: &str) -> Result<(Bytes, Tag), StorageError> {
        let read = self.read(path, GetOptions::default(), None, false).await?;
        self.tagged(path, read)
    }

    async fn get_if_changed(
        &self,
        path: &str,
        known: &Tag,
    ) -> Result<Option<(Bytes, Tag)>, StorageError> {
        let if_none_match = self.condition.etag(known).map(str::to_owned);
        let options = GetOptions { if_none_match, ..GetOptions::default() };
        match self.read(path, options, None, false).await {
            Ok(read) => {
                let (bytes, tag) = self.tagged(path, read)?;
                // A store may ignore the condition, or compare less than the tag holds.
                Ok((tag != *known).then_some((bytes, tag)))
            }
            Err(Failure::NotModified) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn get_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        self.check_long(path, ranges).await?;
        let answer = self.read_ranges(path, ranges, false).await?;
        source::check_lengths(path, ranges, &answer)?;
        Ok(answer)
    }

    async fn get_clipped(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StorageError> {
        let answer = self.read_ranges(path, ranges, true).await?;
        source::check_begun(path, ranges, &answer)?;
        Ok(answer)
    }

    async fn head(&self, path: &str) -> Result<ObjectInfo, StorageError> {
        let location = location(path)?;
        let head = async {
            self.data.head(&location).await.map_err(|e| Failure::of(path, "looking up", e))
        };
        let meta = self.request(path, "looking up", head).await?;
        Ok(ObjectInfo {
            path: path.to_owned(),
            len: meta.size,
            modified_ms: u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or_default(),
        })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        if bytes.len() as u64 >= self.limits.multipart_bytes {
            return self.upload(path, upload::Source::Memory(bytes)).await;
        }
        let location = location(path)?;
        let put = async {
            let put = self.data.put(&location, bytes.into());
            put.await.map_err(|e| Failure::of(path, "writing", e))
        };
        self.request(path, "writing", put).await?;
        Ok(())
    }

    async fn put_file(&self, path: &str, file: &Path) -> Result<(), StorageError> {
        let source = upload::Source::open(file).await?;
        if source.len() >= self.limits.multipart_bytes {
            return self.upload(path, source).await;
        }
        let bytes = source.read_all().await?;
        self.put(path, bytes).await
    }

    async fn swap(&self, path: &str, expected: Option<&Tag>, bytes: Bytes) -> Swap {
        let location = match location(path) {
            Ok(location) => location,
            Err(error) => return Swap::Unclear(error),
        };
        let limit = self.limits.swap_timeout;
        let put = cas::put(&*self.swap, &location, &self.condition, expected, bytes);
        match Deadline::after(limit).limit(put).await {
            None => Swap::Unclear(Failure::timed_out(path, "swapping", limit).into()),
            Some(Ok(result)) => {
                match self.condition.tag(result.e_tag.as_deref(), result.version.as_deref()) {
                    Some(tag) => Swap::Done(tag),
                    None => Swap::Unclear(self.untagged(path)),
                }
            }
            Some(Err(error)) => match Failure::of(path, "swapping", error) {
                Failure::Condition => Swap::Lost,
                // What S3 answers to a condition on an object that is gone.
                Failure::Error(StorageError::NotFound { .. }) if expected.is_some() => Swap::Lost,
                failure => Swap::Unclear(failure.into()),
            },
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let folder = path::folder(prefix)?;
        let location = if folder.is_empty() { None } else { Some(location(folder)?) };
        let mut metas = self.data.list(location.as_ref());
        let mut found = Vec::new();
        loop {
            let page =
                async { metas.try_next().await.map_err(|e| Failure::of(prefix, "listing", e)) };
            match self.request(prefix, "listing", page).await? {
                Some(meta) => {
                    found.extend(info(&meta).filter(|info| path::is_in(&info.path, folder)))
                }
                None => return Ok(found),
            }
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StorageError> {
        let location = location(path)?;
        let delete = async {
            self.data.delete(&location).await.map_err(|e| Failure::of(path, "deleting", e))
        };
        match self.request(path, "deleting", delete).await {
            Ok(()) | Err(Failure::Error(StorageError::NotFound { .. })) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests;

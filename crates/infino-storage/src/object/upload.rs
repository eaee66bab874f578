//! Uploads in parts.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use object_store::{MultipartUpload, ObjectStoreExt};

use super::{Failure, RemoteStore, location};
use crate::{StorageError, error};

/// Parts of one object in flight at once: enough to fill a fast link, little enough to hold in memory.
const PARTS_IN_FLIGHT: usize = 6;

/// S3 and its kin accept at most so many parts.
const PARTS_MAX: u64 = 10_000;

/// Where the bytes of an upload come from.
pub(super) enum Source {
    Memory(Bytes),
    File { path: PathBuf, len: u64 },
}

impl Source {
    pub(super) async fn open(file: &Path) -> Result<Self, StorageError> {
        let metadata = tokio::fs::metadata(file)
            .await
            .map_err(|e| error::of_local_file(file, "reading", &e))?;
        Ok(Self::File { path: file.to_owned(), len: metadata.len() })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    pub(super) async fn read_all(&self) -> Result<Bytes, StorageError> {
        self.read(0, self.len()).await
    }

    /// Exactly the bytes from `start` to `end`.
    async fn read(&self, start: u64, end: u64) -> Result<Bytes, StorageError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Self::File { path, .. } => {
                let path = path.clone();
                let read = move || {
                    let mut bytes = vec![0; (end - start) as usize];
                    let mut file = std::fs::File::open(&path)?;
                    file.seek(SeekFrom::Start(start))?;
                    file.read_exact(&mut bytes)?;
                    Ok(Bytes::from(bytes))
                };
                let outcome = tokio::task::spawn_blocking(read).await;
                let outcome = outcome.unwrap_or_else(|e| Err(std::io::Error::other(e)));
                outcome.map_err(|e| self.failed(&e))
            }
        }
    }

    fn failed(&self, e: &std::io::Error) -> StorageError {
        match self {
            Self::Memory(_) => unreachable!("memory is read without I/O"),
            Self::File { path, .. } => error::of_local_file(path, "reading", e),
        }
    }
}

impl RemoteStore {
    /// Uploads `source` in parts; on failure the parts are given back to the store.
    pub(super) async fn upload(&self, path: &str, source: Source) -> Result<(), StorageError> {
        let location = location(path)?;
        let begin = async {
            let begin = self.data.put_multipart(&location);
            begin.await.map_err(|e| Failure::of(path, "beginning an upload", e))
        };
        let upload = self.request(path, "beginning an upload", begin).await?;
        let mut open = Open(Some(upload));
        let sent = match self.send_parts(path, &source, open.upload()).await {
            Ok(()) => self.complete(path, source.len(), open.upload()).await,
            Err(failure) => Err(failure),
        };
        let mut upload = open.0.take().expect("only this takes it");
        if let Err(error) = sent {
            let abort = async {
                upload.abort().await.map_err(|e| Failure::of(path, "aborting an upload", e))
            };
            if let Err(abort) = self.request(path, "aborting an upload", abort).await {
                tracing::warn!(path, error = %abort, "parts of a failed upload stay behind");
            }
            return Err(error.into());
        }
        Ok(())
    }

    async fn send_parts(
        &self,
        path: &str,
        source: &Source,
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), Failure> {
        let len = source.len();
        let part = (self.limits.part_bytes as u64).max(len.div_ceil(PARTS_MAX));
        let mut sending = FuturesUnordered::new();
        let mut start = 0;
        while start < len {
            let end = (start + part).min(len);
            let bytes = source.read(start, end).await?;
            // The order of these calls is the order of the parts, whichever is sent first.
            let sent = upload.put_part(bytes.into());
            sending.push(self.request(path, "writing a part", async move {
                sent.await.map_err(|e| Failure::of(path, "writing a part", e))
            }));
            if sending.len() == PARTS_IN_FLIGHT {
                sending.next().await.transpose()?;
            }
            start = end;
        }
        sending.try_collect().await
    }

    async fn complete(
        &self,
        path: &str,
        len: u64,
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), Failure> {
        let complete = async {
            upload.complete().await.map_err(|e| Failure::of(path, "completing an upload", e))
        };
        let Err(failure) = self.request(path, "completing an upload", complete).await else {
            return Ok(());
        };
        // If the reply to the first attempt was lost, the next is told that there is no such upload. The name is ours
        // alone and an object in parts appears whole or not at all, so one of this length is this one.
        match crate::Store::head(self, path).await {
            Ok(info) if info.len == len => Ok(()),
            _ => Err(failure),
        }
    }
}

/// An upload that is aborted if the caller stops waiting for it.
struct Open(Option<Box<dyn MultipartUpload>>);

impl Open {
    fn upload(&mut self) -> &mut dyn MultipartUpload {
        &mut **self.0.as_mut().expect("it is taken only at the end")
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Nobody is left to tell: what stays behind is the bucket's lifecycle rule's.
            runtime.spawn(async move { upload.abort().await });
        }
    }
}

//! Reading immutable objects by reference, verified, many at once.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use infino_format::list::{CheckpointList, CheckpointRef};
use infino_format::segment::SegmentRef;
use infino_format::{ObjectRef, Record};
use infino_storage::Store;

use crate::error::ManifestError;

/// How many objects are read or written at a time: the parts of 100,000 superfiles in one round.
const PARALLEL: usize = 128;

/// A table's place in a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) root: &'a str,
}

impl Place<'_> {
    pub(crate) fn path(&self, path: &str) -> String {
        match self.root.trim_end_matches('/') {
            "" => path.to_owned(),
            root => format!("{root}/{path}"),
        }
    }

    pub(crate) async fn get(&self, object: &ObjectRef) -> Result<Bytes, ManifestError> {
        let path = self.path(&object.path);
        let (bytes, _) = self.store.get(&path).await?;
        object.verify(&bytes).map_err(ManifestError::corrupt(&path))?;
        Ok(bytes)
    }

    /// The objects, in order, in one round trip.
    pub(crate) async fn get_all(
        &self,
        objects: Vec<ObjectRef>,
    ) -> Result<Vec<Bytes>, ManifestError> {
        stream::iter(objects)
            .map(|object| async move { self.get(&object).await })
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    pub(crate) async fn put(
        &self,
        object: &ObjectRef,
        bytes: Vec<u8>,
    ) -> Result<(), ManifestError> {
        Ok(self.store.put(&self.path(&object.path), bytes.into()).await?)
    }

    pub(crate) async fn put_all(
        &self,
        objects: Vec<(ObjectRef, Vec<u8>)>,
    ) -> Result<(), ManifestError> {
        stream::iter(objects)
            .map(|(object, bytes)| async move { self.put(&object, bytes).await })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    pub(crate) async fn list(
        &self,
        checkpoint: &CheckpointRef,
    ) -> Result<CheckpointList, ManifestError> {
        let bytes = self.get(&checkpoint.list).await?;
        checkpoint.list(&bytes).map_err(ManifestError::corrupt(&checkpoint.list.path))
    }

    /// The records of all `segments`, in order, in one round trip.
    pub(crate) async fn records(
        &self,
        segments: &[SegmentRef],
    ) -> Result<Vec<Record>, ManifestError> {
        let objects = segments.iter().map(|segment| segment.object.clone()).collect();
        let mut records = Vec::new();
        for (segment, bytes) in segments.iter().zip(self.get_all(objects).await?) {
            let read = segment.records(&bytes);
            records.extend(read.map_err(ManifestError::corrupt(&segment.object.path))?);
        }
        Ok(records)
    }
}

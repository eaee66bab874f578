//! Reading what a head names: records, segments, deletion vectors.

use bytes::Bytes;
use infino_format::head::TailItem;
use infino_format::segment::SegmentRef;
use infino_format::{Deletes, Head, ObjectRef, Record};

use crate::conflict::Conflict;
use crate::error::WalError;
use crate::log::Inner;
use crate::vectors::Vectors;

impl Inner {
    pub(crate) async fn load(
        &self,
        vectors: &mut Vectors,
        deletes: &Deletes,
    ) -> Result<(), WalError> {
        let Some(object) = deletes.object().filter(|_| !vectors.has(deletes)) else {
            return Ok(());
        };
        let bytes = self.get(object).await?;
        vectors.insert(deletes, &bytes).map_err(WalError::corrupt(&object.path))
    }

    pub(crate) async fn put(&self, object: &ObjectRef, bytes: Vec<u8>) -> Result<(), WalError> {
        Ok(self.store.put(&self.path(&object.path), bytes.into()).await?)
    }

    pub(crate) async fn get(&self, object: &ObjectRef) -> Result<Bytes, WalError> {
        let path = self.path(&object.path);
        let (bytes, _) = self.store.get(&path).await?;
        object.verify(&bytes).map_err(WalError::corrupt(&path))?;
        Ok(bytes)
    }

    /// The records after `from` up to `head`'s version.
    pub(crate) async fn since(&self, head: &Head, from: u64) -> Result<Vec<Record>, WalError> {
        if from.saturating_add(1) < head.floor {
            return Err(Conflict::Expired { version: from, floor: head.floor }.into());
        }
        let mut segments = Vec::new();
        let mut at = head.checkpoint.clone();
        while let Some(checkpoint) = at.filter(|checkpoint| checkpoint.version > from) {
            let bytes = self.get(&checkpoint.list).await?;
            let list = checkpoint.list(&bytes).map_err(WalError::corrupt(&checkpoint.list.path))?;
            segments.extend(list.segments.into_iter().rev().filter(|segment| segment.last > from));
            at = list.ancestors.into_iter().next();
        }
        let mut records = Vec::new();
        for segment in segments.into_iter().rev() {
            records.extend(self.segment(&segment).await?);
        }
        for item in &head.tail {
            match item {
                item if item.versions().1 <= from => {}
                TailItem::Inline(record) => records.push(record.clone()),
                TailItem::Segment(segment) => records.extend(self.segment(segment).await?),
            }
        }
        records.retain(|record| record.version > from);
        Ok(records)
    }

    async fn segment(&self, segment: &SegmentRef) -> Result<Vec<Record>, WalError> {
        let bytes = self.get(&segment.object).await?;
        segment.records(&bytes).map_err(WalError::corrupt(&segment.object.path))
    }
}

//! Verified reads of the Parquet body.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use infino_format::FormatError;
use infino_storage::Store;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::SuperfileError;
use crate::checksums::Checksums;

/// Reads byte ranges of a superfile's Parquet body, each checked against the checksums of the units that hold it.
///
/// Cheap to clone. It is an [`AsyncFileReader`], so any reader of Parquet that takes one (DataFusion's, for example)
/// reads the body verified; metadata and page index come from the footer that was read when the file was opened.
#[derive(Debug, Clone)]
pub struct BodyReader {
    store: Arc<dyn Store>,
    path: Arc<str>,
    checksums: Arc<Checksums>,
    metadata: Arc<ParquetMetaData>,
}

impl BodyReader {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        path: Arc<str>,
        checksums: Arc<Checksums>,
        metadata: Arc<ParquetMetaData>,
    ) -> Self {
        Self { store, path, checksums, metadata }
    }

    /// The bytes of each range, verified, in one round trip.
    ///
    /// # Errors
    /// `Corrupt` naming the unit that do not verify; `Invalid` if a range is not one of the body; `Storage`.
    pub async fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, SuperfileError> {
        let extents = self.extents(ranges)?;
        let fetched = self
            .store
            .get_ranges(&self.path, &extents)
            .await
            .map_err(|error| SuperfileError::read(&self.path, "body", error))?;
        for (extent, bytes) in extents.iter().zip(&fetched) {
            self.verify(extent, bytes)?;
        }
        let slice = |range: &Range<u64>| {
            if range.is_empty() {
                return Bytes::new();
            }
            let at = extents.partition_point(|extent| extent.end <= range.start);
            let begin = (range.start - extents[at].start) as usize;
            fetched[at].slice(begin..begin + (range.end - range.start) as usize)
        };
        Ok(ranges.iter().map(slice).collect())
    }

    /// Bytes from the start of the file that checksums cover.
    pub(crate) fn covered(&self) -> u64 {
        self.checksums.covered()
    }

    /// The checksums that reads are verified by.
    pub(crate) fn checksums(&self) -> &Checksums {
        &self.checksums
    }

    /// The ranges as disjoint runs of whole units, ascending.
    fn extents(&self, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>, SuperfileError> {
        let covered = self.covered();
        if let Some(bad) =
            ranges.iter().find(|range| range.start > range.end || range.end > covered)
        {
            return Err(SuperfileError::invalid(format!(
                "{}: bytes {}..{} are not in the body, which ends at {covered}",
                self.path, bad.start, bad.end
            )));
        }
        let mut wide: Vec<_> = ranges
            .iter()
            .filter(|range| !range.is_empty())
            .map(|range| self.checksums.widen(range))
            .collect();
        wide.sort_unstable_by_key(|range| range.start);
        let mut extents: Vec<Range<u64>> = Vec::with_capacity(wide.len());
        for range in wide {
            match extents.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => extents.push(range),
            }
        }
        Ok(extents)
    }

    fn verify(&self, extent: &Range<u64>, bytes: &Bytes) -> Result<(), SuperfileError> {
        let corrupt = |range, source| SuperfileError::corrupt(&self.path, "body", range, source);
        if bytes.len() as u64 != extent.end - extent.start {
            let problem = format!("{} bytes came", bytes.len());
            return Err(corrupt(extent.clone(), FormatError::invalid("object", problem)));
        }
        self.checksums.verify(extent.start, bytes).map_err(|(range, source)| corrupt(range, source))
    }
}

impl AsyncFileReader for BodyReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut bytes = self.read(&[range]).await.map_err(external)?;
            Ok(bytes.pop().expect("one range was asked for"))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.read(&ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = Arc::clone(&self.metadata);
        async move { Ok(metadata) }.boxed()
    }
}

fn external(error: SuperfileError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// What a failed decode of verified bytes means: our own error passed through Parquet, or a file that is wrong inside.
pub(crate) fn decode_failed(path: &str, covered: u64, error: ParquetError) -> SuperfileError {
    let problem = match error {
        ParquetError::External(source) => match source.downcast::<SuperfileError>() {
            Ok(own) => return *own,
            Err(other) => other.to_string(),
        },
        other => other.to_string(),
    };
    SuperfileError::corrupt(path, "body", 0..covered, FormatError::invalid("parquet", problem))
}

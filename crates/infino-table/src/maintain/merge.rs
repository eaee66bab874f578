//! Streams of rows, each ascending by `_id`, become one.

use std::pin::Pin;

use arrow::array::{Decimal128Array, RecordBatch, cast::AsArray};
use arrow::compute;
use arrow::datatypes::Decimal128Type;
use futures::{Stream, StreamExt, stream};

use super::relocate::Places;
use crate::TableError;

/// Rows of one superfile, in order.
pub(crate) type Rows = Pin<Box<dyn Stream<Item = Result<RecordBatch, TableError>> + Send>>;

/// Rows handed on at once.
const BATCH_ROWS: usize = 8192;

/// Opens an input when its turn comes.
pub(super) type Open = Pin<Box<dyn Future<Output = Result<(Rows, Places), TableError>> + Send>>;

/// Merges sorted inputs; holds one batch of each that has begun and not ended. An input is opened when no row before its
/// first is left.
pub(super) struct Merge {
    /// Inputs not opened yet, the last one first: the least id that each may hold.
    waiting: Vec<(i128, Open)>,
    inputs: Vec<Input>,
    /// Rows handed on so far, pending ones included.
    rows: u32,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
}

struct Input {
    rows: Rows,
    batch: Option<RecordBatch>,
    at: usize,
    /// Rows taken so far.
    taken: u32,
    places: Places,
}

impl Merge {
    /// Merges `inputs`, ascending by the least id that each may hold.
    pub(super) fn new(mut inputs: Vec<(i128, Open)>) -> Self {
        debug_assert!(inputs.is_sorted_by_key(|(least, _)| *least), "inputs are opened in order");
        inputs.reverse();
        Self { waiting: inputs, inputs: Vec::new(), rows: 0, pending: Vec::new(), pending_rows: 0 }
    }

    /// Opens the inputs that may hold the next row.
    async fn open_due(&mut self) -> Result<(), TableError> {
        while let Some((least, _)) = self.waiting.last()
            && self.first_run().is_none_or(|(first, _)| self.inputs[first].id() >= Some(*least))
        {
            let (_, open) = self.waiting.pop().expect("looked at above");
            let (rows, places) = open.await?;
            let mut input = Input { rows, batch: None, at: 0, taken: 0, places };
            input.advance(0).await?;
            self.inputs.push(input);
        }
        Ok(())
    }

    /// Where the rows of each input went, in the order of the inputs; complete when all are drained.
    pub(super) fn into_places(self) -> Vec<Places> {
        self.inputs.into_iter().map(|input| input.places).collect()
    }

    /// The next rows in order; `None` when all inputs are drained.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        while self.pending_rows < BATCH_ROWS {
            self.open_due().await?;
            let Some((first, limit)) = self.first_run() else { break };
            // Rows of an input that waits come after those before its least.
            let limit = self.waiting.last().map_or(limit, |(least, _)| limit.min(*least));
            let input = &mut self.inputs[first];
            let run = input.run_below(limit, BATCH_ROWS - self.pending_rows);
            self.pending
                .push(input.batch.as_ref().expect("a live input has a batch").slice(input.at, run));
            self.pending_rows += run;
            input.places.run(input.taken, self.rows);
            input.taken += run as u32;
            self.rows += run as u32;
            input.advance(run).await?;
        }
        self.pending_rows = 0;
        let pending = std::mem::take(&mut self.pending);
        match pending.len() {
            0 => Ok(None),
            1 => Ok(pending.into_iter().next()),
            _ => Ok(Some(compute::concat_batches(&pending[0].schema(), &pending)?)),
        }
    }

    /// The input with the least row, and the least row of all others.
    fn first_run(&self) -> Option<(usize, i128)> {
        let mut first: Option<(i128, usize)> = None;
        let mut second = i128::MAX;
        for (i, input) in self.inputs.iter().enumerate() {
            let Some(id) = input.id() else { continue };
            match first {
                Some((least, _)) if id >= least => second = second.min(id),
                Some((least, _)) => {
                    second = second.min(least);
                    first = Some((id, i));
                }
                None => first = Some((id, i)),
            }
        }
        first.map(|(_, i)| (i, second))
    }
}

impl Input {
    fn ids(&self) -> Option<&Decimal128Array> {
        self.batch.as_ref().map(|batch| batch.column(0).as_primitive::<Decimal128Type>())
    }

    fn id(&self) -> Option<i128> {
        self.ids().map(|ids| ids.value(self.at))
    }

    /// How many rows from here are below `limit`; at least one, at most `max`.
    fn run_below(&self, limit: i128, max: usize) -> usize {
        let ids = &self.ids().expect("a live input has a batch").values()[self.at..];
        ids[..ids.len().min(max)].partition_point(|&id| id < limit).max(1)
    }

    /// Steps over `rows` rows, to the next batch that has any if this one is used up.
    async fn advance(&mut self, rows: usize) -> Result<(), TableError> {
        self.at += rows;
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.num_rows()) {
            self.batch = self.rows.next().await.transpose()?;
            self.at = 0;
            if self.batch.is_none() {
                // What the file holds in memory is let go of at once.
                self.rows = stream::empty().boxed();
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use infino_format::{DocSet, RowId};

    use super::*;
    use crate::writer::id_column;

    fn rows(batches: &[&[u128]]) -> (i128, Open) {
        let least = batches.iter().flat_map(|batch| *batch).min().copied().unwrap_or(0);
        let schema = Arc::new(Schema::new(vec![
            Field::new("_id", DataType::Decimal128(38, 0), false),
            Field::new("x", DataType::Int32, false),
        ]));
        let batches: Vec<_> = batches
            .iter()
            .map(|ids| {
                let x = Int32Array::from_iter_values(ids.iter().map(|&id| id as i32 * 10));
                let columns = vec![id_column(ids.iter().map(|&id| RowId(id))), Arc::new(x) as _];
                Ok(RecordBatch::try_new(schema.clone(), columns).unwrap())
            })
            .collect();
        let count = batches
            .iter()
            .map(|batch: &Result<RecordBatch, _>| batch.as_ref().unwrap().num_rows())
            .sum::<usize>();
        let input = (stream::iter(batches).boxed(), Places::new(DocSet::full(count as u32)));
        (least as i128, Box::pin(async { Ok(input) }))
    }

    #[tokio::test]
    async fn merges_interleaved_disjoint_and_empty_inputs() {
        let inputs = vec![
            rows(&[]),
            rows(&[&[1, 4], &[], &[9]]),
            rows(&[&[2, 3, 5], &[6]]),
            rows(&[&[], &[100, 101]]),
        ];
        let mut merge = Merge::new(inputs);
        let merged = merge.next().await.unwrap().unwrap();
        let ids = merged.column(0).as_primitive::<Decimal128Type>().values().to_vec();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 9, 100, 101]);
        let x = merged.column(1).as_primitive::<arrow::datatypes::Int32Type>().values().to_vec();
        assert_eq!(x, [10, 20, 30, 40, 50, 60, 90, 1000, 1010]);
        assert!(merge.next().await.unwrap().is_none());
        let places = merge.into_places();
        let of = |input: usize| (0..5).map(|doc| places[input].of(doc)).collect::<Vec<_>>();
        assert_eq!(of(1), [Some(0), Some(3), Some(6), None, None]);
        assert_eq!(of(2), [Some(1), Some(2), Some(4), Some(5), None]);
        assert_eq!(of(3), [Some(7), Some(8), None, None, None]);
    }
}

//! Spans of what callers ask for: how long it took, and what came of it.

use std::future::Future;

use arrow::array::RecordBatch;
use infino_table::verify::VerifyReport;
use infino_table::{AlterReport, MutationStats, OptimizeReport, Receipt, RepairReport};
use tracing::field::display;
use tracing::{Instrument, Span};

use crate::{Error, Supertable};

/// A span of target `infino`, whose outcome [`traced`] fills in.
macro_rules! span {
    ($name:literal $(, $field:ident = $value:expr)* $(,)?) => {
        tracing::info_span!(
            target: "infino",
            $name,
            $($field = $value,)*
            rows = tracing::field::Empty,
            version = tracing::field::Empty,
            error = tracing::field::Empty,
        )
    };
}
pub(crate) use span;

/// What a span says of what came of it.
pub(crate) trait Outcome {
    /// Rows that came back or were changed, if any can be.
    fn rows(&self) -> Option<u64> {
        None
    }

    /// The version that shows it, if it made one.
    fn version(&self) -> Option<u64> {
        None
    }
}

impl Outcome for () {}
impl Outcome for Supertable {}
impl Outcome for AlterReport {}

impl Outcome for Vec<RecordBatch> {
    fn rows(&self) -> Option<u64> {
        Some(self.iter().map(|batch| batch.num_rows() as u64).sum())
    }
}

impl Outcome for Receipt {
    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Outcome for MutationStats {
    fn rows(&self) -> Option<u64> {
        Some(self.tombstoned)
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Outcome for OptimizeReport {
    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Outcome for VerifyReport {
    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Outcome for RepairReport {
    fn version(&self) -> Option<u64> {
        self.left.version()
    }
}

/// Does `work` in `span` and notes there what came of it.
pub(crate) async fn traced<T: Outcome>(
    span: Span,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let outcome = work.instrument(span.clone()).await;
    match &outcome {
        Ok(value) => {
            value.rows().map(|rows| span.record("rows", rows));
            value.version().map(|version| span.record("version", version));
        }
        Err(error) => {
            span.record("error", display(error));
        }
    }
    outcome
}

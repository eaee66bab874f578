//! A table that has no name yet.

use std::sync::Arc;

use arrow::datatypes::Schema;

use crate::{Connection, Error, IndexSpec, Supertable};

/// A table that can be written to and read, and that nobody else sees before it is published.
///
/// So a table can come to be with its rows in it, or take another's place without a moment in between. One that is not
/// published is to be discarded; otherwise its objects stay where they are, and nothing names them.
///
/// ```
/// # use infino::{IndexSpec, arrow::array::{ArrayRef, RecordBatch, StringArray}};
/// # use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), infino::Error> {
/// # let db = infino::connect("memory://").await?;
/// # let body: ArrayRef = Arc::new(StringArray::from(vec!["the quick brown fox"]));
/// # let rows = RecordBatch::try_from_iter([("body", body)])?;
/// let draft = db.draft_table("docs", rows.schema(), IndexSpec::new().fts("body")).await?;
/// draft.table().append(rows).await?;
/// let docs = draft.publish(true).await?; // in the place of the table of this name, if there is one
/// assert_eq!(docs.count_rows().await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a draft is published or discarded"]
pub struct Draft {
    connection: Connection,
    table: Supertable,
}

impl Connection {
    /// Begins a table that is to be called `name`.
    ///
    /// # Errors
    /// As [`Connection::create_table`], but whether the name is taken is decided by [`Draft::publish`].
    pub async fn draft_table(
        &self,
        name: &str,
        schema: impl Into<Arc<Schema>>,
        index: IndexSpec,
    ) -> Result<Draft, Error> {
        let table = self.make_unnamed(name, &schema.into(), index).await?;
        Ok(Draft { connection: self.clone(), table })
    }
}

impl Draft {
    /// The table.
    pub fn table(&self) -> &Supertable {
        &self.table
    }

    /// Gives it its name; the table that had the name goes if `replace`.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken and not to be replaced; the draft is discarded then.
    pub async fn publish(self, replace: bool) -> Result<Supertable, Error> {
        match self.connection.name_table(&self.table, replace).await {
            Ok(()) => Ok(self.table),
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    /// Removes it. If that fails it is garbage of which only the space is lost.
    pub async fn discard(self) {
        if let Err(left) = self.connection.discard(self.table.table().root()).await {
            tracing::warn!(%left, "removing a table that was not published failed");
        }
    }
}

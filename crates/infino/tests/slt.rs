//! The statements of `tests/slt`, each file in a place of its own in memory.

use std::path::Path;
use std::sync::Arc;

use infino::arrow::array::RecordBatch;
use infino::arrow::util::display::{ArrayFormatter, FormatOptions};
use infino::{Connection, Error};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

struct Database(Arc<Connection>);

#[async_trait::async_trait]
impl AsyncDB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let batches = self.0.query_sql(sql).await?;
        if batches[0].num_columns() == 0 {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = vec![DefaultColumnType::Any; batches[0].num_columns()];
        let rows = batches.iter().flat_map(shown).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "infino"
    }
}

fn shown(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let cell = |column: &ArrayFormatter<'_>, row| {
        let text = column.value(row).to_string();
        if text.is_empty() { "(empty)".to_owned() } else { text }
    };
    (0..batch.num_rows()).map(|row| columns.iter().map(|c| cell(c, row)).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_answer_as_written() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let db = Arc::new(infino::connect("memory://").await.unwrap());
        let mut runner = Runner::new(|| {
            let db = db.clone();
            async move { Ok(Database(db)) }
        });
        if let Err(error) = runner.run_file_async(&file).await {
            panic!("{}", error.display(false));
        }
    }
}

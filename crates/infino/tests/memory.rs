//! One budget for all that a connection keeps in memory.

use std::sync::Arc;

use infino::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use infino::{ConnectOptions, Connection, ErrorKind, IndexSpec};

const ROWS: i64 = 200_000;

/// Rows in an order that is not that of `n`, about 12 MB of them.
fn rows() -> RecordBatch {
    let n = (0..ROWS).map(|i| i * 48_271 % ROWS).collect::<Vec<_>>();
    let pad = n.iter().map(|n| format!("{n:050}")).collect::<Vec<_>>();
    let n: ArrayRef = Arc::new(Int64Array::from(n));
    let pad: ArrayRef = Arc::new(StringArray::from(pad));
    RecordBatch::try_from_iter([("n", n), ("pad", pad)]).unwrap()
}

async fn table_in(folder: &tempfile::TempDir, options: ConnectOptions) -> Connection {
    let db = infino::connect_with(folder.path().to_str().unwrap(), options).await.unwrap();
    let rows = rows();
    let table = db.create_table("t", rows.schema(), IndexSpec::new()).await.unwrap();
    table.append(rows).await.unwrap();
    db
}

#[tokio::test]
async fn a_sort_larger_than_the_budget_spills() {
    let folder = tempfile::tempdir().unwrap();
    let db = table_in(&folder, ConnectOptions::new().memory_bytes(24 << 20).threads(1)).await;
    let sorted = db.query_sql("SELECT n, pad FROM t ORDER BY pad").await.unwrap();
    let n = sorted.iter().flat_map(|batch| {
        let n = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        n.values().to_vec()
    });
    assert!(n.eq(0..ROWS), "every row, in order");
}

#[tokio::test]
async fn what_cannot_spill_says_what_was_short() {
    let folder = tempfile::tempdir().unwrap();
    table_in(&folder, ConnectOptions::new()).await;
    let options = ConnectOptions::new().memory_bytes(2 << 20).threads(1);
    let db = infino::connect_with(folder.path().to_str().unwrap(), options).await.unwrap();
    let sql = "SELECT a.n FROM t a JOIN t b ON a.pad = b.pad ORDER BY a.pad";
    let error = db.query_sql(sql).await.expect_err("two million bytes do not hold either side");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("memory"), "{error}");
    // The memory came back.
    assert_eq!(db.query_sql("SELECT count(*) FROM t WHERE n < 10").await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn writers_build_early_when_memory_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let options = ConnectOptions::new().memory_bytes(40 << 20).threads(1);
    let db = infino::connect_with(folder.path().to_str().unwrap(), options).await.unwrap();
    let rows = rows();
    let table = db.create_table("t", rows.schema(), IndexSpec::new().fts("pad")).await.unwrap();
    let mut writer = table.writer().unwrap();
    for _ in 0..4 {
        writer.append(&rows).await.unwrap();
    }
    let receipt = writer.commit().await.unwrap();
    assert_eq!(receipt.rows, 4 * ROWS as u64);
    assert!(receipt.superfiles > 1, "50 MB do not wait in 40 MB for one file");
    assert_eq!(table.count_rows().await.unwrap(), 4 * ROWS as u64);
}

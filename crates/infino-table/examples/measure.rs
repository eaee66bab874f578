//! What keys and fresh rows cost.
//!
//! ```text
//! cargo run --release -p infino-table --example measure -- upsert 1000000 100000
//! cargo run --release -p infino-table --example measure -- insert 8 30 10
//! ```
//!
//! `upsert`: a table of so many rows, then so many keys appended and upserted, half of them there; times, requests and
//! bytes read. `insert`: so many tasks insert for ten seconds over a store whose every request takes so many milliseconds,
//! so many rows a call.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use infino_format::schema::IndexSet;
use infino_storage::MemoryStore;
use infino_storage::fault::{Fault, FaultStore, Operation, Rule};
use infino_table::{Runtime, Table, TableError, TableOptions};

#[tokio::main]
async fn main() -> Result<(), TableError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| arguments.get(at).map_or(or, |n| n.parse().unwrap_or(or));
    match arguments.first().map(String::as_str) {
        Some("upsert") => upsert(number(1, 1_000_000) as i64, number(2, 100_000) as i64).await,
        Some("insert") => insert(number(1, 8), number(2, 30), number(3, 10) as i64).await,
        _ => {
            println!("upsert [rows] [keys] | insert [tasks] [ms a request] [rows a call]");
            Ok(())
        }
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("amount", DataType::Int64, false),
        Field::new("note", DataType::Utf8, false),
    ]))
}

async fn table(store: Arc<FaultStore>) -> Result<Table, TableError> {
    let indexes = IndexSet { key: vec!["id".into()], ..IndexSet::default() };
    let schema = infino_superfile::table_schema(&schema(), indexes)?;
    Table::create(store, "t", schema, Runtime::new(0)?, TableOptions::default()).await
}

/// Rows whose keys are in no order.
fn rows(numbers: impl Iterator<Item = i64> + Clone) -> RecordBatch {
    let mix = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let id: StringArray = numbers.clone().map(|n| Some(format!("{:016x}", mix(n)))).collect();
    let amount: Int64Array = numbers.clone().map(|n| Some(n % 1000)).collect();
    let words = ["lorem", "ipsum", "dolor", "sit", "amet", "elit", "sed", "magna"];
    let note = |n: i64| {
        let word = |i: u32| words[(mix(n).rotate_left(i * 7) % 8) as usize];
        (0..12).map(word).collect::<Vec<_>>().join(" ")
    };
    let note: StringArray = numbers.map(|n| Some(note(n))).collect();
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(id), Arc::new(amount), Arc::new(note)];
    RecordBatch::try_new(schema(), columns).expect("columns of the schema")
}

async fn append(table: &Table, batch: &RecordBatch) -> Result<(), TableError> {
    let mut writer = table.writer();
    writer.append(batch).await?;
    writer.commit().await.map(drop)
}

async fn upsert(count: i64, given: i64) -> Result<(), TableError> {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let table = table(store.clone()).await?;
    let started = Instant::now();
    append(&table, &rows(0..count)).await?;
    let bytes: u64 = table.snapshot().entries.iter().map(|entry| entry.summary.file_len).sum();
    println!("{count} rows appended in {:.2?}, {bytes} bytes", started.elapsed());
    let measure = async |what: &str, batch: RecordBatch, upsert: bool| {
        let (before, started) = (store.counters().total(), Instant::now());
        match upsert {
            true => drop(table.upsert(&batch).await?),
            false => append(&table, &batch).await?,
        }
        let (after, took) = (store.counters().total(), started.elapsed());
        println!(
            "{what}: {took:.2?}, {} requests, {} bytes read, {} written",
            after.calls - before.calls,
            after.bytes_read - before.bytes_read,
            after.bytes_written - before.bytes_written
        );
        Ok::<_, TableError>(took)
    };
    let new = |round: i64| rows(count + round * given..count + (round + 1) * given);
    let mut ratios = Vec::new();
    for round in 0..3 {
        let appended = measure(&format!("{given} keys appended"), new(2 * round), false).await?;
        let start = count / 4 * round;
        let half =
            (start..start + given / 2).chain(count * 9 + start..count * 9 + start + given / 2);
        let upserted = measure(&format!("{given} upserted, half there"), rows(half), true).await?;
        ratios.push(upserted.as_secs_f64() / appended.as_secs_f64());
    }
    measure("1 key upserted, there", rows(7..8), true).await?;
    measure("1 key upserted, not there", rows(-8..-7), true).await?;
    println!("upsert / append: {ratios:.2?}");
    Ok(())
}

async fn insert(tasks: u64, ms: u64, rows_a_call: i64) -> Result<(), TableError> {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    let table = table(store.clone()).await?;
    store.add(Rule::new(Fault::Delay(Duration::from_millis(ms))));
    let (before, started) = (store.counters(), Instant::now());
    let tasks = (0..tasks as i64).map(|task| {
        let table = table.clone();
        tokio::spawn(async move {
            let (mut count, mut bytes, mut slowest) = (0, 0, Duration::ZERO);
            while started.elapsed() < Duration::from_secs(10) {
                let first = task * 10_000_000 + count;
                let batch = rows(first..first + rows_a_call);
                bytes += batch.get_array_memory_size() as u64;
                let asked = Instant::now();
                table.insert(&batch).await?;
                slowest = slowest.max(asked.elapsed());
                count += rows_a_call;
            }
            Ok::<_, TableError>((count, bytes, slowest))
        })
    });
    let (mut count, mut bytes, mut slowest) = (0, 0, Duration::ZERO);
    for task in tasks.collect::<Vec<_>>() {
        let one = task.await.expect("no task panics")?;
        (count, bytes, slowest) = (count + one.0, bytes + one.1, slowest.max(one.2));
    }
    let took = started.elapsed();
    let after = store.counters();
    let calls = |operation| after.of(operation).calls - before.of(operation).calls;
    let objects = calls(Operation::Put) + calls(Operation::PutFile);
    println!(
        "{count} rows ({bytes} bytes) in {took:.1?}: {:.0} rows/s, slowest call {slowest:.0?}; {} swaps, {objects} \
         objects, one per {} KiB; head {} bytes; {} lots unsealed",
        count as f64 / took.as_secs_f64(),
        calls(Operation::Swap),
        bytes / 1024 / objects.max(1),
        table.log().current().bytes.len(),
        table.snapshot().fresh.len(),
    );
    Ok(())
}

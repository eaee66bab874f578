//! F6: uploads in parts that tear. An object is there whole or not at all, and what was said of it is so.

use std::time::Duration;

use infino_storage::{StorageError, StoreOptions, connect};
use infino_testserver::{Fault, Options, Rule, Server};

use super::{Random, Row, divided};

const PART: usize = 5 << 20;

/// How an upload tears.
#[derive(Debug, Clone, Copy)]
enum Tear {
    /// Whoever uploads stops waiting.
    LeftOpen,
    /// The second part is never taken.
    PartMissing,
    /// It is completed, then told to be completed once more.
    CompletedTwice,
    /// It is completed, nobody learns of it.
    ReplyLost,
    /// The completion happens after its connection broke.
    CompletedLate,
    /// It is read back cut short.
    ReadTruncated,
}

const TEARS: [Tear; 6] = [
    Tear::LeftOpen,
    Tear::PartMissing,
    Tear::CompletedTwice,
    Tear::ReplyLost,
    Tear::CompletedLate,
    Tear::ReadTruncated,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_torn_uploads_leave_the_whole_object_or_none() {
    let row = Row::new("F6");
    let count = TEARS.len() as u64 * row.scaled(50);
    divided(count, 12, |worker, uploads| uploads_of(&row, worker, uploads)).await;
    row.finish();
}

fn rules(tear: Tear, turn: u64) -> Vec<Rule> {
    let part = |fault| Rule::new(fault).method("PUT").path("partNumber=2");
    let complete = |fault| Rule::new(fault).method("POST").path("uploadId").times(1);
    match tear {
        Tear::LeftOpen => vec![part(Fault::Delay(Duration::from_secs(60)))],
        Tear::PartMissing => vec![part(Fault::Status(if turn % 2 == 0 { 500 } else { 403 }))],
        Tear::CompletedTwice => vec![complete(Fault::CloseAfter)],
        Tear::ReplyLost => match turn % 3 {
            0 => vec![complete(Fault::StatusAfter(500))],
            1 => vec![complete(Fault::ResetAfter)],
            _ => vec![complete(Fault::HalfReplyAfter)],
        },
        Tear::CompletedLate => vec![complete(Fault::Late(Duration::from_millis(50)))],
        Tear::ReadTruncated => vec![Rule::new(Fault::Truncate).method("GET").times(2)],
    }
}

async fn uploads_of(row: &Row, worker: u64, uploads: Vec<u64>) {
    let server = Server::start(Options { seed: row.seed + worker, ..Options::default() }).unwrap();
    let options = StoreOptions::new()
        .without_environment()
        .with_all(server.client_options())
        .with("part_bytes", PART.to_string())
        .with("multipart_bytes", PART.to_string())
        .with("deadline_ms", "1500");
    let store = connect(&server.uri("f6"), &options).unwrap();
    let bytes = Random(row.seed + worker).bytes(PART + 1000);
    for upload in uploads {
        let tear = TEARS[(upload % 6) as usize];
        server.heal();
        rules(tear, upload / 6).into_iter().for_each(|rule| server.add(rule));
        let put = store.put("o", bytes.clone());
        let said = match tear {
            Tear::LeftOpen => tokio::time::timeout(Duration::from_millis(150), put).await.ok(),
            _ => Some(put.await),
        };
        if matches!(tear, Tear::CompletedLate) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let found = match store.get("o").await {
            Err(StorageError::Unavailable { .. }) => {
                server.heal();
                store.get("o").await
            }
            found => found,
        };
        server.heal();
        let (is_there, is_whole) = match &found {
            Ok((read, _)) => (true, *read == bytes),
            Err(StorageError::NotFound { .. }) => (false, true),
            Err(_) => (false, false),
        };
        let shown =
            || format!("{tear:?} {upload}: said {said:?}, there {is_there}, whole {is_whole}");
        row.check(is_whole, shown);
        row.check(!matches!(said, Some(Ok(()))) || is_there, shown);
        let must_fail = matches!(tear, Tear::LeftOpen | Tear::PartMissing);
        row.check(!must_fail || !matches!(said, Some(Ok(()))), shown);
        let closed = async {
            while server.uploads_open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(20), closed).await;
        row.check(closed.is_ok(), || format!("{tear:?} {upload}: parts stay behind"));
        store.delete("o").await.unwrap();
        row.tried();
    }
}

//! F4: a server that answers with errors, or late, for a while. What outlasts the deadline is a retryable error by then,
//! what does not is ridden out, and nothing is wrong.

use std::time::{Duration, Instant};

use bytes::Bytes;
use infino_storage::{StorageError, Store, StoreOptions, Swap, connect};
use infino_testserver::{Fault, Options, Rule, Server};

use super::{Random, Row, divided};

/// Requests that one operation may come to: ten retries of one, each of which may be sent twice.
const REQUESTS_MAX: u64 = 44;

/// Time beyond the deadline that a busy machine may take.
const SLACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_storms_end_at_the_deadline_or_are_ridden_out() {
    let row = Row::new("F4");
    divided(row.scaled(200), 32, |worker, storms| storms_of(&row, worker, storms)).await;
    row.finish();
}

async fn storms_of(row: &Row, worker: u64, storms: Vec<u64>) {
    let server = Server::start(Options { seed: row.seed + worker, ..Options::default() }).unwrap();
    for storm in storms {
        let mut random = Random(row.seed ^ storm << 20);
        // Every other storm outlasts the deadline.
        let outlasts = storm % 2 == 1;
        let deadline = Duration::from_millis(if outlasts { 200 } else { 60_000 });
        let calm = StoreOptions::new().without_environment().with_all(server.client_options());
        let options = calm
            .clone()
            .with("deadline_ms", deadline.as_millis().to_string())
            .with("swap_timeout_ms", "300")
            .with("hedge_after_ms", "150");
        let store = connect(&server.uri(&format!("f4/{storm}")), &options).unwrap();
        let bytes = random.bytes(50_000);
        server.heal();
        let calm = connect(&server.uri(&format!("f4/{storm}")), &calm).unwrap();
        calm.put("o", bytes.clone()).await.unwrap();

        let status = [503, 429, 500, 503][random.below(4) as usize];
        let slow = Rule::new(Fault::Delay(Duration::from_secs(60))).method("GET");
        server.add(slow.path(&format!("f4/{storm}/o")).times(1));
        if outlasts {
            server.add(Rule::new(Fault::Status(status)));
        } else {
            server.add(Rule::new(Fault::Status(status)).times(3));
            server.add(Rule::new(Fault::Status(status)).chance(0.2));
        }
        server.add(Rule::new(Fault::Status(409)).conditional().chance(0.5));
        server.add(Rule::new(Fault::Delay(Duration::from_millis(20))).chance(0.2));
        let before = server.stats().requests_total();
        let began = Instant::now();
        operations(row, &*store, &bytes, storm, outlasts, deadline).await;
        let (took, sent) = (began.elapsed(), server.stats().requests_total() - before);
        row.check(took < deadline * 6 + SLACK * 6, || format!("storm {storm} took {took:?}"));
        row.check(sent <= 6 * REQUESTS_MAX, || format!("storm {storm}: {sent} requests"));

        server.heal();
        let after = calm.get("o").await;
        row.check(after.as_ref().is_ok_and(|(read, _)| *read == bytes), || {
            format!("after storm {storm}: {:?}", after.map(|(read, _)| read.len()))
        });
        row.tried();
    }
}

async fn operations(
    row: &Row,
    store: &dyn Store,
    bytes: &Bytes,
    storm: u64,
    outlasts: bool,
    deadline: Duration,
) {
    let timed = |what: &'static str, began: Instant, error: Option<StorageError>| {
        let took = began.elapsed();
        row.check(took < deadline + SLACK, || format!("storm {storm}: {what} took {took:?}"));
        row.check(error.as_ref().is_none_or(StorageError::is_retryable), || {
            format!("storm {storm}: {what}: {error:?}")
        });
        row.check(outlasts || error.is_none(), || {
            format!("storm {storm}: {what} was not ridden out: {error:?}")
        });
    };
    let began = Instant::now();
    let read = store.get("o").await;
    row.check(read.as_ref().map_or(true, |(read, _)| read == bytes), || "get".into());
    timed("get", began, read.err());
    let began = Instant::now();
    let read = store.get_ranges("o", &[5..10, 20_000..49_999]).await;
    row.check(
        read.as_ref()
            .map_or(true, |read| read[0] == bytes[5..10] && read[1] == bytes[20_000..49_999]),
        || "get_ranges".into(),
    );
    timed("get_ranges", began, read.err());
    let began = Instant::now();
    timed("put", began, store.put("p", bytes.clone()).await.err());
    let began = Instant::now();
    timed("list", began, store.list("").await.err());
    let began = Instant::now();
    timed("delete", began, store.delete("p").await.err());
    let swap = store.swap("head", None, "x".into()).await;
    let now = store.get("head").await;
    // Whatever was said of it, the object is whole or absent; a swap that is done is there.
    match (&swap, now) {
        (_, Ok((read, _))) => row.check(read == "x", || format!("storm {storm}: head {read:?}")),
        (Swap::Done(_), Err(StorageError::NotFound { .. })) => {
            row.check(false, || format!("storm {storm}: a swap that was done is not there"));
        }
        (_, Err(_)) => {}
    }
}

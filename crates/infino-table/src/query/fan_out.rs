//! The same work on many files at once.

use std::future::Future;

use futures::stream::{FuturesOrdered, StreamExt};

use super::files::CONCURRENT;
use crate::TableError;

/// Runs `work` on every item, at most [`CONCURRENT`] at a time, and returns the results in the order of the items.
///
/// One item runs on the caller's task: a table of one file pays no hand-over. The first failure cancels the rest.
pub(crate) async fn each<I, T, F>(
    items: Vec<I>,
    work: impl Fn(I) -> F,
) -> Result<Vec<T>, TableError>
where
    F: Future<Output = Result<T, TableError>> + Send + 'static,
    T: Send + 'static,
{
    if items.len() == 1 {
        let only = items.into_iter().next().expect("one item");
        return Ok(vec![work(only).await?]);
    }
    let mut results = Vec::with_capacity(items.len());
    let mut running = FuturesOrdered::new();
    for item in items {
        if running.len() == CONCURRENT {
            results.push(running.next().await.expect("some are running")?);
        }
        running.push_back(Task::spawn(work(item)));
    }
    while let Some(result) = running.next().await {
        results.push(result?);
    }
    Ok(results)
}

/// A spawned task that is cancelled when nobody waits for it any more.
struct Task<T>(tokio::task::JoinHandle<Result<T, TableError>>);

impl<T: Send + 'static> Task<T> {
    fn spawn(future: impl Future<Output = Result<T, TableError>> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TableError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|joined| match joined {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(TableError::Invalid("the runtime is shutting down".into())),
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

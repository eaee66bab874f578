use std::time::{Duration, Instant};

use crate::{StorageError, StoreOptions, Swap, connect};

/// An endpoint where nobody listens: a port that was free a moment ago.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An endpoint that accepts connections and never answers.
fn silent_port() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

async fn check_unavailable(uri: &str, endpoint: &str, options: &[(&str, &str)]) {
    let options = StoreOptions::new()
        .without_environment()
        .with("endpoint", endpoint)
        .with("deadline_ms", "600")
        .with("swap_timeout_ms", "300")
        .with_all(options.iter().copied());
    let store = connect(uri, &options).unwrap();
    let began = Instant::now();
    let outcome = store.get("o").await;
    assert!(matches!(outcome, Err(StorageError::Unavailable { .. })), "{uri}: {outcome:?}");
    let outcome = store.list("").await;
    assert!(matches!(outcome, Err(StorageError::Unavailable { .. })), "{uri}: {outcome:?}");
    let swap = store.swap("o", None, "x".into()).await;
    assert!(matches!(swap, Swap::Unclear(StorageError::Unavailable { .. })), "{uri}: {swap:?}");
    // The deadline counts, not the three minutes that the client allows by default.
    assert!(began.elapsed() < Duration::from_secs(20), "{uri}: {:?}", began.elapsed());
}

const S3_KEYS: [(&str, &str); 2] = [("access_key", "a"), ("secret_key", "b")];

#[cfg(feature = "aws")]
#[tokio::test]
async fn s3_that_cannot_be_reached_is_unavailable_within_the_deadline() {
    check_unavailable("s3://bucket/p", &closed_port(), &S3_KEYS).await;
    let (_listener, endpoint) = silent_port();
    check_unavailable("s3://bucket/p", &endpoint, &S3_KEYS).await;
}

#[cfg(feature = "azure")]
#[tokio::test]
async fn azure_that_cannot_be_reached_is_unavailable_within_the_deadline() {
    let keys = [("account_name", "a"), ("account_key", "c2VjcmV0")];
    check_unavailable("az://container/p", &closed_port(), &keys).await;
}

#[cfg(feature = "gcp")]
#[tokio::test]
async fn google_that_cannot_be_reached_is_unavailable_within_the_deadline() {
    check_unavailable("gs://bucket/p", &closed_port(), &[("anonymous", "true")]).await;
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn errors_hold_no_secrets_and_no_urls() {
    let options = StoreOptions::new()
        .without_environment()
        .with("endpoint", closed_port())
        .with("deadline_ms", "1000")
        .with_all(S3_KEYS)
        .with("session_token", "hunter2");
    let store = connect("s3://bucket", &options).unwrap();
    let error = store.get("o").await.unwrap_err().to_string();
    assert!(!error.contains("hunter2") && !error.contains("http://"), "{error}");
    assert!(error.starts_with("o: reading failed: "), "{error}");
    assert!(error.contains("refused"), "{error}");
}

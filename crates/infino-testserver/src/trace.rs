//! What was asked when: the requests of a stretch of time, and how many of them had to wait for one another.

use std::time::{Duration, Instant};

use crate::http::Request;

/// A request that was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// `GET`, `PUT`, …
    pub method: String,
    /// The path asked for, as it was sent.
    pub path: String,
    /// The range asked for, as it was sent.
    pub range: Option<String>,
    /// When it came, since tracing began.
    pub began: Duration,
    /// When its answer was on its way.
    pub ended: Duration,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

/// The most of `requests` that came one after the other, each after the answer to the one before: round trips that
/// nobody could have made at once.
pub fn rounds(requests: &[Traced]) -> usize {
    let mut by_end: Vec<_> = requests.iter().collect();
    by_end.sort_by_key(|request| request.ended);
    let (mut rounds, mut last_end) = (0, Duration::ZERO);
    for request in by_end {
        if rounds == 0 || request.began >= last_end {
            rounds += 1;
            last_end = request.ended;
        }
    }
    rounds
}

/// The requests since tracing began.
pub(crate) struct Trace {
    since: Instant,
    requests: Vec<Traced>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), requests: Vec::new() }
    }

    /// Remembers a request that came at `began`, and has been answered now.
    pub(crate) fn add(&mut self, request: &Request, began: Instant, bytes: u64) {
        self.requests.push(Traced {
            method: request.method.clone(),
            path: request.path().to_owned(),
            range: request.header("range").map(str::to_owned),
            began: began.saturating_duration_since(self.since),
            ended: self.since.elapsed(),
            bytes,
        });
    }

    pub(crate) fn into_requests(self) -> Vec<Traced> {
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(began_ms: u64, ended_ms: u64) -> Traced {
        Traced {
            method: "GET".to_owned(),
            path: String::new(),
            range: None,
            began: Duration::from_millis(began_ms),
            ended: Duration::from_millis(ended_ms),
            bytes: 0,
        }
    }

    #[test]
    fn rounds_are_the_longest_chain() {
        for (spans, expected) in [
            (&[][..], 0),
            (&[(0, 30)], 1),
            (&[(0, 30), (1, 31), (2, 29)], 1),
            (&[(0, 30), (31, 60), (32, 62), (62, 90)], 3),
            (&[(0, 100), (0, 30), (30, 60), (60, 90)], 3),
        ] {
            let requests: Vec<_> = spans.iter().map(|&(a, b)| request(a, b)).collect();
            assert_eq!(rounds(&requests), expected, "{spans:?}");
        }
    }
}

//! What an `object_store` error means to a caller.

use std::error::Error as StdError;
use std::ops::Range;
use std::time::Duration;

use crate::{StorageError, source};

/// A failed request, sorted by what happens next.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The object is as the caller knows it.
    #[error("not modified")]
    NotModified,
    /// The condition of a write did not hold, or somebody else was writing.
    #[error("the condition did not hold")]
    Condition,
    /// The body broke off, or was not of the length promised.
    #[error("{0}")]
    Body(StorageError),
    /// Anything else.
    #[error("{0}")]
    Error(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for StorageError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Body(error) | Failure::Error(error) => error,
            // Only a store that answers a question nobody asked gets here.
            Failure::NotModified | Failure::Condition => Self::Unavailable {
                path: String::new(),
                operation: "an unconditional request",
                problem: format!("the store answered that {failure}"),
            },
        }
    }
}

impl Failure {
    pub(super) fn of(path: &str, operation: &'static str, error: object_store::Error) -> Self {
        use object_store::Error as E;
        if let E::Generic { source, .. } = &error
            && let Some(error) = source.downcast_ref::<StorageError>()
        {
            // What the caller's own credentials provider said.
            return Self::Error(error.clone());
        }
        let said = Said::of(&error);
        let path = path.to_owned();
        Self::Error(match error {
            E::NotModified { .. } => return Self::NotModified,
            E::Precondition { .. } | E::AlreadyExists { .. } => return Self::Condition,
            E::NotFound { .. } if said.is_any_of(&["NoSuchBucket", "ContainerNotFound"]) => {
                StorageError::Invalid {
                    problem: format!(
                        "the bucket or container does not exist ({}); create it, or correct the URI",
                        said.problem
                    ),
                }
            }
            E::NotFound { .. } => StorageError::NotFound { path },
            E::InvalidPath { .. } | E::NotSupported { .. } | E::UnknownConfigurationKey { .. } => {
                StorageError::Invalid { problem: format!("{path}: {}", said.problem) }
            }
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
                StorageError::Denied { path, operation, problem: said.advice() }
            }
            _ if said.is_refusal() => {
                StorageError::Denied { path, operation, problem: said.advice() }
            }
            _ => StorageError::Unavailable { path, operation, problem: said.problem },
        })
    }

    /// The failure of a read of `range`, which the object has.
    pub(super) fn of_answer(path: &str, range: &Range<u64>, error: object_store::Error) -> Self {
        let said = Said::of(&error);
        match said.status {
            // It was answered well, with something else.
            None => Self::not_exact(path, range, said.problem),
            Some(_) => Self::of(path, "reading", error),
        }
    }

    pub(super) fn not_exact(path: &str, range: &Range<u64>, got: String) -> Self {
        Self::Error(source::not_exact(path, range, got))
    }

    /// The object ends before the range does.
    pub(super) fn other_range(path: &str, wanted: &Range<u64>, told: &Range<u64>) -> Self {
        Self::not_exact(path, wanted, format!("bytes {}..{}", told.start, told.end))
    }

    /// The failure of a body whose head had come.
    pub(super) fn of_body(path: &str, error: object_store::Error) -> Self {
        match Self::of(path, "reading", error) {
            Self::Error(error) => Self::Body(error),
            other => other,
        }
    }

    pub(super) fn short(path: &str, wanted: &Range<u64>, got: usize) -> Self {
        Self::Body(source::not_exact(path, wanted, format!("{got} bytes")))
    }

    pub(super) fn timed_out(path: &str, operation: &'static str, limit: Duration) -> Self {
        let problem = format!("no answer within {limit:?}");
        Self::Error(StorageError::Unavailable { path: path.to_owned(), operation, problem })
    }

    pub(super) fn is_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }
}

/// Whether the store may have answered a read with something else than the range: it was reached, and did not refuse.
pub(super) fn may_be_other_range(error: &object_store::Error) -> bool {
    let object_store::Error::Generic { source, .. } = error else { return false };
    let unreached = |error: &(dyn StdError + 'static)| {
        error.is::<object_store::client::HttpError>() || error.is::<StorageError>()
    };
    let first: &(dyn StdError + 'static) = source.as_ref();
    !std::iter::successors(Some(first), |&error| error.source()).any(unreached)
        && matches!(Said::of(error).status, None | Some(416))
}

/// What the store said, without the URL, which may hold a signature.
struct Said {
    status: Option<u16>,
    code: Option<String>,
    problem: String,
}

impl Said {
    fn of(error: &object_store::Error) -> Self {
        let whole = error.to_string();
        let status_text = whole.split_once("status code: ").map(|(_, text)| text);
        let status = status_text.and_then(|text| text.get(..3)?.parse().ok());
        let code = between(&whole, "<Code>", "</Code>").map(str::to_owned);
        let problem = match (&code, status_text) {
            (Some(code), _) => {
                let message = between(&whole, "<Message>", "</Message>").unwrap_or_default();
                format!("{code}: {}", message.lines().next().unwrap_or_default())
            }
            (None, Some(text)) => text.trim_end_matches([' ', ':']).chars().take(200).collect(),
            (None, None) => innermost(error),
        };
        Self { status, code, problem }
    }

    fn is_any_of(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether the store understood and will answer the same again.
    fn is_refusal(&self) -> bool {
        // A redirect means another region or endpoint; 408 and 429 mean later.
        self.problem.contains("redirect")
            || self.status.is_some_and(|s| (300..500).contains(&s) && s != 408 && s != 429)
    }

    fn advice(&self) -> String {
        let advice = match self.code.as_deref() {
            Some("RequestTimeTooSkewed") => "set this machine's clock",
            Some("InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
                "check the access key and the secret key"
            }
            Some("ExpiredToken" | "InvalidToken") => "renew the session token",
            Some("AuthorizationHeaderMalformed" | "PermanentRedirect") => "set the option region",
            _ if self.problem.contains("redirect") => "set the options region or endpoint",
            _ => "check the credentials and what they may do there",
        };
        format!("{}; {advice}", self.problem)
    }
}

/// The last two causes that name no URL, the innermost last.
fn innermost(error: &object_store::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn StdError), |&error| error.source());
    let mut texts: Vec<_> =
        causes.map(ToString::to_string).filter(|text| !text.contains("://")).collect();
    texts.dedup();
    match &texts[texts.len().saturating_sub(2)..] {
        [] => "the request failed".to_owned(),
        [only] => only.clone(),
        [outer, inner, ..] if outer.contains(inner.as_str()) => outer.clone(),
        [outer, inner, ..] => format!("{outer}: {inner}"),
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(to)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn urls_do_not_show() {
        let failure = Failure::of("o", "reading", generic("GET https://x/?sig=secret failed"));
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_object() {
        let not_found = |text: &str| object_store::Error::NotFound {
            path: "o".to_owned(),
            source: text.to_owned().into(),
        };
        let bucket =
            "status code: 404: <Error><Code>NoSuchBucket</Code><Message>m</Message></Error>";
        let error = StorageError::from(Failure::of("o", "reading", not_found(bucket)));
        assert!(matches!(error, StorageError::Invalid { .. }), "{error}");
        let error = StorageError::from(Failure::of("o", "reading", not_found("gone")));
        assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    }
}

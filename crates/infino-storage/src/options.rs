//! What a caller may say about a store beside its URI.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::StorageError;
use crate::credentials::CredentialsProvider;

/// Options of a store: string keys and values, with the environment behind them.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `deadline_ms` | longest an operation of bounded size may take, retries included | 60000 |
/// | `swap_timeout_ms` | longest a compare-and-swap may take; it is never retried | 15000 |
/// | `connect_timeout_ms` | longest the opening of a connection may take | 5000 |
/// | `retries` | most retries of one request of the data handle | 10 |
/// | `hedge_after_ms` | a read without an answer by then is sent once more, the first answer counts; 0 for never | 0 |
/// | `concurrency` | most requests in flight on one store | 64 |
/// | `gap_bytes` | ranges at most this far apart are read as one | 65536 |
/// | `range_part_bytes` | longer ranges are read in parallel parts of this size | 8388608 |
/// | `multipart_bytes` | objects from this size on go up in parts | 104857600 |
/// | `part_bytes` | size of those parts, at least 5242880 | 8388608 |
/// | `fsync` | `false` leaves local writes to the operating system, for tests and scratch data | true |
/// | `mmap` | `true` maps local files into memory instead of reading them; nobody may change or shorten them in place | false |
///
/// Every other key goes to the backend. `access_key` and `secret_key` stand for the names that S3 gives them, and
/// `anonymous` for requests without a signature; the rest is spelled as the backend spells it: `endpoint`, `region`,
/// `allow_http`, `session_token`, `account_name`, `account_key`, `sas_token`, `service_account_path` and so on. A key that
/// nobody knows is an error. For S3, `credentials_file` and `profile` choose from a shared credentials file.
#[derive(Clone)]
pub struct StoreOptions {
    values: BTreeMap<String, String>,
    environment: bool,
    credentials: Option<Arc<dyn CredentialsProvider>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreOptions {
    /// No options; what they leave open comes from the environment (`AWS_*`, `AZURE_*`, `GOOGLE_*`).
    pub fn new() -> Self {
        Self { values: BTreeMap::new(), environment: true, credentials: None }
    }

    /// Leaves the environment out of account.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.environment = false;
        self
    }

    /// Sets one option; case and `-` against `_` in the key do not matter.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.values.insert(key.trim().to_ascii_lowercase().replace('-', "_"), value.into());
        self
    }

    /// Sets many.
    #[must_use]
    pub fn with_all<K: AsRef<str>, V: Into<String>>(
        self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        pairs.into_iter().fold(self, |options, (key, value)| options.with(key.as_ref(), value))
    }

    /// Asks `provider` for credentials, before options, environment and cloud.
    #[must_use]
    pub fn with_credentials(mut self, provider: Arc<dyn CredentialsProvider>) -> Self {
        self.credentials = Some(provider);
        self
    }

    /// The provider, if there is one.
    pub fn credentials(&self) -> Option<Arc<dyn CredentialsProvider>> {
        self.credentials.clone()
    }

    /// The value of an option, as given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Whether the environment counts.
    pub fn uses_environment(&self) -> bool {
        self.environment
    }

    /// The options that are not [`Limits`], for a backend.
    pub(crate) fn for_backend(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(|(key, _)| !LIMIT_KEYS.contains(key))
    }

    /// Refuses options that a backend without any of its own was given.
    pub(crate) fn expect_none_for_backend(&self, backend: &str) -> Result<(), StorageError> {
        match self.for_backend().next() {
            None => Ok(()),
            Some((key, _)) => Err(StorageError::Invalid {
                problem: format!("{backend} stores have no option {key:?}; leave it out"),
            }),
        }
    }
}

impl fmt::Debug for StoreOptions {
    /// Keys only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("keys", &self.values.keys().collect::<Vec<_>>())
            .field("environment", &self.environment)
            .field("credentials", &self.credentials)
            .finish()
    }
}

const LIMIT_KEYS: [&str; 12] = [
    "deadline_ms",
    "swap_timeout_ms",
    "connect_timeout_ms",
    "retries",
    "hedge_after_ms",
    "concurrency",
    "gap_bytes",
    "range_part_bytes",
    "multipart_bytes",
    "part_bytes",
    "fsync",
    "mmap",
];

/// The options that mean the same on every backend, read and checked.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) swap_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retries: usize,
    pub(crate) hedge_after: Option<Duration>,
    pub(crate) concurrency: usize,
    pub(crate) gap_bytes: u64,
    pub(crate) range_part_bytes: u64,
    pub(crate) multipart_bytes: u64,
    pub(crate) part_bytes: usize,
    pub(crate) fsync: bool,
    pub(crate) mmap: bool,
}

impl Limits {
    /// Least size of a part that S3 accepts for any but the last.
    const PART_BYTES_MIN: u64 = 5 << 20;

    pub(crate) fn of(options: &StoreOptions) -> Result<Self, StorageError> {
        let number = |key: &str, default: u64, least: u64| match options.get(key) {
            None => Ok(default),
            Some(text) => match text.trim().parse::<u64>() {
                Ok(value) if value >= least => Ok(value),
                _ => Err(StorageError::Invalid {
                    problem: format!("option {key} = {text:?} must be a whole number from {least}"),
                }),
            },
        };
        let flag = |key: &str, default: bool| match options.get(key).map(str::trim) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(StorageError::Invalid {
                problem: format!("option {key} = {other:?} must be true or false"),
            }),
        };
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Ok(Self {
            deadline: Duration::from_millis(number("deadline_ms", 60_000, 1)?),
            swap_timeout: Duration::from_millis(number("swap_timeout_ms", 15_000, 1)?),
            connect_timeout: Duration::from_millis(number("connect_timeout_ms", 5_000, 1)?),
            retries: count(number("retries", 10, 0)?),
            hedge_after: match number("hedge_after_ms", 0, 0)? {
                0 => None,
                millis => Some(Duration::from_millis(millis)),
            },
            // A semaphore holds at most this many permits on 32-bit machines.
            concurrency: count(number("concurrency", 64, 1)?.min(1 << 28)),
            gap_bytes: number("gap_bytes", 64 << 10, 0)?,
            range_part_bytes: number("range_part_bytes", 8 << 20, 4096)?,
            multipart_bytes: number("multipart_bytes", 100 << 20, 1)?,
            part_bytes: count(number("part_bytes", 8 << 20, Self::PART_BYTES_MIN)?),
            fsync: flag("fsync", true)?,
            mmap: flag("mmap", false)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let options = StoreOptions::new().with("Secret-Key", "hunter2");
        assert_eq!(options.get("secret_key"), Some("hunter2"));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn limits_are_checked_and_kept_from_backends() {
        let options = StoreOptions::new().with("deadline_ms", "5").with("region", "x");
        assert_eq!(Limits::of(&options).unwrap().deadline, Duration::from_millis(5));
        assert_eq!(options.for_backend().collect::<Vec<_>>(), [("region", "x")]);
        for (key, value) in [
            ("deadline_ms", "0"),
            ("retries", "-1"),
            ("fsync", "maybe"),
            ("mmap", "1"),
            ("part_bytes", "1"),
        ] {
            let error = Limits::of(&StoreOptions::new().with(key, value)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

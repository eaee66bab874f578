//! Clients for a bucket, from a URI and options.

use std::sync::Arc;
use std::time::Duration;

use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::RemoteStore;
use super::credentials::{PROFILE_KEYS, Renewed, profile};
use crate::cas::Condition;
use crate::connect::Bucket;
use crate::credentials::Credentials;
use crate::options::Limits;
use crate::{StorageError, StoreOptions};

/// A store over the whole of `bucket`. Nothing is sent yet.
pub(crate) fn connect(
    bucket: &Bucket<'_>,
    uri: String,
    options: &StoreOptions,
) -> Result<RemoteStore, StorageError> {
    let limits = Limits::of(options)?;
    let data = Client { limits: &limits, timeout: limits.deadline, retries: limits.retries };
    let swap = Client { limits: &limits, timeout: limits.swap_timeout, retries: 0 };
    let client = |client: Client<'_>| match bucket {
        Bucket::S3 { bucket } => client.s3(bucket, options),
        Bucket::Azure { container, host } => client.azure(container, *host, options),
        Bucket::Google { bucket } => client.google(bucket, options),
    };
    let condition = match bucket {
        Bucket::Google { .. } => Condition::Generation,
        Bucket::S3 { .. } | Bucket::Azure { .. } => Condition::Etag,
    };
    let (data, swap) = (client(data)?, client(swap)?);
    // One bucket's name may stand for different buckets at different endpoints and accounts.
    let place = |key| options.get(key).unwrap_or_default();
    let places = ["endpoint", "endpoint_url", "base_url", "account_name"].map(place);
    let identity = format!("{uri}@{}", places.concat());
    Ok(RemoteStore::new(uri, identity, data, swap, condition, limits))
}

/// How one of the two clients of a store behaves.
struct Client<'a> {
    limits: &'a Limits,
    timeout: Duration,
    retries: usize,
}

type Built = Result<Arc<dyn ObjectStore>, StorageError>;

impl Client<'_> {
    /// Retries that end well before the deadline cuts them off, so that the caller learns what failed.
    fn retry(&self) -> RetryConfig {
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(50).min(self.timeout / 10),
            max_backoff: Duration::from_secs(5).min(self.timeout / 8),
            base: 2.0,
        };
        RetryConfig { backoff, max_retries: self.retries, retry_timeout: self.timeout / 2 }
    }

    /// The options in the backend's words: limits first, so that the caller's own win.
    fn settings(&self, options: &StoreOptions, aliases: &[(&str, &str)]) -> Vec<(String, String)> {
        let millis = |duration: Duration| format!("{}ms", duration.as_millis());
        let mut settings = vec![
            ("timeout".to_owned(), millis(self.timeout)),
            ("connect_timeout".to_owned(), millis(self.limits.connect_timeout.min(self.timeout))),
        ];
        for (key, value) in options.for_backend() {
            let alias = aliases.iter().find(|(from, _)| *from == key);
            let key = alias.map_or(key, |(_, to)| to);
            let is_plain = value.starts_with("http://") && options.get("allow_http").is_none();
            if matches!(key, "endpoint" | "base_url") && is_plain {
                // Who writes http:// has allowed it.
                settings.push(("allow_http".to_owned(), "true".to_owned()));
            }
            settings.push((key.to_owned(), value.to_owned()));
        }
        settings
    }
}

/// Applies `settings` to a builder whose keys parse from strings.
macro_rules! configured {
    ($builder:expr, $key:ty, $settings:expr, $backend:literal) => {{
        let mut builder = $builder;
        for (key, value) in $settings {
            let parsed = key.parse::<$key>().map_err(|_| StorageError::Invalid {
                problem: format!(
                    "{} stores have no option {key:?}; the options are listed at StoreOptions",
                    $backend
                ),
            })?;
            builder = builder.with_config(parsed, value);
        }
        builder
    }};
}

fn refused(bucket: &str, error: &object_store::Error) -> StorageError {
    StorageError::Invalid { problem: format!("{bucket}: {error}") }
}

impl Client<'_> {
    #[cfg(feature = "aws")]
    fn s3(&self, bucket: &str, options: &StoreOptions) -> Built {
        use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
        const ALIASES: [(&str, &str); 4] = [
            ("access_key", "access_key_id"),
            ("secret_key", "secret_access_key"),
            ("anonymous", "skip_signature"),
            ("endpoint_url", "endpoint"),
        ];
        let builder = match options.uses_environment() {
            true => AmazonS3Builder::from_env(),
            false => AmazonS3Builder::new(),
        };
        let mut settings = self.settings(options, &ALIASES);
        settings.retain(|(key, _)| !PROFILE_KEYS.contains(&key.as_str()));
        let mut builder = configured!(builder, AmazonS3ConfigKey, settings, "S3");
        let provider = match options.credentials() {
            Some(provider) => Some(provider),
            None => profile(options)?,
        };
        if let Some(provider) = provider {
            builder = builder.with_credentials(Renewed::new(provider, |given| match given {
                Credentials::S3 { access_key, secret_key, session_token } => {
                    Some(AwsCredential { key_id: access_key, secret_key, token: session_token })
                }
                _ => None,
            }));
        }
        let built = builder.with_bucket_name(bucket).with_retry(self.retry()).build();
        Ok(Arc::new(built.map_err(|e| refused(bucket, &e))?))
    }

    #[cfg(not(feature = "aws"))]
    fn s3(&self, _: &str, _: &StoreOptions) -> Built {
        crate::connect::left_out("S3", "aws")
    }

    #[cfg(feature = "azure")]
    fn azure(&self, container: &str, host: Option<&str>, options: &StoreOptions) -> Built {
        use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
        const ALIASES: [(&str, &str); 2] =
            [("secret_key", "account_key"), ("anonymous", "skip_signature")];
        let builder = match options.uses_environment() {
            true => MicrosoftAzureBuilder::from_env(),
            false => MicrosoftAzureBuilder::new(),
        };
        let builder =
            configured!(builder, AzureConfigKey, self.settings(options, &ALIASES), "Azure");
        let builder = match options.credentials() {
            Some(provider) => {
                builder.with_credentials(Renewed::new(provider, |given| match given {
                    Credentials::AzureToken(token) => Some(AzureCredential::BearerToken(token)),
                    _ => None,
                }))
            }
            None => builder,
        };
        let builder = match host {
            Some(host) => builder.with_url(format!("abfss://{container}@{host}/")),
            None => builder.with_container_name(container),
        };
        let built = builder.with_retry(self.retry()).build();
        Ok(Arc::new(built.map_err(|e| refused(container, &e))?))
    }

    #[cfg(not(feature = "azure"))]
    fn azure(&self, _: &str, _: Option<&str>, _: &StoreOptions) -> Built {
        crate::connect::left_out("Azure", "azure")
    }

    #[cfg(feature = "gcp")]
    fn google(&self, bucket: &str, options: &StoreOptions) -> Built {
        use object_store::StaticCredentialProvider;
        use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
        const ALIASES: [(&str, &str); 2] =
            [("endpoint", "base_url"), ("anonymous", "skip_signature")];
        let builder = match options.uses_environment() {
            true => GoogleCloudStorageBuilder::from_env(),
            false => GoogleCloudStorageBuilder::new(),
        };
        let settings = self.settings(options, &ALIASES);
        let is_anonymous =
            settings.iter().any(|(key, value)| key == "skip_signature" && value == "true");
        let mut builder = configured!(builder, GoogleConfigKey, settings, "Google");
        if is_anonymous {
            // Writes ask the metadata server for a token even if nothing is to be signed, unless there is one.
            let none = GcpCredential { bearer: "anonymous".to_owned() };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(none)));
        } else if let Some(provider) = options.credentials() {
            builder = builder.with_credentials(Renewed::new(provider, |given| match given {
                Credentials::GoogleToken(bearer) => Some(GcpCredential { bearer }),
                _ => None,
            }));
        }
        let built = builder.with_bucket_name(bucket).with_retry(self.retry()).build();
        Ok(Arc::new(built.map_err(|e| refused(bucket, &e))?))
    }

    #[cfg(not(feature = "gcp"))]
    fn google(&self, _: &str, _: &StoreOptions) -> Built {
        crate::connect::left_out("Google Cloud Storage", "gcp")
    }
}

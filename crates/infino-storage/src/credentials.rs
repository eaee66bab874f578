//! Credentials that a caller hands over whenever they are needed, and those in the shared credentials file of S3 tools.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::StorageError;

/// How long before their end credentials are renewed: a request that carries them must be over by then.
pub(crate) const RENEWED_BEFORE: Duration = Duration::from_secs(120);

/// How long what a file said is believed.
const FILE_BELIEVED: Duration = Duration::from_secs(300);

/// What proves who asks. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// For S3 and its kin.
    S3 {
        /// The key's id.
        access_key: String,
        /// The key.
        secret_key: String,
        /// Present if the key is a temporary one.
        session_token: Option<String>,
    },
    /// For Azure: an OAuth token.
    AzureToken(String),
    /// For Google Cloud Storage: an OAuth token.
    GoogleToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 { .. } => "Credentials::S3",
            Self::AzureToken(_) => "Credentials::AzureToken",
            Self::GoogleToken(_) => "Credentials::GoogleToken",
        })
    }
}

/// Where credentials come from.
#[async_trait]
pub trait CredentialsProvider: fmt::Debug + Send + Sync {
    /// Credentials that hold now, and until when; `None` if they do not end. They are kept, and asked for again two
    /// minutes before that.
    ///
    /// # Errors
    /// Any; the operation that needed them fails with it.
    async fn credentials(&self) -> Result<(Credentials, Option<SystemTime>), StorageError>;
}

/// A profile in a shared credentials file (`~/.aws/credentials`), read anew every five minutes.
#[derive(Debug)]
pub(crate) struct ProfileFile {
    pub(crate) file: PathBuf,
    pub(crate) profile: String,
}

impl ProfileFile {
    pub(crate) fn read(&self) -> Result<Credentials, StorageError> {
        let text = std::fs::read_to_string(&self.file)
            .map_err(|e| crate::error::of_local_file(&self.file, "reading credentials", &e))?;
        let value = |key: &str| profile_value(&text, &self.profile, key);
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(access_key), Some(secret_key)) => Ok(Credentials::S3 {
                access_key,
                secret_key,
                session_token: value("aws_session_token"),
            }),
            _ => Err(StorageError::Invalid {
                problem: format!(
                    "{} holds no aws_access_key_id and aws_secret_access_key under [{}]",
                    self.file.display(),
                    self.profile
                ),
            }),
        }
    }
}

#[async_trait]
impl CredentialsProvider for ProfileFile {
    async fn credentials(&self) -> Result<(Credentials, Option<SystemTime>), StorageError> {
        Ok((self.read()?, Some(SystemTime::now() + FILE_BELIEVED)))
    }
}

/// The value of `key` in the section `profile` of an INI file.
fn profile_value(text: &str, profile: &str, key: &str) -> Option<String> {
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = section.trim() == profile;
        } else if is_inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case(key)
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_found_among_others() {
        let text = "# c\n[default]\naws_access_key_id=A\n\n[ work ]\n aws_access_key_id = B \naws_secret_access_key = s=1\n";
        assert_eq!(profile_value(text, "default", "aws_access_key_id").as_deref(), Some("A"));
        assert_eq!(profile_value(text, "work", "AWS_access_key_id").as_deref(), Some("B"));
        assert_eq!(profile_value(text, "work", "aws_secret_access_key").as_deref(), Some("s=1"));
        assert_eq!(profile_value(text, "default", "aws_secret_access_key"), None);
        assert_eq!(profile_value(text, "none", "aws_access_key_id"), None);
    }

    #[test]
    fn secrets_do_not_show() {
        let credentials = Credentials::AzureToken("hunter2".to_owned());
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}

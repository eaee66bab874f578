//! A [`CredentialsProvider`] in the clothes that each client wants.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use object_store::CredentialProvider;
use tokio::sync::Mutex;

use crate::credentials::{Credentials, CredentialsProvider, ProfileFile, RENEWED_BEFORE};
use crate::{StorageError, StoreOptions};

/// Asks a provider, keeps what it gave until shortly before that ends, and turns it into what `C` is.
pub(super) struct Renewed<C> {
    provider: Arc<dyn CredentialsProvider>,
    convert: fn(Credentials) -> Option<C>,
    kept: Mutex<Option<(Arc<C>, Option<SystemTime>)>>,
}

impl<C> Renewed<C> {
    pub(super) fn new(
        provider: Arc<dyn CredentialsProvider>,
        convert: fn(Credentials) -> Option<C>,
    ) -> Arc<Self> {
        Arc::new(Self { provider, convert, kept: Mutex::new(None) })
    }
}

impl<C> fmt::Debug for Renewed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").field("provider", &self.provider).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync> CredentialProvider for Renewed<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let mut kept = self.kept.lock().await;
        if let Some((credential, until)) = &*kept
            && until.is_none_or(|until| SystemTime::now() + RENEWED_BEFORE < until)
        {
            return Ok(Arc::clone(credential));
        }
        let fail = |error: StorageError| object_store::Error::Generic {
            store: "credentials",
            source: Box::new(error),
        };
        let (credentials, until) = self.provider.credentials().await.map_err(fail)?;
        let shown = format!("{credentials:?}");
        let credential = (self.convert)(credentials).ok_or_else(|| {
            fail(StorageError::Invalid {
                problem: format!(
                    "the credentials provider gave {shown}, which this store cannot use"
                ),
            })
        })?;
        let credential = Arc::new(credential);
        *kept = Some((Arc::clone(&credential), until));
        Ok(credential)
    }
}

/// The options that say which profile to use, of the shared credentials file.
pub(super) const PROFILE_KEYS: [&str; 2] = ["credentials_file", "profile"];

/// The shared credentials file, if options or environment ask for it, or if nothing else would give credentials.
pub(super) fn profile(
    options: &StoreOptions,
) -> Result<Option<Arc<dyn CredentialsProvider>>, StorageError> {
    let environment = |name: &str| match options.uses_environment() {
        true => std::env::var(name).ok().filter(|value| !value.is_empty()),
        false => None,
    };
    let asked = PROFILE_KEYS.iter().any(|key| options.get(key).is_some());
    let has_others =
        ["access_key", "access_key_id", "aws_access_key_id", "anonymous", "skip_signature"]
            .iter()
            .any(|key| options.get(key).is_some())
            || [
                "AWS_ACCESS_KEY_ID",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_SKIP_SIGNATURE",
            ]
            .iter()
            .any(|name| environment(name).is_some());
    if has_others && !asked {
        return Ok(None);
    }
    let home = environment("HOME").or_else(|| environment("USERPROFILE"));
    let file = options
        .get("credentials_file")
        .map(str::to_owned)
        .or_else(|| environment("AWS_SHARED_CREDENTIALS_FILE"))
        .map(PathBuf::from)
        .or_else(|| home.map(|home| PathBuf::from(home).join(".aws").join("credentials")));
    let profile = options.get("profile").map(str::to_owned).or_else(|| environment("AWS_PROFILE"));
    let is_named = profile.is_some();
    let Some(file) = file else { return Ok(None) };
    let file = ProfileFile { file, profile: profile.unwrap_or_else(|| "default".to_owned()) };
    match file.read() {
        Ok(_) => Ok(Some(Arc::new(file))),
        // Nobody asked: the cloud's own identity may do.
        Err(_) if !asked && !is_named => Ok(None),
        Err(error) => Err(error),
    }
}

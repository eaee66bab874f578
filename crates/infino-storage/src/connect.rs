//! A store from a URI.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::folder::FolderStore;
use crate::local::LocalStore;
use crate::memory::MemoryStore;
use crate::{StorageError, Store, StoreOptions};

/// Which cloud, and what of it.
pub(crate) enum Bucket<'a> {
    /// S3 or something that speaks its protocol.
    S3 { bucket: &'a str },
    /// An Azure Blob Storage container; `host` is the account's, when the URI names it.
    Azure { container: &'a str, host: Option<&'a str> },
    /// A Google Cloud Storage bucket.
    Google { bucket: &'a str },
}

/// Opens the store that `uri` names.
///
/// | URI | store |
/// |---|---|
/// | `path`, `file:///path` | a directory of this machine, made by the first write |
/// | `memory://name` | memory of this process; the same name finds the same objects until the process ends |
/// | `memory://` | memory that only this handle reaches |
/// | `s3://bucket/prefix` | S3, or with the option `endpoint` what speaks its protocol |
/// | `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix` | Azure Blob Storage |
/// | `gs://bucket/prefix` | Google Cloud Storage |
///
/// Nothing is sent over a network yet: wrong credentials or a missing bucket show in the first operation.
///
/// # Errors
/// `Invalid` if the URI or an option cannot be used; for a directory, `Denied` if it cannot be read.
pub fn connect(uri: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StorageError> {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return local(uri, Path::new(uri), options);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => local(uri, &file_path(uri)?, options),
        "memory" => memory(rest, options),
        "s3" => {
            let (bucket, prefix) = split_bucket(uri, rest)?;
            remote(&Bucket::S3 { bucket }, format!("s3://{bucket}"), prefix, options)
        }
        "gs" => {
            let (bucket, prefix) = split_bucket(uri, rest)?;
            remote(&Bucket::Google { bucket }, format!("gs://{bucket}"), prefix, options)
        }
        "az" => {
            let (container, prefix) = split_bucket(uri, rest)?;
            let bucket = Bucket::Azure { container, host: None };
            remote(&bucket, format!("az://{container}"), prefix, options)
        }
        "abfss" => {
            let (authority, prefix) = split_bucket(uri, rest)?;
            let (container, host) = authority.split_once('@').ok_or_else(|| {
                invalid(uri, "write abfss://container@account.dfs.core.windows.net/prefix")
            })?;
            let bucket = Bucket::Azure { container, host: Some(host) };
            remote(&bucket, format!("abfss://{authority}"), prefix, options)
        }
        other => Err(invalid(
            uri,
            &format!(
                "the scheme {other:?} is not known; use a path, file://, memory://, s3://, az://, abfss:// or gs://"
            ),
        )),
    }
}

fn invalid(uri: &str, problem: &str) -> StorageError {
    StorageError::Invalid { problem: format!("{uri:?} cannot be used as a store: {problem}") }
}

fn local(
    uri: &str,
    directory: &Path,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, StorageError> {
    if uri.is_empty() {
        return Err(invalid(uri, "it is empty; name a directory, or give a URI"));
    }
    Ok(Arc::new(LocalStore::open(directory, options)?))
}

fn file_path(uri: &str) -> Result<PathBuf, StorageError> {
    let parsed = url::Url::parse(uri).map_err(|e| invalid(uri, &e.to_string()))?;
    parsed
        .to_file_path()
        .map_err(|()| invalid(uri, "write file:///absolute/path, with three slashes"))
}

fn memory(rest: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StorageError> {
    options.expect_none_for_backend("memory")?;
    let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let whole: Arc<dyn Store> = match name {
        "" => Arc::new(MemoryStore::new()),
        name => MemoryStore::named(name),
    };
    in_folder(whole, folder)
}

fn split_bucket<'a>(uri: &str, rest: &'a str) -> Result<(&'a str, &'a str), StorageError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(invalid(uri, "it names no bucket or container"));
    }
    Ok((bucket, prefix))
}

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
fn remote(
    bucket: &Bucket<'_>,
    uri: String,
    prefix: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, StorageError> {
    in_folder(Arc::new(crate::object::connect(bucket, uri, options)?), prefix)
}

#[cfg(not(any(feature = "aws", feature = "azure", feature = "gcp")))]
fn remote(
    bucket: &Bucket<'_>,
    _: String,
    _: &str,
    _: &StoreOptions,
) -> Result<Arc<dyn Store>, StorageError> {
    match bucket {
        Bucket::S3 { .. } => left_out("S3", "aws"),
        Bucket::Azure { .. } => left_out("Azure", "azure"),
        Bucket::Google { .. } => left_out("Google Cloud Storage", "gcp"),
    }
}

#[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
pub(crate) fn left_out<T>(backend: &str, feature: &str) -> Result<T, StorageError> {
    Err(StorageError::Invalid {
        problem: format!(
            "this build leaves out {backend}; build infino-storage with the feature {feature:?}"
        ),
    })
}

fn in_folder(whole: Arc<dyn Store>, folder: &str) -> Result<Arc<dyn Store>, StorageError> {
    if folder.trim_matches('/').is_empty() {
        return Ok(whole);
    }
    Ok(Arc::new(FolderStore::new(whole, folder)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(uri: &str, options: StoreOptions, expected: &str) {
        let error = connect(uri, &options.without_environment()).unwrap_err();
        assert!(matches!(error, StorageError::Invalid { .. }), "{uri}: {error:?}");
        assert!(error.to_string().contains(expected), "{uri}: {error}");
    }

    #[test]
    fn uris_and_options_that_cannot_be_used_say_what_can() {
        check_refused("ftp://host/x", StoreOptions::new(), "s3://");
        check_refused("", StoreOptions::new(), "empty");
        check_refused("s3:///x", StoreOptions::new(), "no bucket");
        check_refused("file://relative/x", StoreOptions::new(), "file:///");
        check_refused("abfss://container/x", StoreOptions::new(), "abfss://container@account");
        check_refused("s3://b/../x", StoreOptions::new(), "'..'");
        check_refused("s3://b", StoreOptions::new().with("colour", "red"), "colour");
        check_refused("memory://", StoreOptions::new().with("region", "x"), "region");
        check_refused("s3://b", StoreOptions::new().with("concurrency", "0"), "concurrency");
    }

    #[test]
    fn uris_name_their_stores() {
        for (uri, shown) in [
            ("memory://", "memory://"),
            ("memory://n/tables", "memory://n/tables"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("gs://bucket", "gs://bucket"),
            ("az://container/p", "az://container/p"),
            ("abfss://c@acc.dfs.core.windows.net/p", "abfss://c@acc.dfs.core.windows.net/p"),
        ] {
            let options = StoreOptions::new().without_environment();
            let options =
                if uri.starts_with("az") { options.with("account_name", "acc") } else { options };
            let store = connect(uri, &options).unwrap_or_else(|e| panic!("{uri}: {e}"));
            assert_eq!(store.uri(), shown);
        }
    }

    #[tokio::test]
    async fn a_memory_name_finds_the_same_objects() {
        let put = connect("memory://same/x", &StoreOptions::new()).unwrap();
        put.put("o", "bytes".into()).await.unwrap();
        let get = connect("memory://same", &StoreOptions::new()).unwrap();
        assert_eq!(get.get("x/o").await.unwrap().0, "bytes");
        let other = connect("memory://", &StoreOptions::new()).unwrap();
        assert!(other.list("").await.unwrap().is_empty());
    }
}

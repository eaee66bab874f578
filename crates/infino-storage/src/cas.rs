//! Compare-and-swap in each cloud's own words.
//!
//! S3 and Azure compare ETags (`If-Match`), Google compares generations (`x-goog-if-generation-match`), though its reads
//! still take ETags. A [`Tag`] holds whichever the backend needs.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutResult, UpdateVersion};

use crate::Tag;

/// What a backend compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The ETag.
    Etag,
    /// The generation; a tag is that and the ETag, between them a `/`.
    Generation,
}

impl Condition {
    /// The tag of an object with this ETag and version; `None` if the one that counts is not there.
    pub(crate) fn tag(self, etag: Option<&str>, version: Option<&str>) -> Option<Tag> {
        match self {
            Self::Etag => etag.map(|etag| Tag(etag.to_owned())),
            Self::Generation => {
                version.map(|version| Tag(format!("{version}/{}", etag.unwrap_or_default())))
            }
        }
    }

    /// The ETag in `tag`, for a conditional read.
    pub(crate) fn etag(self, tag: &Tag) -> Option<&str> {
        let etag = match self {
            Self::Etag => &tag.0,
            Self::Generation => tag.0.split_once('/')?.1,
        };
        (!etag.is_empty()).then_some(etag)
    }

    /// What a reply must bring.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Etag => "an ETag",
            Self::Generation => "a generation",
        }
    }

    fn mode(self, expected: Option<&Tag>) -> PutMode {
        let Some(tag) = expected else { return PutMode::Create };
        PutMode::Update(match self {
            Self::Etag => UpdateVersion { e_tag: Some(tag.0.clone()), version: None },
            Self::Generation => UpdateVersion {
                e_tag: None,
                version: Some(tag.0.split('/').next().unwrap_or_default().to_owned()),
            },
        })
    }
}

/// One conditional write, sent once if `store` does not retry.
pub(crate) async fn put(
    store: &dyn ObjectStore,
    location: &Path,
    condition: &Condition,
    expected: Option<&Tag>,
    bytes: Bytes,
) -> object_store::Result<PutResult> {
    let mode = condition.mode(expected);
    store.put_opts(location, bytes.into(), mode.into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_carry_what_the_backend_compares() {
        let tag = Condition::Etag.tag(Some("\"a/b\""), Some("7")).unwrap();
        assert_eq!(Condition::Etag.etag(&tag), Some("\"a/b\""));
        assert_eq!(Condition::Etag.tag(None, Some("7")), None);

        let tag = Condition::Generation.tag(Some("\"a/b\""), Some("7")).unwrap();
        assert_eq!(Condition::Generation.etag(&tag), Some("\"a/b\""));
        let PutMode::Update(version) = Condition::Generation.mode(Some(&tag)) else { panic!() };
        assert_eq!((version.e_tag, version.version.as_deref()), (None, Some("7")));
        assert_eq!(Condition::Generation.tag(Some("x"), None), None);
    }
}

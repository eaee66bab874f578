//! Buckets in memory: what the server holds.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use crate::auth::sha256;

/// Least size of a part that is not the last.
const PART_BYTES_MIN: usize = 5 << 20;

/// One version of an object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    /// With its quotes. It depends on the bytes alone, and on the parts they came in.
    pub(crate) etag: String,
    pub(crate) modified: SystemTime,
    /// Counts writes: Google's way of telling versions apart.
    pub(crate) generation: u64,
}

impl Object {
    pub(crate) fn new(bytes: Bytes) -> Self {
        let etag = etag(&bytes);
        Self { bytes, etag, modified: SystemTime::now(), generation: 0 }
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &sha256(bytes)[..32])
}

/// An upload in parts that is not yet complete.
#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    parts: BTreeMap<u32, Object>,
}

/// Why an upload cannot be completed, as S3 names it.
pub(crate) type UploadError = (u16, &'static str);

/// All buckets and all open uploads.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    buckets: BTreeMap<String, BTreeMap<String, Object>>,
    uploads: HashMap<String, Upload>,
    uploads_begun: u64,
    writes: u64,
}

/// One page of a listing.
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Object)>,
    /// Folders that stand for the objects in them.
    pub(crate) prefixes: Vec<String>,
    /// The name to go on after, if there is more.
    pub(crate) next: Option<String>,
}

impl Objects {
    pub(crate) fn create_bucket(&mut self, bucket: &str) {
        self.buckets.entry(bucket.to_owned()).or_default();
    }

    pub(crate) fn has_bucket(&self, bucket: &str) -> bool {
        self.buckets.contains_key(bucket)
    }

    pub(crate) fn get(&self, bucket: &str, key: &str) -> Option<&Object> {
        self.buckets.get(bucket)?.get(key)
    }

    /// Stores an object and returns its generation.
    pub(crate) fn put(&mut self, bucket: &str, key: &str, object: Object) -> u64 {
        self.writes += 1;
        let generation = self.writes;
        if let Some(objects) = self.buckets.get_mut(bucket) {
            objects.insert(key.to_owned(), Object { generation, ..object });
        }
        generation
    }

    pub(crate) fn delete(&mut self, bucket: &str, key: &str) {
        if let Some(objects) = self.buckets.get_mut(bucket) {
            objects.remove(key);
        }
    }

    /// The objects after `after` whose names begin with `prefix`, at most `most`, folders at `delimiter` counted as one.
    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: &str,
        after: &str,
        most: usize,
    ) -> Page {
        let mut page = Page { objects: Vec::new(), prefixes: Vec::new(), next: None };
        let Some(objects) = self.buckets.get(bucket) else { return page };
        let start = match after >= prefix && !after.is_empty() {
            true => Bound::Excluded(after),
            false => Bound::Included(prefix),
        };
        let mut last = String::new();
        for (key, object) in objects.range::<str, _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            let folder = match delimiter {
                "" => None,
                _ => key[prefix.len()..]
                    .find(delimiter)
                    .map(|at| &key[..prefix.len() + at + delimiter.len()]),
            };
            // A folder that was given already, here or on the page before.
            if folder.is_some_and(|folder| {
                after.starts_with(folder) || page.prefixes.last().is_some_and(|last| last == folder)
            }) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == most {
                page.next = Some(last);
                break;
            }
            match folder {
                Some(folder) => {
                    page.prefixes.push(folder.to_owned());
                    // Every name in the folder sorts below this one.
                    last = format!("{folder}\u{10ffff}");
                }
                None => {
                    page.objects.push((key.clone(), object.clone()));
                    last.clone_from(key);
                }
            }
        }
        page
    }

    pub(crate) fn begin_upload(&mut self, bucket: &str, key: &str) -> String {
        self.uploads_begun += 1;
        let id = format!("upload-{}", self.uploads_begun);
        let upload =
            Upload { bucket: bucket.to_owned(), key: key.to_owned(), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// Stores a part and returns its ETag; `None` if there is no such upload of that object.
    pub(crate) fn put_part(
        &mut self,
        (bucket, key): (&str, &str),
        id: &str,
        number: u32,
        bytes: Bytes,
    ) -> Option<String> {
        let upload = self.uploads.get_mut(id)?;
        if upload.bucket != bucket || upload.key != key {
            return None;
        }
        let part = Object::new(bytes);
        let etag = part.etag.clone();
        upload.parts.insert(number, part);
        Some(etag)
    }

    /// The object that the listed parts make. The upload stays until it is ended.
    pub(crate) fn assemble(
        &self,
        (bucket, key): (&str, &str),
        id: &str,
        listed: &[(u32, String)],
    ) -> Result<Object, UploadError> {
        let upload = self.uploads.get(id).filter(|it| it.bucket == bucket && it.key == key);
        let upload = upload.ok_or((404, "NoSuchUpload"))?;
        if listed.is_empty() {
            return Err((400, "MalformedXML"));
        }
        if !listed.is_sorted_by(|a, b| a.0 < b.0) {
            return Err((400, "InvalidPartOrder"));
        }
        let (mut bytes, mut etags) = (BytesMut::new(), String::new());
        for (at, (number, etag)) in listed.iter().enumerate() {
            let part = upload.parts.get(number).filter(|part| part.etag == *etag);
            let part = part.ok_or((400, "InvalidPart"))?;
            if at + 1 < listed.len() && part.bytes.len() < PART_BYTES_MIN {
                return Err((400, "EntityTooSmall"));
            }
            bytes.extend_from_slice(&part.bytes);
            etags.push_str(&part.etag);
        }
        let etag = format!("\"{}-{}\"", &sha256(etags.as_bytes())[..32], listed.len());
        Ok(Object { etag, ..Object::new(bytes.freeze()) })
    }

    /// Forgets an upload and its parts; `false` if there is none.
    pub(crate) fn end_upload(&mut self, id: &str) -> bool {
        self.uploads.remove(id).is_some()
    }

    pub(crate) fn uploads_open(&self) -> usize {
        self.uploads.len()
    }
}

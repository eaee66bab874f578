//! The S3 operations: a request in, an answer out.

use std::time::Duration;

use bytes::Bytes;

use crate::escape::{elements, percent_decode, query_pairs, un_xml, xml};
use crate::fault::Flaw;
use crate::http::{Request, Response};
use crate::objects::{Object, Page};
use crate::server::Shared;
use crate::{auth, date};

/// Names in a page of a listing.
const PAGE_MAX: usize = 1000;

/// Answers a request, once: whatever becomes of the answer, what it asked for has happened.
pub(crate) async fn answer(shared: &Shared, request: &Request) -> Response {
    let mut response = match auth::check(request, &shared.credentials, shared.is_public) {
        Err(denied) => denied,
        Ok(()) => match Target::of(request) {
            None => Response::error(400, "InvalidURI", "The path or query cannot be read"),
            Some(target) => dispatch(shared, request, &target).await,
        },
    };
    if request.method == "HEAD" {
        response.len = Some(response.body.len());
        response.body = Bytes::new();
    }
    response.with("x-amz-request-id", "0")
}

/// What a request is about.
struct Target {
    bucket: String,
    key: String,
    query: Vec<(String, String)>,
}

impl Target {
    fn of(request: &Request) -> Option<Self> {
        let path = percent_decode(request.path().strip_prefix('/')?)?;
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let query = query_pairs(request.query());
        Some(Self { bucket: bucket.to_owned(), key: key.to_owned(), query })
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn object(&self) -> (&str, &str) {
        (&self.bucket, &self.key)
    }
}

async fn dispatch(shared: &Shared, request: &Request, target: &Target) -> Response {
    let method = request.method.as_str();
    if target.key.is_empty() && method == "PUT" {
        shared.objects().create_bucket(&target.bucket);
        return Response::new(200);
    }
    if !shared.objects().has_bucket(&target.bucket) {
        return Response::error(404, "NoSuchBucket", "The specified bucket does not exist");
    }
    let upload = target.query("uploadId");
    match (method, target.key.is_empty()) {
        ("HEAD", true) => Response::new(200),
        ("GET", true) => list(shared, target),
        ("POST", true) if target.query("delete").is_some() => delete_many(shared, request, target),
        ("GET" | "HEAD", false) => get(shared, request, target),
        ("PUT", false) if upload.is_some() => put_part(shared, request, target),
        ("PUT", false) => {
            write(shared, request, target, |_| Ok(Object::new(request.body.clone()))).await
        }
        ("POST", false) if target.query("uploads").is_some() => begin_upload(shared, target),
        ("POST", false) if upload.is_some() => complete_upload(shared, request, target).await,
        ("DELETE", false) if upload.is_some() => {
            match shared.objects().end_upload(upload.unwrap_or_default()) {
                true => Response::new(204),
                false => Response::error(404, "NoSuchUpload", "There is no such upload"),
            }
        }
        ("DELETE", false) => {
            shared.objects().delete(&target.bucket, &target.key);
            Response::new(204)
        }
        _ => Response::error(405, "MethodNotAllowed", "This server does not know the operation"),
    }
}

/// Writes an object if the request's condition holds. Check and write are one step, unless the server is flawed.
async fn write(
    shared: &Shared,
    request: &Request,
    target: &Target,
    make: impl Fn(&crate::objects::Objects) -> Result<Object, Response>,
) -> Response {
    if shared.flaw() == Flaw::ChecksThenWrites {
        if let Err(refused) = condition(shared.objects().get(&target.bucket, &target.key), request)
        {
            return refused;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut objects = shared.objects();
    if matches!(shared.flaw(), Flaw::None | Flaw::IgnoresRanges)
        && let Err(refused) = condition(objects.get(&target.bucket, &target.key), request)
    {
        return refused;
    }
    let object = match make(&objects) {
        Ok(object) => object,
        Err(refused) => return refused,
    };
    let etag = object.etag.clone();
    let generation = objects.put(&target.bucket, &target.key, object);
    if let Some(id) = target.query("uploadId") {
        objects.end_upload(id);
    }
    Response::new(200).with("etag", etag).with("x-goog-generation", generation.to_string())
}

/// Whether the condition of a write holds for what is there.
fn condition(found: Option<&Object>, request: &Request) -> Result<(), Response> {
    let failed = || Response::error(412, "PreconditionFailed", "A condition did not hold");
    if request.header("if-none-match").is_some() && found.is_some() {
        return Err(failed());
    }
    if let Some(generation) = request.header("x-goog-if-generation-match") {
        let found = found.map_or(0, |object| object.generation);
        return if generation == found.to_string() { Ok(()) } else { Err(failed()) };
    }
    match (request.header("if-match"), found) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(no_such_key()),
        (Some(etag), Some(object)) if etag == "*" || etag == object.etag => Ok(()),
        (Some(_), Some(_)) => Err(failed()),
    }
}

fn no_such_key() -> Response {
    Response::error(404, "NoSuchKey", "The specified key does not exist.")
}

fn get(shared: &Shared, request: &Request, target: &Target) -> Response {
    let Some(object) = shared.objects().get(&target.bucket, &target.key).cloned() else {
        return no_such_key();
    };
    let described = |status| {
        Response::new(status)
            .with("etag", object.etag.clone())
            .with("x-goog-generation", object.generation.to_string())
            .with("last-modified", date::http(object.modified))
            .with("accept-ranges", "bytes")
            .with("content-type", "application/octet-stream")
    };
    if request.header("if-match").is_some_and(|etag| etag != "*" && etag != object.etag) {
        return Response::error(412, "PreconditionFailed", "A condition did not hold");
    }
    if request.header("if-none-match").is_some_and(|etag| etag == "*" || etag == object.etag) {
        return described(304);
    }
    let len = object.bytes.len() as u64;
    let range = request.header("range").filter(|_| shared.flaw() != Flaw::IgnoresRanges);
    match range.and_then(|range| parse_range(range, len)) {
        None => described(200).body(object.bytes.clone()),
        Some(range) if range.start >= range.end => {
            Response::error(416, "InvalidRange", "The requested range is not satisfiable")
        }
        Some(range) => described(206)
            .with("content-range", format!("bytes {}-{}/{len}", range.start, range.end - 1))
            .body(object.bytes.slice(range.start as usize..range.end as usize)),
    }
}

/// The bytes a `range` header asks for, none of them if they lie past the end; `None` if it is not one range.
fn parse_range(header: &str, len: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some(len - last.parse::<u64>().ok()?.min(len)..len);
    }
    let start = first.parse().ok()?;
    let end = match last {
        "" => len,
        last => last.parse::<u64>().ok()?.checked_add(1)?.min(len),
    };
    Some(start..end)
}

fn begin_upload(shared: &Shared, target: &Target) -> Response {
    let id = shared.objects().begin_upload(&target.bucket, &target.key);
    document(
        "InitiateMultipartUploadResult",
        &format!(
            "<Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>",
            xml(&target.bucket),
            xml(&target.key)
        ),
    )
}

fn put_part(shared: &Shared, request: &Request, target: &Target) -> Response {
    let id = target.query("uploadId").unwrap_or_default();
    let number = target.query("partNumber").and_then(|text| text.parse::<u32>().ok());
    let Some(number) = number.filter(|number| (1..=10_000).contains(number)) else {
        return Response::error(400, "InvalidArgument", "Part numbers go from 1 to 10000");
    };
    let body = request.body.clone();
    match shared.objects().put_part(target.object(), id, number, body) {
        Some(etag) => Response::new(200).with("etag", etag),
        None => Response::error(404, "NoSuchUpload", "There is no such upload"),
    }
}

async fn complete_upload(shared: &Shared, request: &Request, target: &Target) -> Response {
    let body = String::from_utf8_lossy(&request.body);
    let numbers = elements(&body, "PartNumber").into_iter().map(|text| text.trim().parse::<u32>());
    let etags = elements(&body, "ETag").into_iter().map(|text| un_xml(text.trim()));
    let listed: Result<Vec<_>, _> =
        numbers.zip(etags).map(|(number, etag)| number.map(|number| (number, etag))).collect();
    let Ok(listed) = listed else {
        return Response::error(400, "MalformedXML", "A part number cannot be read");
    };
    let id = target.query("uploadId").unwrap_or_default();
    let written = write(shared, request, target, |objects| {
        objects.assemble(target.object(), id, &listed).map_err(|(status, code)| {
            Response::error(status, code, "The upload cannot be completed")
        })
    })
    .await;
    if written.status != 200 {
        return written;
    }
    let header = |name| {
        let header = written.headers.iter().find(|(key, _)| *key == name);
        header.map_or("", |(_, value)| value.as_str())
    };
    document(
        "CompleteMultipartUploadResult",
        &format!(
            "<Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag>",
            xml(&target.bucket),
            xml(&target.key),
            xml(header("etag"))
        ),
    )
    .with("x-goog-generation", header("x-goog-generation"))
}

fn delete_many(shared: &Shared, request: &Request, target: &Target) -> Response {
    let body = String::from_utf8_lossy(&request.body);
    let mut deleted = String::new();
    for key in elements(&body, "Key") {
        shared.objects().delete(&target.bucket, &un_xml(key));
        deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
    }
    document("DeleteResult", &deleted)
}

fn list(shared: &Shared, target: &Target) -> Response {
    let get = |name| target.query(name).unwrap_or_default();
    let most = get("max-keys").parse().unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let after = get("start-after").max(get("continuation-token"));
    let (prefix, delimiter) = (get("prefix"), get("delimiter"));
    let Page { objects, prefixes, next } =
        shared.objects().list(&target.bucket, prefix, delimiter, after, most);
    let mut body = format!(
        "<Name>{}</Name><Prefix>{}</Prefix><MaxKeys>{most}</MaxKeys><KeyCount>{}</KeyCount><IsTruncated>{}</IsTruncated>",
        xml(&target.bucket),
        xml(prefix),
        objects.len() + prefixes.len(),
        next.is_some()
    );
    if let Some(next) = next {
        body.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", xml(&next)));
    }
    for (key, object) in objects {
        body.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            xml(&key),
            date::iso(object.modified),
            xml(&object.etag),
            object.bytes.len()
        ));
    }
    for prefix in prefixes {
        body.push_str(&format!(
            "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
            xml(&prefix)
        ));
    }
    document("ListBucketResult", &body)
}

fn document(root: &str, body: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{body}</{root}>"
    );
    Response::new(200).with("content-type", "application/xml").body(body)
}

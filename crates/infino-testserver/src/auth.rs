//! Signatures, version 4, in the `Authorization` header.
//!
//! Algorithm: AWS General Reference, "Create a signed AWS API request".

use ring::{digest, hmac};

use crate::escape::{percent_encode, query_pairs};
use crate::http::{Request, Response};

/// A key pair, and whether it may write.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) writes: bool,
}

/// Accepts a request that one of `known` has signed, and whose body is the one signed; unsigned ones if `is_public`.
pub(crate) fn check(
    request: &Request,
    known: &[Credentials],
    is_public: bool,
) -> Result<(), Response> {
    let denied = |code: &str, message: &str| Err(Response::error(403, code, message));
    match request.header("authorization") {
        // Google's clients, whose tokens only Google can check.
        Some(header) if header.starts_with("Bearer") => return Ok(()),
        None if is_public => return Ok(()),
        _ => {}
    }
    let Some(signed) = request.header("authorization").and_then(Signed::parse) else {
        return denied("AccessDenied", "Access Denied: the request is not signed");
    };
    let Some(credentials) = known.iter().find(|known| known.access_key == signed.access_key) else {
        return denied("InvalidAccessKeyId", "The access key id is not known here");
    };
    if signature(request, &signed, &credentials.secret_key) != signed.signature {
        return denied("SignatureDoesNotMatch", "The signature is not that of the secret key");
    }
    let promised = request.header("x-amz-content-sha256").unwrap_or_default();
    if promised != "UNSIGNED-PAYLOAD" && promised != sha256(&request.body) {
        return Err(Response::error(
            400,
            "XAmzContentSHA256Mismatch",
            "The body is not the one signed",
        ));
    }
    if !credentials.writes && !matches!(request.method.as_str(), "GET" | "HEAD") {
        return denied("AccessDenied", "Access Denied: this key may only read");
    }
    Ok(())
}

struct Signed<'a> {
    access_key: &'a str,
    /// `date/region/service/aws4_request`
    scope: &'a str,
    headers: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let rest = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let (access_key, scope) = field("Credential")?.split_once('/')?;
        let (headers, signature) = (field("SignedHeaders")?, field("Signature")?);
        Some(Self { access_key, scope, headers, signature })
    }
}

fn signature(request: &Request, signed: &Signed<'_>, secret_key: &str) -> String {
    let mut query: Vec<_> = query_pairs(request.query())
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)))
        .collect();
    query.sort_unstable();
    let headers: String = signed
        .headers
        .split(';')
        .map(|name| {
            let values: Vec<_> = request
                .headers
                .iter()
                .filter(|(key, _)| key == name)
                .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        request.path(),
        query.join("&"),
        signed.headers,
        request.header("x-amz-content-sha256").unwrap_or_default(),
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        request.header("x-amz-date").unwrap_or_default(),
        signed.scope,
        sha256(canonical.as_bytes()),
    );
    let secret = format!("AWS4{secret_key}").into_bytes();
    let key = signed.scope.split('/').fold(secret, |key, part| mac(&key, part));
    hex(&mac(&key, &to_sign))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

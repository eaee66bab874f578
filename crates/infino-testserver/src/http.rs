//! HTTP/1.1 on a socket, as much of it as object stores use: whole bodies of known length, connections kept alive.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Longest body of a request: what S3 accepts in one.
const BODY_BYTES_MAX: usize = 5 << 30;

/// A request with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// What `content-length` says if not the length of the body: answers to HEAD.
    pub(crate) len: Option<usize>,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// An S3 error.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        Self::new(status).with("content-type", "application/xml").body(body)
    }

    /// The bytes before the body.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // These two have no body by definition.
        if !matches!(self.status, 204 | 304) {
            let len = self.len.unwrap_or(self.body.len());
            head.push_str(&format!("content-length: {len}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Slow Down",
        _ => "Status",
    }
}

/// A connection, and what was read from it beyond the last request.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, buffer: BytesMut::new() }
    }

    /// The next request, or `None` if the other side has gone. An error cannot be answered.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Request>> {
        let Some((head_len, mut request)) = self.read_head().await? else { return Ok(None) };
        self.buffer.advance(head_len);
        if request.header("transfer-encoding").is_some() {
            return Err(io::Error::other("bodies in chunks are not read"));
        }
        let len = match request.header("content-length") {
            None => 0,
            Some(text) => text.parse::<usize>().map_err(io::Error::other)?,
        };
        if len > BODY_BYTES_MAX {
            return Err(io::Error::other("the body is too long"));
        }
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while self.buffer.len() < len {
            self.buffer.reserve((len - self.buffer.len()).min(1 << 20));
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        request.body = self.buffer.split_to(len).freeze();
        Ok(Some(request))
    }

    async fn read_head(&mut self) -> io::Result<Option<(usize, Request)>> {
        loop {
            if let Some(parsed) = parse_head(&self.buffer)? {
                return Ok(Some(parsed));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head is too long"));
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) async fn write(&mut self, response: &Response) -> io::Result<()> {
        let head = response.head();
        if response.body.len() < 4096 {
            // One packet, rather than two with a delay between.
            let mut whole = head.into_bytes();
            whole.extend_from_slice(&response.body);
            return self.socket.write_all(&whole).await;
        }
        self.socket.write_all(head.as_bytes()).await?;
        self.socket.write_all(&response.body).await
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, Request)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = parsed.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
            .collect(),
        body: Bytes::new(),
    };
    Ok(Some((len, request)))
}

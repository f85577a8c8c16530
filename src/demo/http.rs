//! The least HTTP/1.1 client that the walk needs: one request for each connection, answers of moderate size.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// What is sent.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Header fields but for `Host`, `Connection` and `Content-Length`.
    pub fields: Vec<(&'a str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The entity tag.
    pub etag: Option<String>,
    /// The body, or null where there is no JSON.
    pub json: Value,
    /// The body as text, or nothing where it is none.
    pub text: String,
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// [`Error::Internal`] when the server does not answer in HTTP.
pub async fn send(address: SocketAddr, request: &Request<'_>) -> Result<Answer> {
    let Request { method, path, fields, body } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    let failed = |error| Error::internal(format!("{method} {path} failed"), error);
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.write_all(&bytes).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    parse(&answer).ok_or_else(|| Error::bug(format!("{method} {path} was not answered in HTTP")))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let rest = &bytes[end + 4..];
    let chunked = field("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    let body = if chunked { dechunk(rest)? } else { rest.to_vec() };
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let etag = field("etag").map(str::to_owned);
    Some(Answer { status, etag, json, text: String::from_utf8(body).unwrap_or_default() })
}

/// Puts the chunks of RFC 9112, 7.1 together.
fn dechunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let chunk = bytes.get(end + 2..end + 2 + size)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
        bytes = bytes.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart_chunked_or_not() {
        let plain = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
        for bytes in [&plain[..], &chunked[..]] {
            let answer = parse(bytes).unwrap();
            assert_eq!((answer.status, &answer.json["a"]), (200, &Value::from(1)));
        }
        assert_eq!(parse(plain).unwrap().etag.as_deref(), Some("\"v1\""));
        assert!(parse(b"SSH-2.0").is_none());
    }
}

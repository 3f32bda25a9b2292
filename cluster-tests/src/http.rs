//! The few HTTP requests that the harness makes: one connection each, JSON back.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use platform::{Net, TokioNet};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Status code and body of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200 and its like.
    pub status: u16,
    /// The body, if it is JSON; otherwise its text as a JSON string.
    pub body: Value,
}

/// `GET path` at `addr`.
///
/// # Errors
/// Nobody there, no whole answer within `within`, or one that is not HTTP.
pub async fn get(addr: &str, path: &str, within: Duration) -> Result<Answer> {
    request("GET", addr, path, within).await
}

/// `POST path` at `addr`, without a body.
///
/// # Errors
/// As [`get`].
pub async fn post(addr: &str, path: &str, within: Duration) -> Result<Answer> {
    request("POST", addr, path, within).await
}

async fn request(method: &str, addr: &str, path: &str, within: Duration) -> Result<Answer> {
    let answer = timeout(within, exchange(method, addr, path)).await;
    answer
        .unwrap_or_else(|_| bail!("no answer within {} ms", within.as_millis()))
        .with_context(|| format!("{method} http://{addr}{path}"))
}

async fn exchange(method: &str, addr: &str, path: &str) -> Result<Answer> {
    let mut connection = TokioNet.connect(addr).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    connection.writer.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    connection.reader.read_to_end(&mut answer).await?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let text = std::str::from_utf8(answer).context("the answer is not text")?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.context("the answer has no status")?;
    let chunked = lines.any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = if chunked { dechunk(body)? } else { body.to_owned() };
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Ok(Answer { status, body })
}

fn dechunk(mut body: &str) -> Result<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").context("a chunk has no size")?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no size")?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(rest.get(..size).context("a chunk is cut off")?);
        body = rest.get(size + 2..).context("a chunk is cut off")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_either_kind_of_length() {
        let plain = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": 12}").unwrap();
        assert_eq!((plain.status, plain.body["a"].as_u64()), (200, Some(12)));
        let chunked =
            b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n6\r\n\": 12}\r\n0\r\n\r\n";
        let chunked = parse(chunked).unwrap();
        assert_eq!((chunked.status, chunked.body["a"].as_u64()), (503, Some(12)));
        assert_eq!(parse(b"HTTP/1.1 404 x\r\n\r\nnothing").unwrap().body, "nothing");
        assert!(parse(b"220 smtp ready\r\n").is_err());
    }
}

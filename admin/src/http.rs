//! The HTTP views of our nodes: one request a connection, answers of a few kilobytes.

use std::time::Duration;

use anyhow::{Context as _, bail};
use platform::Net;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More than any view has.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Asks for `path` of the node at `addr`; returns the status code and the JSON of the body.
pub(crate) async fn ask(
    net: &dyn Net,
    addr: &str,
    method: &str,
    path: &str,
    timeout: Duration,
) -> anyhow::Result<(u16, Value)> {
    let exchange = async {
        let mut connection = net.connect(addr).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        connection.writer.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        connection.reader.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let what = || format!("no answer to {method} http://{addr}{path}");
    let answer = tokio::time::timeout(timeout, exchange).await.with_context(what)?.with_context(what)?;
    parse(&answer).with_context(|| format!("unreadable answer to {method} http://{addr}{path}"))
}

fn parse(answer: &[u8]) -> anyhow::Result<(u16, Value)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the header")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status code")?;
    let is_chunked =
        head.lines().any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding: chunked"));
    let body = if is_chunked { unchunked(body)? } else { body.to_owned() };
    Ok((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
}

fn unchunked(mut body: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").context("no size of a chunk")?;
        let size = usize::from_str_radix(size.trim(), 16).context("size of a chunk")?;
        if size == 0 {
            return Ok(text);
        }
        let Some(chunk) = rest.get(..size) else { bail!("a chunk of {size} bytes is cut off") };
        text.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_and_chunked_answers_are_read() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": 1}\n";
        assert_eq!(parse(whole).unwrap(), (200, json!({"a": 1})));
        let chunked = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap(), (503, json!({"a": 1})));
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_err());
    }
}

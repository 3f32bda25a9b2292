//! Asking our own HTTP views: one connection a question, small answers, a bound on everything.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use platform::Net;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Answers of ours are far smaller; anything above is not ours.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Status code and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 and its like.
    pub status: u16,
    /// The body as it came.
    pub body: Bytes,
}

impl Answer {
    /// Whether the status is 200.
    pub fn is_ok(&self) -> bool {
        self.status == 200
    }

    /// The body, if it is JSON; otherwise its text as a JSON string.
    pub fn json(&self) -> Value {
        let as_text = |_| Value::String(String::from_utf8_lossy(&self.body).into_owned());
        serde_json::from_slice(&self.body).unwrap_or_else(as_text)
    }

    /// The body as one of the [views](crate::views).
    ///
    /// # Errors
    /// If it is not JSON, or lacks what the view must have.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} http://{addr}{path}: {reason}")]
pub struct AskError {
    /// `GET` or `POST`.
    pub method: Method,
    /// Whom it was for, `host:port`.
    pub addr: String,
    /// With its query.
    pub path: String,
    /// What stopped it.
    #[source]
    pub reason: NoAnswer,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// No whole answer in time.
    #[error("none within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// What came is not HTTP, or the connection ended early.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// Address or path cannot stand in a request.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// The body is longer than any of ours.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// The bound in force.
        limit: usize,
    },
    /// The body ended early.
    #[error("its body is cut off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// `GET path` at `addr`, `host:port`.
///
/// # Errors
/// Nobody there, no whole answer within `within`, or one that is not HTTP. Any status is an answer.
pub async fn get(net: &dyn Net, addr: &str, path: &str, within: Duration) -> Result<Answer, AskError> {
    ask(net, Method::GET, addr, path, within).await
}

/// `POST path` at `addr`, `host:port`, without a body.
///
/// # Errors
/// As [`get`].
pub async fn post(net: &dyn Net, addr: &str, path: &str, within: Duration) -> Result<Answer, AskError> {
    ask(net, Method::POST, addr, path, within).await
}

async fn ask(
    net: &dyn Net,
    method: Method,
    addr: &str,
    path: &str,
    within: Duration,
) -> Result<Answer, AskError> {
    let answered = tokio::time::timeout(within, exchange(net, method.clone(), addr, path)).await;
    let answered = answered.unwrap_or(Err(NoAnswer::Timeout(within)));
    answered.map_err(|reason| AskError { method, addr: addr.to_owned(), path: path.to_owned(), reason })
}

async fn exchange(net: &dyn Net, method: Method, addr: &str, path: &str) -> Result<Answer, NoAnswer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, addr)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let socket = net.connect(addr).await.map_err(NoAnswer::Connect)?;
    let socket = TokioIo::new(tokio::io::join(socket.reader, socket.writer));
    let (mut sender, connection) = http1::handshake(socket).await?;
    let answered = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => NoAnswer::TooLong { limit: ANSWER_BYTES_MAX },
            None => NoAnswer::Body(error),
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    };
    tokio::pin!(answered);
    tokio::select! {
        biased;
        answer = &mut answered => answer,
        // What the connection had to say is on its way to the answer, its failure included.
        _ = connection => answered.await,
    }
}

#[cfg(test)]
mod tests {
    use platform::TokioNet;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// Answers one request with these bytes and closes; returns what it was asked.
    async fn asked(answer: &'static str) -> (Result<Answer, AskError>, String) {
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        let served = async {
            let mut socket = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.reader.read_u8().await.unwrap());
            }
            let _ = socket.writer.write_all(answer.as_bytes()).await; // some askers leave early
            String::from_utf8(request).unwrap()
        };
        tokio::join!(post(&TokioNet, &addr, "/leader/transfer?to=n1", LONG), served)
    }

    #[tokio::test]
    async fn whole_and_chunked_answers_are_read_whatever_their_status() {
        for (answer, status, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}", 200, json!({"a": 1})),
            ("HTTP/1.0 200 OK\r\n\r\n{\"a\":\n1}", 200, json!({"a": 1})),
            (
                "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n",
                503,
                json!({"a": 1}),
            ),
            ("HTTP/1.1 404 x\r\ncontent-length: 7\r\n\r\nnothing", 404, json!("nothing")),
        ] {
            let (answered, request) = asked(answer).await;
            let answered = answered.unwrap();
            assert_eq!((answered.status, answered.json()), (status, body), "{answer}");
            assert!(request.starts_with("POST /leader/transfer?to=n1 HTTP/1.1\r\n"), "{request}");
        }
    }

    #[tokio::test]
    async fn what_is_not_whole_is_no_answer() {
        for answer in [
            "",
            "220 smtp ready\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"",
            "HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n",
        ] {
            let (answered, _) = asked(answer).await;
            let error = answered.unwrap_err().to_string();
            assert!(error.starts_with("no answer to POST http://127.0.0.1:"), "{answer:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_silent_or_missing_peer_is_given_up_in_time() {
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        let silent = get(&TokioNet, &addr, "/status", Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(silent.reason, NoAnswer::Timeout(_)), "{silent}");
        drop(listener);
        let missing = get(&TokioNet, &addr, "/status", LONG).await.unwrap_err();
        assert!(matches!(missing.reason, NoAnswer::Connect(_)), "{missing}");
    }
}

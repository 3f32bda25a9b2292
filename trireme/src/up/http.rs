//! Just enough HTTP to ask our own nodes a question.

use std::net::SocketAddr;
use std::time::Duration;

use platform::Net;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Answers of ours are far smaller; anything above is not ours.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// The JSON of a `200` answer to `GET path`, and `None` for whatever else happens within `patience`.
pub(crate) async fn get(net: &dyn Net, addr: SocketAddr, path: &str, patience: Duration) -> Option<Value> {
    tokio::time::timeout(patience, ask(net, addr, path)).await.ok()?
}

/// Speaks HTTP/1.0, so that the answer comes in one piece and ends with the connection.
async fn ask(net: &dyn Net, addr: SocketAddr, path: &str) -> Option<Value> {
    let mut connection = net.connect(&addr.to_string()).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n");
    connection.writer.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    connection.reader.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.ok()?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Option<Value> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head_bytes = answer.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD)?;
    let status_line = answer[..head_bytes].split(|byte| *byte == b'\r').next()?;
    let is_ok = status_line.starts_with(b"HTTP/1.") && status_line.get(8..12) == Some(b" 200");
    is_ok.then(|| serde_json::from_slice(&answer[head_bytes + END_OF_HEAD.len()..]).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::TokioNet;
    use std::sync::Arc;

    #[test]
    fn only_a_200_with_json_counts() {
        for (answer, value) in [
            ("HTTP/1.0 200 OK\r\ncontent-type: x\r\n\r\n{\"term\":7}", Some(7)),
            ("HTTP/1.1 200 OK\r\n\r\n{\"term\":8}", Some(8)),
            ("HTTP/1.0 503 No\r\n\r\n{\"term\":7}", None),
            ("HTTP/1.0 200 OK\r\n\r\n{\"term\":", None),
            ("HTTP/1.0 200 OK\r\n", None),
            ("HTTP/1.0 2", None),
            ("\r\n\r\n{}", None),
            ("", None),
        ] {
            let term = parse(answer.as_bytes()).and_then(|value| value["term"].as_u64());
            assert_eq!(term, value, "for {answer:?}");
        }
    }

    #[tokio::test]
    async fn it_asks_and_gives_up_in_time() {
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr();
        let net: Arc<dyn Net> = Arc::new(TokioNet);
        let served = async {
            let mut connection = listener.accept().await.unwrap();
            let mut request = [0; 22];
            connection.reader.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET /leader HTTP/1.0\r\n");
            connection.writer.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"term\":3}").await.unwrap();
        };
        let (value, ()) = tokio::join!(get(&*net, addr, "/leader", Duration::from_secs(5)), served);
        assert_eq!(value.unwrap()["term"], 3);
        assert_eq!(get(&*net, addr, "/leader", Duration::from_millis(20)).await, None, "nobody answers");
    }
}

//! What the HTTP views of name server and broker have in common: serving over the network seam within bounds, JSON
//! answers that end with a line break, because people read them in a terminal, metrics, and a guard against foreign pages.
//! And the other end: one client that asks them, and what they say as types.

mod bounds;
pub mod client;
mod guard;
pub mod metrics;
pub mod views;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use bounds::Bounded;
pub use guard::{Names, own_pages_only};

/// How long to wait after an accept that failed: with all file descriptors in use, the next one fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections at a time. Whoever looks at a node has a few; each costs a file descriptor that clients need.
const CONNECTIONS_MAX: usize = 256;

struct Adapter {
    listener: Box<dyn platform::Listener>,
    free: Arc<Semaphore>,
}

impl axum::serve::Listener for Adapter {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                // One too many is closed: the others must not wait for it, nor it for them.
                Ok(socket) => match Arc::clone(&self.free).try_acquire_owned() {
                    Ok(permit) => {
                        let peer = socket.peer;
                        return (Bounded::new(socket, permit), peer);
                    }
                    Err(_) => {
                        tracing::debug!(peer = %socket.peer, CONNECTIONS_MAX, "too many HTTP connections");
                    }
                },
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.listener.local_addr())
    }
}

/// Serves `views` on `listener` until `shutdown` says true; requests under way are finished. At most 256 connections at
/// a time, none of which stays silent for longer than a minute.
///
/// # Errors
/// If the socket fails for good.
pub async fn serve(
    listener: Box<dyn platform::Listener>,
    views: Router,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let stop = async move {
        // An error says that the sender is gone, which means the same.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    let adapter = Adapter { listener, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    axum::serve(adapter, views).with_graceful_shutdown(stop).await
}

/// `value` as JSON, with a line break behind it.
pub fn json(code: StatusCode, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    (code, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use platform::{Net, TokioNet};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// S22: connections without end took every file descriptor.
    #[tokio::test]
    async fn connections_have_a_bound_and_make_room_again() {
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        let (stop, stopped) = watch::channel(false);
        let views = Router::new().route("/", get(|| async { "here" }));
        let served = tokio::spawn(serve(listener, views, stopped));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            idle.push(TokioNet.connect(&addr).await.unwrap());
        }
        let ask = async || {
            let mut socket = TokioNet.connect(&addr).await?;
            socket.writer.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            let mut answer = String::new();
            socket.reader.read_to_string(&mut answer).await?;
            io::Result::Ok(answer)
        };
        assert!(ask().await.unwrap_or_default().is_empty(), "one too many is closed");
        idle.clear();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !ask().await.unwrap_or_default().ends_with("here") {
            assert!(tokio::time::Instant::now() < deadline, "no room although all are gone");
        }
        stop.send_replace(true);
        served.await.unwrap().unwrap();
    }
}

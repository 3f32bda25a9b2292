//! What the HTTP views of name server and broker have in common: serving over the network seam, and JSON answers
//! that end with a line break, because people read them in a terminal.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// How long to wait after an accept that failed: with all file descriptors in use, the next one fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Socket = tokio::io::Join<Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>>;

struct Adapter(Box<dyn platform::Listener>);

impl axum::serve::Listener for Adapter {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok(socket) => return (tokio::io::join(socket.reader, socket.writer), socket.peer),
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.0.local_addr())
    }
}

/// Serves `views` on `listener` until `shutdown` says true; requests under way are finished.
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
    axum::serve(Adapter(listener), views).with_graceful_shutdown(stop).await
}

/// `value` as JSON, with a line break behind it.
pub fn json(code: StatusCode, value: &Value) -> Response {
    let mut text = value.to_string();
    text.push('\n');
    (code, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

//! What the stories share: handlers, bare sockets, and waiting for a condition until a deadline.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use platform::{Platform, TokioNet};
use protocol::{Command, frame};
use remoting::{Client, ClientConfig, Connection, Handler, Responder, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Long enough for a loaded machine; a story that works never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, and says what it waited for when it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Looks again and again until it sees it.
pub async fn wait_until(what: &str, mut seen: impl FnMut() -> bool) {
    within(what, async {
        while !seen() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Answers by the request code, and counts what it is told.
#[derive(Default)]
pub struct Story {
    pub requests: AtomicUsize,
    pub opened: AtomicUsize,
    pub closed: AtomicUsize,
    /// Responders of requests with code [`HOLD`].
    pub held: Mutex<Vec<(Command, Responder)>>,
}

/// Answered with the same body.
pub const ECHO: i32 = 1;
/// Kept for the story to answer.
pub const HOLD: i32 = 2;
/// Never answered.
pub const IGNORE: i32 = 3;
/// The handler panics.
pub const PANIC: i32 = 4;
/// Answered with as many bytes, in chunks, as the body says in text, by a task of its own.
pub const LONG: i32 = 5;
/// The same, before the handler returns.
pub const LONG_AT_ONCE: i32 = 6;

impl Handler for Story {
    fn on_request(&self, _connection: &Arc<Connection>, request: Command, responder: Responder) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        match request.code {
            ECHO => responder.send(Command::response_to(&request, 0).with_body(request.body.clone())),
            HOLD => self.held.lock().unwrap().push((request, responder)),
            PANIC => panic!("a bug of the handler, made for this story"),
            LONG | LONG_AT_ONCE => {
                let bytes: usize = std::str::from_utf8(&request.body).unwrap().parse().unwrap();
                let chunk = Bytes::from(vec![request.opaque as u8; bytes / 4]);
                let head = Command::response_to(&request, 0).with_body(chunk.clone());
                let chunks = vec![chunk.clone(), chunk.clone(), chunk];
                let reply = remoting::Reply { head, chunks };
                if request.code == LONG_AT_ONCE {
                    responder.send(reply);
                } else {
                    tokio::spawn(async move { responder.send(reply) });
                }
            }
            _ => drop(responder),
        }
    }

    fn on_open(&self, _connection: &Arc<Connection>) {
        self.opened.fetch_add(1, Ordering::SeqCst);
    }

    fn on_close(&self, _connection: &Arc<Connection>) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Story {
    pub fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }

    pub fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Answers what is held, the newest first.
    pub fn release(&self, count: usize) {
        for _ in 0..count {
            let (request, responder) = self.held.lock().unwrap().pop().expect("one is held");
            responder.send(Command::response_to(&request, 0).with_body(request.body.clone()));
        }
    }
}

pub async fn server(config: ServerConfig) -> (Server, Arc<Story>) {
    let story = Arc::new(Story::default());
    let server =
        Server::start(&TokioNet, "127.0.0.1:0".parse().unwrap(), story.clone(), config).await.unwrap();
    (server, story)
}

pub fn client() -> Client {
    Client::new(Platform::os(), ClientConfig::default(), None)
}

pub fn request(code: i32, body: &str) -> Command {
    Command::request(code).with_body(body.to_owned())
}

/// A peer that is only bytes.
pub struct Raw {
    socket: platform::Connection,
    buf: BytesMut,
}

impl Raw {
    pub async fn connect(server: &Server) -> Self {
        let socket = platform::Net::connect(&TokioNet, &server.local_addr().to_string()).await.unwrap();
        Self { socket, buf: BytesMut::new() }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        within("the peer to take bytes", self.socket.writer.write_all(bytes)).await.unwrap();
    }

    /// Writes without minding whether the other end closes meanwhile.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = within("the peer to take bytes", self.socket.writer.write_all(bytes)).await;
    }

    pub async fn send(&mut self, opaque: i32, command: Command) {
        let mut command = command;
        command.opaque = opaque;
        self.write(&command.encode().unwrap()).await;
    }

    /// The next frame; `None` if the other end closed.
    pub async fn read(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = frame::decode(&mut self.buf).unwrap() {
                return Some(command);
            }
            let read = within("a frame or the end", self.socket.reader.read_buf(&mut self.buf)).await;
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

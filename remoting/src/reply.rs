//! The door to whoever understands the requests: [`Handler`], and what it answers with.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{Command, code};

use crate::budget::Permit;
use crate::connection::Connection;
use crate::outbox::Frame;

/// What a server or a client does with the requests of its peers.
pub trait Handler: Send + Sync + 'static {
    /// Takes one request, in the order of arrival on its connection. Runs on the read task: it must not
    /// block, and spawns or queues what takes longer. The answer goes through `responder`, now or later.
    fn on_request(&self, connection: &Arc<Connection>, request: Command, responder: Responder);

    /// A connection is up; no request of it has been seen yet.
    fn on_open(&self, _connection: &Arc<Connection>) {}

    /// The connection is closed; no further request of it will be seen. Called once for each `on_open`.
    fn on_close(&self, _connection: &Arc<Connection>) {}
}

/// A response and the bytes that follow it on the wire.
#[derive(Debug)]
pub struct Reply {
    /// Code, remark, ext fields, and the first part of the body.
    pub head: Command,
    /// The rest of the body, written behind `head.body` without being copied.
    pub chunks: Vec<Bytes>,
}

impl From<Command> for Reply {
    fn from(head: Command) -> Self {
        Self { head, chunks: Vec::new() }
    }
}

/// The right to answer one request, once. Dropped without an answer, there is none.
///
/// It holds the request's share of the connection's in-flight bounds, so one that is kept forever keeps
/// the peer's next requests out in the end.
pub struct Responder {
    connection: Arc<Connection>,
    permit: Permit,
    opaque: i32,
    oneway: bool,
}

impl Responder {
    pub(crate) fn new(connection: &Arc<Connection>, permit: Permit, request: &Command) -> Self {
        Self { connection: connection.clone(), permit, opaque: request.opaque, oneway: request.is_oneway() }
    }

    /// Whether the peer wants no answer; [`send`](Self::send) does nothing then.
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// The number the peer gave its request.
    pub fn opaque(&self) -> i32 {
        self.opaque
    }

    /// Where the request came from.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Queues the answer. Request number and response bit are set here, whatever `reply` says. Does nothing
    /// if the connection is closed or the request was one-way.
    pub fn send(self, reply: impl Into<Reply>) {
        if self.oneway {
            return;
        }
        let mut reply: Reply = reply.into();
        reply.head.opaque = self.opaque;
        reply.head.flag = RESPONSE_FLAG;
        let frame = Frame::encode(&reply.head, reply.chunks).or_else(|error| {
            tracing::error!(connection = self.connection.id(), code = reply.head.code, %error, "reply cannot be sent");
            Frame::encode(&unsendable(reply.head, &error), Vec::new())
        });
        let Ok(mut frame) = frame else {
            self.connection.close(); // the peer must not wait forever
            return;
        };
        let mut permit = self.permit;
        permit.grow(frame.bytes());
        frame.permit = Some(permit);
        self.connection.queue_reply(frame);
    }
}

/// Bit 0 of `flag`: this frame is a response.
const RESPONSE_FLAG: i32 = 1;

/// What the peer gets instead of a reply that does not fit, so that it need not wait for its time-out.
fn unsendable(mut head: Command, error: &protocol::FrameError) -> Command {
    head.code = code::response::SYSTEM_ERROR;
    head.version = protocol::VERSION;
    head.remark = Some(error.to_string());
    head.body = Bytes::new();
    head.ext = protocol::ExtFields::default();
    head
}

//! One request and the way its answer goes back: to a client of this node, or to the node that forwarded it.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::{Command, FieldError, ResponseCode};
use remoting::{Connection, Reply, Responder};
use tokio::sync::oneshot;

use crate::leader::submit::SubmitError;
use crate::stats::rpc_times::Running;

/// Where a request came from.
#[derive(Clone)]
pub struct Origin {
    /// The client's own address, also when another node forwarded its request.
    pub client: SocketAddr,
    /// The client's connection; `None` if another node forwarded its request.
    pub connection: Option<Arc<Connection>>,
}

impl Origin {
    /// A client connected to this node.
    pub fn direct(connection: &Arc<Connection>) -> Self {
        Self { client: connection.peer(), connection: Some(Arc::clone(connection)) }
    }

    /// A client connected to another node.
    pub fn forwarded(client: SocketAddr) -> Self {
        Self { client, connection: None }
    }

    /// Whether another node forwarded it: such a request is never forwarded again.
    pub fn is_forwarded(&self) -> bool {
        self.connection.is_none()
    }
}

/// The way back. Dropped without [`Answer::send`], no reply is written: right for a one-way request only.
pub struct Answer {
    way: Way,
    /// Its time is taken where the client is, so that a forwarded request counts once.
    running: Option<Running>,
}

enum Way {
    /// To a client of this node.
    Client(Responder),
    /// To the node that forwarded the request.
    Peer(oneshot::Sender<Reply>),
}

impl Answer {
    /// To a client of this node.
    pub fn to_client(responder: Responder, running: Running) -> Self {
        Self { way: Way::Client(responder), running: Some(running) }
    }

    /// To the node that forwarded the request.
    pub fn to_peer(sender: oneshot::Sender<Reply>) -> Self {
        Self { way: Way::Peer(sender), running: None }
    }

    /// The request waits for a message, which is told apart when its time is counted.
    pub fn is_held(&mut self) {
        if let Some(running) = &mut self.running {
            running.is_held();
        }
    }

    /// Sends the reply; a one-way request's is dropped on the way.
    pub fn send(self, reply: impl Into<Reply>) {
        let reply = reply.into();
        if let Some(running) = self.running {
            running.ended(reply.head.code);
        }
        match self.way {
            Way::Client(responder) => responder.send(reply),
            // The forwarding node may have given up waiting: then nobody is left to tell.
            Way::Peer(sender) => drop(sender.send(reply)),
        }
    }
}

/// The answer `code` with `remark` to `request`.
pub fn refuse(request: &Command, code: i32, remark: impl Into<String>) -> Command {
    Command::response_to(request, code).with_remark(remark)
}

/// The answer to a request whose header lacks something or cannot be read.
pub fn bad_header(request: &Command, error: &FieldError) -> Command {
    refuse(request, ResponseCode::SYSTEM_ERROR, error.to_string())
}

/// It may or may not have happened. Never a code that clients take for success.
pub fn unknown(request: &Command, reason: &str) -> Command {
    refuse(request, ResponseCode::SYSTEM_ERROR, format!("outcome unknown: {reason}"))
        .with("outcome", "unknown")
}

/// The answer to a request whose change was not committed.
pub fn not_submitted(request: &Command, error: &SubmitError) -> Command {
    if error.is_none() {
        refuse(request, ResponseCode::SERVICE_NOT_AVAILABLE, error.to_string()).with("outcome", "none")
    } else {
        unknown(request, &error.to_string())
    }
}

/// Unwraps a header, or answers that it cannot be read and returns.
macro_rules! header {
    ($header:ty, $request:expr, $answer:expr) => {
        match <$header>::read(&$request) {
            Ok(header) => header,
            Err(error) => return $answer.send($crate::door::exchange::bad_header(&$request, &error)),
        }
    };
}
pub(crate) use header;

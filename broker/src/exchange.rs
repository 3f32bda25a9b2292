//! One request and the way its answer goes back: to a client of this node, or to the node that forwarded it.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::Command;
use remoting::{Connection, Reply, Responder};
use tokio::sync::oneshot;

use crate::rpc_times::Running;

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

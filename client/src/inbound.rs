//! What brokers ask of a client: told to whoever it concerns.

use std::sync::{Arc, OnceLock, Weak};

use protocol::{Command, ResponseCode};
use remoting::{Connection, Handler, Responder};
use tokio::sync::Notify;

/// A consumer that brokers talk to.
pub(crate) trait Inbox: Send + Sync + 'static {
    /// Whether requests with this code are its concern.
    fn wants(&self, code: i32) -> bool;

    /// Takes a request that it wants. Must not block.
    fn take(self: Arc<Self>, request: Command, responder: Responder);
}

/// The handler of one client's connections.
#[derive(Default)]
pub(crate) struct Inbound {
    inbox: OnceLock<Weak<dyn Inbox>>,
    /// Told when a connection has come up: the broker behind it may not know this client.
    pub(crate) opened: Notify,
}

impl Inbound {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on requests go to `inbox`.
    pub(crate) fn deliver_to(&self, inbox: Weak<dyn Inbox>) {
        assert!(self.inbox.set(inbox).is_ok(), "a client has one inbox");
    }
}

impl Handler for Inbound {
    fn on_request(&self, _connection: &Arc<Connection>, request: Command, responder: Responder) {
        if let Some(inbox) =
            self.inbox.get().and_then(Weak::upgrade).filter(|inbox| inbox.wants(request.code))
        {
            return inbox.take(request, responder);
        }
        tracing::debug!(code = request.code, "a broker asked what this client does not do");
        let remark = format!("request type {} not supported", request.code);
        let code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
        responder.send(Command::response_to(&request, code).with_remark(remark));
    }

    fn on_open(&self, _connection: &Arc<Connection>) {
        self.opened.notify_one();
    }
}

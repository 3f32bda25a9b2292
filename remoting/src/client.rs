//! Connections to others: one an address, made when first needed and again when lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use platform::Platform;
use protocol::{Command, code};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::error::{CallError, NotSent};
use crate::registry::Registry;
use crate::reply::{Handler, Responder};
use crate::shared::Shared;

/// Calls other nodes. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    platform: Platform,
    config: ClientConfig,
    handler: Arc<dyn Handler>,
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    /// By address as given. `None` once shut down.
    slots: Mutex<Option<HashMap<String, Slot>>>,
}

/// What is known of the connection to one address.
enum Slot {
    Open(Arc<Connection>),
    /// A task is at it; all who want the connection share its outcome.
    Connecting(watch::Receiver<Option<Result<Arc<Connection>, NotSent>>>),
}

impl Client {
    /// A client without connections. `handler` gets the requests that servers send to us; without one they
    /// are answered with code 3.
    pub fn new(platform: Platform, config: ClientConfig, handler: Option<Arc<dyn Handler>>) -> Self {
        let handler = handler.unwrap_or_else(|| Arc::new(Refuse));
        let inner = Inner {
            platform,
            config,
            handler,
            registry: Arc::default(),
            shared: Arc::new(Shared::of_this_process()),
            slots: Mutex::new(Some(HashMap::new())),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sends a request to `addr` (`host:port`), connecting first if need be, and waits for its response; all
    /// of it within `timeout`. The response's code is the caller's to judge.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, addr: &str, command: Command, timeout: Duration) -> Result<Command, CallError> {
        let deadline = Instant::now() + timeout;
        let connection = match timeout_at(deadline, self.connection(addr)).await {
            Ok(connection) => connection?,
            Err(_) => return Err(not_sent(addr, NotSent::ConnectTimeout(timeout))),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        connection.call(command, left).await.map_err(|error| named(error, addr))
    }

    /// Sends a request that gets no response. On return it is queued on an open connection, not written.
    ///
    /// # Errors
    /// Always [`CallError::NotSent`].
    pub async fn oneway(&self, addr: &str, command: Command) -> Result<(), CallError> {
        self.connection(addr).await?.oneway(command).map_err(|error| named(error, addr))
    }

    /// The open connection to `addr`, made now if there is none.
    ///
    /// # Errors
    /// Always [`CallError::NotSent`].
    pub async fn connection(&self, addr: &str) -> Result<Arc<Connection>, CallError> {
        let mut outcome = match self.look_up(addr) {
            Some(Slot::Open(connection)) => return Ok(connection),
            Some(Slot::Connecting(outcome)) => outcome,
            None => return Err(not_sent(addr, NotSent::Stopped)),
        };
        // An error here: the connecting task was cancelled with its runtime.
        let outcome = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or(Err(NotSent::Stopped)).map_err(|reason| not_sent(addr, reason))
    }

    /// Closes the connection to `addr`, if there is one. The next call makes a new one.
    pub fn close_addr(&self, addr: &str) {
        let slot = self.inner.lock().as_mut().and_then(|slots| slots.remove(addr));
        if let Some(Slot::Open(connection)) = slot {
            connection.close();
        }
    }

    /// Closes all connections and refuses further calls. On return none of its connections' tasks runs.
    pub async fn shutdown(&self) {
        self.inner.lock().take();
        for connection in self.inner.registry.all() {
            connection.close();
        }
        self.inner.registry.empty().await;
    }

    /// What there is for `addr`, starting to connect if there is nothing; `None` if shut down.
    fn look_up(&self, addr: &str) -> Option<Slot> {
        let mut slots = self.inner.lock();
        let slots = slots.as_mut()?;
        match slots.get(addr) {
            Some(Slot::Open(connection)) if connection.is_open() => {
                return Some(Slot::Open(connection.clone()));
            }
            Some(Slot::Connecting(outcome)) => return Some(Slot::Connecting(outcome.clone())),
            Some(Slot::Open(_)) | None => {}
        }
        // A moment when work is done anyway: forget the closed ones, so that addresses do not pile up.
        slots.retain(|_, slot| !matches!(slot, Slot::Open(connection) if connection.is_closed()));
        let (done, outcome) = watch::channel(None);
        slots.insert(addr.to_owned(), Slot::Connecting(outcome.clone()));
        tokio::spawn(self.inner.clone().connect(addr.to_owned(), done));
        Some(Slot::Connecting(outcome))
    }
}

impl Inner {
    /// Connects within the configured time and tells all who wait. A task of its own, because the first who
    /// asked may give up while others still wait.
    async fn connect(
        self: Arc<Self>,
        addr: String,
        done: watch::Sender<Option<Result<Arc<Connection>, NotSent>>>,
    ) {
        let limit = self.config.connect_timeout;
        let socket = match timeout(limit, self.platform.net.connect(&addr)).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(error)) => Err(NotSent::Connect(Arc::new(error))),
            Err(_) => Err(NotSent::ConnectTimeout(limit)),
        };
        let outcome = {
            let mut slots = self.lock();
            match (slots.as_mut(), socket) {
                (None, _) => Err(NotSent::Stopped),
                (Some(slots), Err(reason)) => {
                    slots.remove(&addr);
                    Err(reason)
                }
                (Some(slots), Ok(socket)) => {
                    let handler = self.handler.clone();
                    let connection =
                        self.registry.start(socket, handler, self.config.limits(&self.shared), None);
                    slots.insert(addr, Slot::Open(connection.clone()));
                    Ok(connection)
                }
            }
        };
        done.send_replace(Some(outcome));
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<String, Slot>>> {
        self.slots.lock().expect("nothing panics under this lock")
    }
}

fn not_sent(addr: &str, reason: NotSent) -> CallError {
    CallError::NotSent { addr: addr.to_owned(), reason }
}

/// The address as the caller wrote it says more than the one it resolved to.
fn named(error: CallError, addr: &str) -> CallError {
    let addr = addr.to_owned();
    match error {
        CallError::NotSent { reason, .. } => CallError::NotSent { addr, reason },
        CallError::Unknown { reason, .. } => CallError::Unknown { addr, reason },
    }
}

/// Answers every request with code 3.
struct Refuse;

impl Handler for Refuse {
    fn on_request(&self, _connection: &Arc<Connection>, request: Command, responder: Responder) {
        let remark = format!("request type {} not supported", request.code);
        responder.send(
            Command::response_to(&request, code::response::REQUEST_CODE_NOT_SUPPORTED).with_remark(remark),
        );
    }
}

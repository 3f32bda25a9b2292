//! One connection, of a server or of a client: its state, and sending through it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use protocol::Command;
use tokio::time::{Instant, timeout_at};

use crate::budget::Budget;
use crate::config::Limits;
use crate::error::{CallError, NotSent, Unknown};
use crate::lifecycle::Lifecycle;
use crate::outbox::{Frame, Outbox, Refused};
use crate::pending::{Lost, Pending};

/// Numbers connections from 1, over the whole process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// One established connection. Both ends may send requests over it.
///
/// It lives on as a value after it is closed; nothing goes through it any more then.
pub struct Connection {
    id: u64,
    peer: SocketAddr,
    local: SocketAddr,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) limits: Limits,
    pub(crate) budget: Arc<Budget>,
    pub(crate) outbox: Outbox,
    pub(crate) pending: Pending,
    /// Number of our next request. Its own space: the peer's numbers mean nothing here.
    next_opaque: AtomicI32,
    opened: Instant,
    /// Milliseconds from `opened` to the last write that made progress.
    last_write_ms: AtomicU64,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, limits: Limits) -> Self {
        let lifecycle = Arc::new(Lifecycle::new());
        let budget = Budget::new(
            limits.in_flight_bytes_max,
            limits.in_flight_requests_max,
            limits.shared.clone(),
            lifecycle.clone(),
        );
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            peer,
            local,
            outbox: Outbox::new(limits.outbound_bytes_max, lifecycle.clone()),
            lifecycle,
            budget: Arc::new(budget),
            limits,
            pending: Pending::new(),
            next_opaque: AtomicI32::new(1),
            opened: Instant::now(),
            last_write_ms: AtomicU64::new(0),
        }
    }

    /// Unique in this process, never used again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other end. IPv4 where both ends speak it.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// This end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether requests go through. What it says may be old when you read it.
    pub fn is_open(&self) -> bool {
        self.lifecycle.is_open()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lifecycle.is_closed()
    }

    /// Queues a request that gets no response. On return it is queued, not written.
    ///
    /// # Errors
    /// Always [`CallError::NotSent`]: closed, overloaded, or too large for a frame.
    pub fn oneway(&self, command: Command) -> Result<(), CallError> {
        let command = self.numbered(command.oneway());
        let frame = self.encode(&command)?;
        self.outbox.try_push(&mut Some(frame)).map_err(|refused| self.refused(&refused))
    }

    /// Sends a request and waits for its response, up to `timeout` in all. The request number is set here.
    /// The response's code is the caller's to judge.
    ///
    /// Dropping the future gives the wait up; what is queued then is not sent any more.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, command: Command, timeout: Duration) -> Result<Command, CallError> {
        let command = self.numbered(command);
        let opaque = command.opaque;
        let mut frame = self.encode(&command)?;
        frame.call = Some(opaque);
        let deadline = Instant::now() + timeout;
        let Some(response) = self.pending.register(opaque) else {
            return Err(self.not_sent(NotSent::Closed));
        };
        let mut waiting = Waiting { connection: self, opaque, answered: false };
        match timeout_at(deadline, self.outbox.push_request(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(refused)) => return Err(self.refused(&refused)),
            Err(_) => return Err(self.not_sent(NotSent::Timeout(timeout))),
        }
        match timeout_at(deadline, response).await {
            Ok(Ok(Ok(response))) => {
                waiting.answered = true;
                Ok(response)
            }
            Ok(Ok(Err(Lost::BeforeWriting))) => Err(self.not_sent(NotSent::Closed)),
            Ok(Ok(Err(Lost::AfterWriting)) | Err(_)) => Err(self.unknown(Unknown::Closed)),
            Err(_) if self.outbox.take_back(opaque) => Err(self.not_sent(NotSent::Timeout(timeout))),
            Err(_) => Err(self.unknown(Unknown::Timeout(timeout))),
        }
    }

    /// Closes at once: what is queued is not written, calls that wait fail, the socket goes. May be called
    /// more than once.
    pub fn close(&self) {
        if !self.lifecycle.close() {
            return;
        }
        let left = self.outbox.close();
        let unwritten: Vec<i32> = left.iter().filter_map(|frame| frame.call).collect();
        self.pending.close(&unwritten);
        self.lifecycle.stop_tasks();
    }

    /// Reads no further request, and closes when those in flight are answered and written.
    pub(crate) fn finish(&self) {
        self.lifecycle.finish();
    }

    /// Whether nothing remains to be done before closing. Meant for the write task, between two batches.
    pub(crate) fn is_finished(&self) -> bool {
        self.lifecycle.is_finishing() && self.budget.is_idle() && self.outbox.is_empty()
    }

    /// Whether the peer waits for more answers, or callers of ours for more responses, than frames are queued: others
    /// may be about to queue theirs.
    pub(crate) fn has_more_under_way(&self) -> bool {
        self.budget.requests() + self.pending.len() > self.outbox.len()
    }

    pub(crate) fn queue_reply(&self, frame: Frame) {
        self.outbox.push_reply(frame);
    }

    pub(crate) fn wrote(&self) {
        self.last_write_ms.store(self.opened.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn last_write(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_write_ms.load(Ordering::Relaxed))
    }

    fn numbered(&self, mut command: Command) -> Command {
        command.opaque = self.next_opaque.fetch_add(1, Ordering::Relaxed);
        command
    }

    fn encode(&self, command: &Command) -> Result<Frame, CallError> {
        Frame::encode(command, Vec::new()).map_err(|error| self.not_sent(NotSent::Encode(Arc::new(error))))
    }

    fn refused(&self, refused: &Refused) -> CallError {
        self.not_sent(match *refused {
            Refused::Closed => NotSent::Closed,
            Refused::Full { queued_bytes } => {
                NotSent::Overloaded { queued_bytes, limit_bytes: self.outbox.bytes_max() }
            }
        })
    }

    fn not_sent(&self, reason: NotSent) -> CallError {
        CallError::NotSent { addr: self.peer.to_string(), reason }
    }

    fn unknown(&self, reason: Unknown) -> CallError {
        CallError::Unknown { addr: self.peer.to_string(), reason }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("local", &self.local)
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Ends the wait of a call however its future ends: answered, timed out, or dropped.
struct Waiting<'a> {
    connection: &'a Connection,
    opaque: i32,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.pending.forget(self.opaque);
            self.connection.outbox.take_back(self.opaque);
        }
    }
}

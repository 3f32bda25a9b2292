//! How a call fails, and above all: whether the peer can have seen it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use protocol::FrameError;

/// A request without a response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// No byte of it left this process: trying it elsewhere repeats nothing.
    #[error("request to {addr} was not sent: {reason}")]
    NotSent {
        /// Whom it was for, `host:port`.
        addr: String,
        /// What stopped it.
        #[source]
        reason: NotSent,
    },
    /// It was handed to the socket, at least in part, and no response came. It may have taken effect.
    #[error("outcome of a request to {addr} is unknown: {reason}")]
    Unknown {
        /// Whom it was for, `host:port`.
        addr: String,
        /// Why no response came.
        #[source]
        reason: Unknown,
    },
}

impl CallError {
    /// Whether the peer cannot have seen the request.
    pub fn is_not_sent(&self) -> bool {
        matches!(self, Self::NotSent { .. })
    }

    /// Whom the request was for, `host:port`.
    pub fn addr(&self) -> &str {
        match self {
            Self::NotSent { addr, .. } | Self::Unknown { addr, .. } => addr,
        }
    }
}

/// Why a request never left.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotSent {
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(Arc<io::Error>),
    /// The connection did not come up in time.
    #[error("no connection after {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// Its time was over before its turn to be written.
    #[error("still queued after {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection closed before its turn to be written.
    #[error("connection closed")]
    Closed,
    /// The peer does not take what is queued for it already (only one-way requests; others wait).
    #[error("{queued_bytes} bytes are queued already, of at most {limit_bytes}")]
    Overloaded {
        /// What waits to be written.
        queued_bytes: usize,
        /// The bound in force.
        limit_bytes: usize,
    },
    /// It does not fit in a frame.
    #[error("cannot encode: {0}")]
    Encode(Arc<FrameError>),
    /// The client was shut down.
    #[error("client is shut down")]
    Stopped,
}

/// Why a request that left has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// None came in time.
    #[error("no response after {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection closed first.
    #[error("connection closed")]
    Closed,
}

//! What an operator or a test may set about connections.

use std::sync::Arc;
use std::time::Duration;

use crate::shared::Shared;

/// Bounds of one connection, the same for both ends.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub idle_close: Duration,
    pub frame_within: Duration,
    pub shared: Arc<Shared>,
    pub in_flight_bytes_max: usize,
    pub in_flight_requests_max: usize,
    pub outbound_bytes_max: usize,
}

/// How a [`Server`](crate::Server) treats its connections.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// A connection without traffic in either direction for this long is closed.
    /// RocketMQ: `serverChannelMaxIdleTimeSeconds`, 120.
    pub idle_close: Duration,
    /// A frame whose first byte has come and whose last has not by then closes its connection.
    pub frame_within: Duration,
    /// What its connections and those of other servers may take together.
    pub shared: Arc<Shared>,
    /// More connections than this are closed as soon as they are accepted.
    pub connections_max: usize,
    /// Reading from a connection stops while its unanswered requests and its unwritten replies hold this
    /// many bytes or more. The last frame read may go beyond it.
    pub in_flight_bytes_max: usize,
    /// Reading from a connection stops while this many of its requests are neither answered nor dropped.
    /// A consumer holds one long poll open per queue, so this is not small.
    pub in_flight_requests_max: usize,
    /// Requests of our own to the peer wait, and one-way ones are refused, while this many bytes are queued.
    pub outbound_bytes_max: usize,
    /// How long [`Server::shutdown`](crate::Server::shutdown) lets requests in flight finish.
    pub drain: Duration,
}

/// Long enough for the largest frame over a poor line.
const FRAME_WITHIN: Duration = Duration::from_secs(60);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            idle_close: Duration::from_secs(120),
            frame_within: FRAME_WITHIN,
            shared: Arc::new(Shared::of_this_process()),
            connections_max: 65_536,
            in_flight_bytes_max: 64 << 20,
            in_flight_requests_max: 65_536,
            outbound_bytes_max: 64 << 20,
            drain: Duration::from_millis(500),
        }
    }
}

impl ServerConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            idle_close: self.idle_close,
            frame_within: self.frame_within,
            shared: Arc::clone(&self.shared),
            in_flight_bytes_max: self.in_flight_bytes_max,
            in_flight_requests_max: self.in_flight_requests_max,
            outbound_bytes_max: self.outbound_bytes_max,
        }
    }
}

/// How a [`Client`](crate::Client) treats its connections. One connection an address.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How long a connection may take to come up. RocketMQ: 3 s.
    pub connect_timeout: Duration,
    /// As in [`ServerConfig`].
    pub idle_close: Duration,
    /// As in [`ServerConfig`], for the requests that the server sends to us.
    pub in_flight_bytes_max: usize,
    /// As in [`ServerConfig`], for the requests that the server sends to us.
    pub in_flight_requests_max: usize,
    /// As in [`ServerConfig`].
    pub outbound_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            idle_close: Duration::from_secs(120),
            in_flight_bytes_max: 64 << 20,
            in_flight_requests_max: 65_536,
            outbound_bytes_max: 64 << 20,
        }
    }
}

impl ClientConfig {
    /// `shared` is that of all connections of one client.
    pub(crate) fn limits(&self, shared: &Arc<Shared>) -> Limits {
        Limits {
            idle_close: self.idle_close,
            frame_within: FRAME_WITHIN,
            shared: Arc::clone(shared),
            in_flight_bytes_max: self.in_flight_bytes_max,
            in_flight_requests_max: self.in_flight_requests_max,
            outbound_bytes_max: self.outbound_bytes_max,
        }
    }
}

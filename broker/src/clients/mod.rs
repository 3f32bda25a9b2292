//! The clients of this node: who produces and consumes for which group over which connection.
//!
//! Soft state, learnt from heartbeats and lost at a restart; every client that consumes sends its heartbeats
//! to every node, so that a new leader knows them already. Pure: time is passed in, connections are numbers,
//! and who has to be told of a change is returned rather than told.

#![expect(clippy::needless_pass_by_value, reason = "requests have one signature, `route::Function`")]

mod consumers;
mod producers;
mod pulled;
pub mod relay;
pub mod requests;
pub mod subscription;

use std::net::SocketAddr;

pub use consumers::{ConsumerBeat, ConsumerGroups};
pub use producers::ProducerGroups;
pub use pulled::PullOffsets;

/// Number of a connection on this node.
pub type ConnectionId = u64;

/// One client over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The connection.
    pub connection: ConnectionId,
    /// What the client calls itself; free text.
    pub client_id: String,
    /// Its socket address.
    pub addr: SocketAddr,
    /// Its language by RocketMQ's name.
    pub language: String,
    /// Its version as RocketMQ numbers them.
    pub version: i32,
}

impl ClientInfo {
    /// Language and version in RocketMQ's form for metrics; a version without a name by its number.
    pub fn metric_labels(&self) -> (String, String) {
        let version = protocol::version::name(self.version);
        (self.language.to_lowercase(), version.map_or_else(|| self.version.to_string(), str::to_lowercase))
    }
}

/// A client and when it was heard last (monotonic milliseconds).
#[derive(Clone, Debug)]
struct Member {
    info: ClientInfo,
    heard_ms: u64,
}

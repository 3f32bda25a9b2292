//! Raft over the commitlog: one group of nodes that agree on one log of payloads.
//!
//! [`Node`] is the only door. A payload is bytes that this crate never looks into; what the
//! application makes of a committed one is its [`Apply`]. openraft does the agreeing and is seen in no
//! public signature; the log itself is `store`'s.
//!
//! This crate knows nothing of topics, clients or routes. Calls between the application's own parts on
//! two nodes ([`PeerHandler`]) travel over the same connections, because a node has only one address
//! for its peers.

mod apply;
mod checkpoints;
mod config;
mod error;
mod fence;
mod files;
mod halt;
mod identity;
mod keeper;
mod level;
mod log_store;
mod member;
mod network;
mod node;
mod observer;
mod proposer;
mod run;
mod runtime;
mod state_machine;
#[cfg(test)]
mod suite;
mod told;
mod types;
mod view;
mod waits;
mod watch;

/// Names a node for ever: n0 is 1, n1 is 2, and so on.
pub type NodeId = u64;

/// What operators call a node: `n0` is node 1, and so on. Every text and log line names nodes so.
pub fn node_name(id: NodeId) -> String {
    format!("n{}", id.saturating_sub(1))
}

/// Several of them, for a sentence.
fn node_names<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    ids.into_iter().map(|id| node_name(*id)).collect::<Vec<_>>().join(", ")
}

/// One that may not be known.
fn known_name(id: Option<NodeId>) -> String {
    id.map_or_else(|| "none known".to_owned(), node_name)
}

pub use apply::{Apply, ApplyError, Halt, Reply, WriteSections};
pub use config::{ConfigError, NodeConfig, PeerSecret, Timing};
pub use error::{CallError, ChangeError, ProposeError, ReadIndexError, ShutdownError, StartError};
pub use identity::GroupId;
pub use member::Member;
pub use node::{BoxFuture, Node, PeerHandler, Proposal, ReadIndex, Receipt};
pub use view::{PeerView, Role, View};

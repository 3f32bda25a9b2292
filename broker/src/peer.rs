//! What our nodes ask each other besides Raft: forward a client's request, take a change to the leader.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::tables::{Change, Outcome};

/// A call from one node's broker to another's.
#[derive(Debug, Serialize, Deserialize)]
pub enum PeerRequest {
    /// A client's request that only the leader may answer.
    Forward {
        /// The client's address as the forwarding node sees it.
        client: SocketAddr,
        /// The whole request frame.
        frame: Vec<u8>,
    },
    /// A change to propose, on behalf of the calling node.
    Propose(Change),
    /// Whether the called node leads, as a majority confirms after the call.
    ConfirmLeader,
}

/// The answer to a [`PeerRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub enum PeerResponse {
    /// The reply frame to a forwarded request.
    Frame(Vec<u8>),
    /// A forwarded one-way request has been taken in.
    Taken,
    /// What came of a proposed change.
    Outcome(Outcome),
    /// The called node does not lead either; nothing was proposed.
    NotLeader,
    /// The called node leads; the JSON of `GET /leader`.
    Confirmed(String),
    /// Whether it happened is unknown, or it failed; the text says why.
    Failed(String),
}

/// What a node tells its peers about itself when they connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `n0` and so on.
    pub name: String,
    /// Where clients reach it.
    pub remoting: String,
    /// Where its HTTP views are.
    pub http: String,
}

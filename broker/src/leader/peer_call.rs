//! What our nodes ask each other besides Raft: forward a client's request, take a change to the leader.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Stretch;
use store::codec::{self, Record};

use crate::state::{Change, Outcome};

/// A call from one node's broker to another's.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
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
    /// The bytes of a stretch of the log, as a build of November 2026 asks for them; nobody else does.
    Stretch(Stretch),
    /// What is intact of some entries of the log, for the calling node's own are damaged.
    Entries {
        /// Log index of the first one.
        first_index: u64,
        /// Behind the last one.
        next_index: u64,
    },
}

impl Record for PeerRequest {
    const KIND: u16 = 0x0304;
    const NAME: &'static str = "peer-request";
    const BYTES_MAX: usize = 32 << 20;
}

/// The answer to a [`PeerRequest`].
#[derive(Debug, PartialEq, Serialize, Deserialize)]
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
    /// The bytes of a stretch of the log, as builds of November 2026 asked for; nobody asks any more.
    Stretch(Vec<u8>),
    /// The called node leads and refuses the change, in these words; nothing was proposed. A build that does not know this
    /// answer takes the outcome for unknown, as it took every refusal before.
    Refused(String),
    /// Stored entries of the log, as many as there are intact.
    Entries(Vec<Bytes>),
}

impl Record for PeerResponse {
    const KIND: u16 = 0x0305;
    const NAME: &'static str = "peer-response";
    const BYTES_MAX: usize = 32 << 20;
}

impl PeerResponse {
    /// For the node that called. A reply that is too large for it is one that nobody got.
    pub fn to_bytes(&self) -> Bytes {
        let encoded = codec::encode(self).or_else(|error| codec::encode(&Self::Failed(error.to_string())));
        Bytes::from(encoded.expect("an error of the codec is a short text"))
    }
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

impl Record for About {
    const KIND: u16 = 0x0306;
    const NAME: &'static str = "about";
    const BYTES_MAX: usize = 64 << 10;
}

impl About {
    /// For the handshake. Addresses that are longer than one can be told without are left out.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(codec::encode(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::golden;

    #[test]
    fn the_bytes_of_what_brokers_say_stay_what_they_are() {
        let change = Change::TakeReset { group: "CG".into(), topic: "T".into(), queue_id: 3 };
        golden(
            &[
                PeerRequest::Forward { client: "127.0.0.1:4321".parse().unwrap(), frame: vec![1, 2, 3] },
                PeerRequest::Forward { client: "[::1]:4321".parse().unwrap(), frame: Vec::new() },
                PeerRequest::Propose(change),
                PeerRequest::ConfirmLeader,
            ],
            &[],
        );
        golden(
            &[
                PeerResponse::Frame(vec![1, 2, 3]),
                PeerResponse::Taken,
                PeerResponse::Outcome(Outcome::Done { changed: true }),
                PeerResponse::NotLeader,
                PeerResponse::Confirmed("{}".into()),
                PeerResponse::Failed("why".into()),
            ],
            &[],
        );
        let about =
            About { name: "n1".into(), remoting: "127.0.0.1:10912".into(), http: "127.0.0.1:18081".into() };
        golden(&[about], &[]);
    }

    #[test]
    fn a_reply_too_large_for_a_peer_becomes_one_that_says_so() {
        let told = PeerResponse::Frame(vec![0; 33 << 20]).to_bytes();
        let Ok(PeerResponse::Failed(reason)) = codec::decode(&told) else { panic!("no failure") };
        assert!(reason.contains("exceeds the limit of 33554432 bytes"), "{reason}");
    }
}

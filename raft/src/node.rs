//! The node: its thread, its door, its end.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use platform::Platform;
use store::{CommitlogOffset, LogReader};
use tokio::sync::watch;

use crate::NodeId;
use crate::apply::{Apply, Reply};
use crate::config::NodeConfig;
use crate::error::{CallError, ChangeError, ProposeError, ReadIndexError, ShutdownError, StartError};
use crate::view::View;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers calls from the application on other nodes.
pub trait PeerHandler: Send + Sync + 'static {
    /// Called on the node's own thread: what takes long belongs on another runtime. The future may be
    /// dropped when the caller hangs up.
    fn call(&self, from: NodeId, request: Bytes) -> BoxFuture<'static, Bytes>;
}

/// What is to be agreed on.
#[derive(Debug)]
pub enum Proposal {
    /// `count` units of the log's stored layout, one after the other, without offsets. May be merged
    /// with others into one entry.
    Units {
        /// The units.
        payload: BytesMut,
        /// How many they are.
        count: u32,
    },
    /// One command, an entry of its own.
    Command(Bytes),
}

/// A proposal that is committed and applied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Term of the entry.
    pub term: u64,
    /// Log index of the entry.
    pub log_index: u64,
    /// What applying gave, for this proposal's own units only.
    pub reply: Reply,
}

/// A point that every read may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadIndex {
    /// The term confirmed.
    pub term: u64,
    /// Its leader: this node.
    pub leader: NodeId,
    /// Everything acknowledged before the call is at or below this log index, and applied here.
    pub log_index: u64,
}

/// A running node. Clones are handles to the same one.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

struct Shared {}

impl Node {
    /// Starts a node on a thread of its own, and returns when it listens and its log is recovered,
    /// which may take seconds. May be called from inside any runtime.
    ///
    /// # Errors
    /// As [`StartError`] says; nothing runs then.
    pub fn start(
        config: NodeConfig,
        platform: Platform,
        apply: impl Apply,
        peers: Arc<dyn PeerHandler>,
    ) -> Result<Self, StartError> {
        let _ = (config, platform, apply, peers);
        todo!()
    }

    /// Proposes, and waits until it is committed and applied here. The place in the order of proposals
    /// is taken at the call, before the first await. Dropping the future does not take it back.
    ///
    /// # Errors
    /// As [`ProposeError`] says; only `Unknown` leaves open whether it will be committed.
    pub fn propose(
        &self,
        proposal: Proposal,
    ) -> impl Future<Output = Result<Receipt, ProposeError>> + Send + 'static {
        let _ = (proposal, &self.shared);
        async { todo!() }
    }

    /// Follows the node. Every change of leader, term and readiness becomes visible, though a slow
    /// reader sees only the newest.
    pub fn views(&self) -> watch::Receiver<View> {
        todo!()
    }

    /// The newest view.
    pub fn view(&self) -> View {
        todo!()
    }

    /// Confirms with a majority that this node leads, and waits until it has applied all that was
    /// acknowledged before the call.
    ///
    /// # Errors
    /// As [`ReadIndexError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn read_index(&self, within: Duration) -> Result<ReadIndex, ReadIndexError> {
        let _ = within;
        todo!()
    }

    /// Calls the application on another node.
    ///
    /// # Errors
    /// As [`CallError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn call_peer(&self, to: NodeId, request: Bytes, within: Duration) -> Result<Bytes, CallError> {
        let _ = (to, request, within);
        todo!()
    }

    /// What a peer told about itself in its last handshake.
    pub fn about(&self, node: NodeId) -> Option<Bytes> {
        let _ = node;
        todo!()
    }

    /// Reads the log.
    pub fn log(&self) -> LogReader {
        todo!()
    }

    /// Where this node listens for peers.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Learns where a peer listens; replaces what was known.
    pub fn set_peer_addr(&self, node: NodeId, addr: impl Into<String>) {
        let _ = (node, addr.into());
        todo!()
    }

    /// Hands the lead to `to`, and returns when this node sees it lead.
    ///
    /// # Errors
    /// As [`ChangeError`] says. After `TimedOut` this node may still lead, or lead again.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn transfer_leader(&self, to: NodeId, within: Duration) -> Result<(), ChangeError> {
        let _ = (to, within);
        todo!()
    }

    /// Adds a node that copies the log without a vote, and returns when that is committed.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn add_learner(&self, node: NodeId, addr: impl Into<String>) -> Result<(), ChangeError> {
        let _ = (node, addr.into());
        todo!()
    }

    /// Makes `voters` the group's voters; each must be a member or a learner already. Those who lose
    /// their vote leave the group.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn change_members(&self, voters: BTreeSet<NodeId>) -> Result<(), ChangeError> {
        let _ = voters;
        todo!()
    }

    /// Drops whole segments that lie below `offset`, on this node only, and returns the new first
    /// offset of the log. Never drops what is not applied.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn purge_before(&self, offset: CommitlogOffset) -> Result<CommitlogOffset, ChangeError> {
        let _ = offset;
        todo!()
    }

    /// Writes a checkpoint of the applied state now, so that a restart has less to do.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn checkpoint_now(&self) -> Result<(), ChangeError> {
        todo!()
    }

    /// Stops: no more proposals, a last checkpoint, everything on disk, the log marked clean. Handing
    /// over the lead first is the caller's decision.
    ///
    /// # Errors
    /// If the last writes failed. The node is stopped all the same.
    #[expect(clippy::unused_async, reason = "filled in next")]
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        todo!()
    }
}

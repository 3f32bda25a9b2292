//! openraft's view of the network: one client a target and purpose.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesResponse, SnapshotResponse, StreamAppendError, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use store::codec;

use super::bulk::{self, BulkLink};
use super::forms::{Request, Response, vote_parts};
use super::frame::Kind;
use super::lane::{self, LaneError};
use super::{Network, Peer, snapshot};
use crate::checkpoints::SnapshotData;
use crate::member::Member;
use crate::types::{AppendRequest, AppendResult, Snapshot, Types, Vote};
use crate::{NodeId, node_name};

/// Makes clients for openraft.
pub(crate) struct Factory(pub(crate) Arc<Network>);

/// One client: a target, and whether it is the one that carries entries.
pub(crate) struct Client {
    network: Arc<Network>,
    target: NodeId,
    peer: Option<Arc<Peer>>,
    carries_entries: bool,
    /// In a mutex only because openraft wants a client that can be shared; it has one user.
    bulk: Mutex<Option<BulkLink>>,
}

impl RaftNetworkFactory<Types> for Factory {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, _member: &Member) -> Client {
        Client::new(&self.0, target, true)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, _member: &Member) -> Client {
        Client::new(&self.0, target, false)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, _member: &Member) -> Client {
        Client::new(&self.0, target, false)
    }
}

impl Client {
    fn new(network: &Arc<Network>, target: NodeId, carries_entries: bool) -> Self {
        Self {
            network: Arc::clone(network),
            target,
            peer: network.peer(target),
            carries_entries,
            bulk: Mutex::new(None),
        }
    }

    /// The target, which may have become known only after this client was made.
    fn peer(&mut self) -> Result<Arc<Peer>, String> {
        if self.peer.is_none() {
            self.peer = self.network.peer(self.target);
        }
        self.peer.clone().ok_or_else(|| format!("no address is known for {}", node_name(self.target)))
    }

    async fn ask(&mut self, request: &Request, within: Duration) -> Result<Response, RPCError<Types>> {
        let peer = self.peer().map_err(unreachable_because)?;
        let body = vec![Bytes::from(codec::encode(request).map_err(unreachable_because)?)];
        let answer = lane::call(&peer.control, Kind::Call, body, within).await.map_err(rpc_error)?;
        codec::decode(&answer).map_err(unreachable_because)
    }

    async fn ask_for_vote(
        &mut self,
        request: &Request,
        within: Duration,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(request, within).await? {
            Response::Vote { vote, last, granted } => {
                Ok(VoteResponse::new(Vote::from(vote), last.map(Into::into), granted))
            }
            other => Err(unreachable_because(other.into_surprise())),
        }
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        assert!(request.entries.is_empty(), "entries go over the bulk lane");
        let response = self.ask(&Request::heartbeat(&request), option.hard_ttl()).await?;
        Ok(match response.into_append_result().map_err(unreachable_because)? {
            Ok(_) => AppendEntriesResponse::Success,
            Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
            Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, RPCError<Types>>>, RPCError<Types>>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        if !self.carries_entries {
            return stream_append_sequential(self, input, option);
        }
        Box::pin(async move {
            let peer = self.peer();
            let stream: BoxStream<'s, _> = Box::pin(bulk::converse(
                &self.network,
                peer,
                self.bulk.get_mut().unwrap_or_else(PoisonError::into_inner),
                input,
            ));
            Ok(stream)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let (vote, last, transfer) = vote_parts(&request);
        self.ask_for_vote(&Request::Vote { vote, last, transfer }, option.soft_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let (vote, last, transfer) = vote_parts(&request);
        self.ask_for_vote(&Request::PreVote { vote, last, transfer }, option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let peer = self.peer().map_err(unreachable_because)?;
        let level = self.network.level.group();
        let tasks = &self.network.platform.tasks;
        tokio::select! {
            biased;
            vote = snapshot::send(tasks, &peer, &vote, snapshot, level, option.soft_ttl()) => Ok(SnapshotResponse::new(vote?)),
            closed = cancel => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.ask(&Request::transfer(&request), option.soft_ttl()).await? {
            Response::Transferred => Ok(Ok(())),
            Response::VoteChanged { expected, actual } => {
                Ok(Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() }))
            }
            Response::NotFlushed { expected, actual } => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            })),
            other => Err(unreachable_because(other.into_surprise())),
        }
    }
}

/// An error after which openraft waits before it tries again.
pub(super) fn unreachable_because(reason: impl ToString) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

pub(super) fn rpc_error(error: LaneError) -> RPCError<Types> {
    match error {
        LaneError::NotSent(_) => unreachable_because(error),
        LaneError::NoAnswer(_) => RPCError::Network(NetworkError::from_string(error)),
    }
}

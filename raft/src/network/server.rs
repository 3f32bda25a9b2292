//! The listening side: handshakes, and what each lane's frames are handed to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::entry::RaftEntry;
use openraft::raft::{AppendEntriesResponse, StreamAppendError};
use platform::{Connection, Listener};
use store::codec;
use store::{CheckpointDir, LogPoint, LogReader};
use tokio::io::AsyncWrite;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

use super::forms::{Hello, Lane, Mismatch, Request, Response, decode_append, vote_request};
use super::frame::{FrameError, Kind, Parts, Reader};
use super::snapshot::{self, Incoming};
use super::{Alarm, Network, Peer, ended, proof};
use crate::identity::Standing;
use crate::node::PeerHandler;
use crate::state_machine::RaftHandle;
use crate::types::{AppendRequest, AppendResult, log_point};
use crate::{NodeId, node_name};

/// A caller has this long to introduce itself.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections at a time, strangers included.
const CONNECTIONS_MAX: usize = 1024;
/// Calls of one connection that may be at work at a time; then it is not read further.
const CALLS_MAX: usize = 256;
/// Append requests of one connection between the socket and raft.
const APPENDS_MAX: usize = 16;
/// Entries are refused while the log takes no more than this beside them.
const ROOM_KEPT_BYTES: u64 = 4 << 10;
/// After a failed accept, which mostly means that there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection is served with.
struct Server {
    network: Arc<Network>,
    raft: RaftHandle,
    reader: LogReader,
    checkpoints: CheckpointDir,
    handler: Arc<dyn PeerHandler>,
}

/// Accepts and serves until the node's runtime ends.
pub(crate) async fn serve(
    network: Arc<Network>,
    listener: Box<dyn Listener>,
    raft: RaftHandle,
    reader: LogReader,
    checkpoints: CheckpointDir,
    handler: Arc<dyn PeerHandler>,
) {
    let server = Arc::new(Server { network, raft, reader, checkpoints, handler });
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok(connection) => {
                let server = Arc::clone(&server);
                platform::spawn(async move {
                    server.connection(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                server.network.complain(format!("cannot accept a connection: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Server {
    /// Lets nobody in who does not know the secret, if there is one. `Some` with who proved itself, if proof is wanted.
    async fn prove(
        &self,
        reader: &mut Reader,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
        from: &SocketAddr,
    ) -> Option<Option<NodeId>> {
        let network = &self.network;
        let Some(secret) = &network.secret else { return Some(None) };
        let proving = proof::prove_as_listener(&network.platform, secret, network.node, reader, writer);
        let reason = match timeout(HELLO_TIMEOUT, proving).await {
            Ok(Ok(node)) => return Some(Some(node)),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no proof within {HELLO_TIMEOUT:?}"),
        };
        network.complain(format!("dropped {}: no proof of membership: {reason}", from.ip()));
        // A stranger learns nothing but this; a member without its secret learns what to do.
        refuse(writer, &"the members of this group prove that they know its peerSecret").await;
        None
    }

    async fn connection(&self, connection: Connection) {
        let Connection { reader, mut writer, peer: from, .. } = connection;
        let mut reader = Reader::new(reader);
        let network = &self.network;
        let Some(proved) = self.prove(&mut reader, &mut *writer, &from).await else { return };
        let hello: Hello = match timeout(HELLO_TIMEOUT, reader.next(&[Kind::Hello, Kind::Challenge])).await {
            Ok(Ok(frame)) if frame.kind == Kind::Challenge => {
                let reason = "this node has no peerSecret, and the caller wants proof of it";
                network.complain(format!("refused {}: {reason}", from.ip()));
                return refuse(&mut *writer, &reason).await;
            }
            Ok(Ok(frame)) => match codec::decode::<Hello>(&frame.body) {
                Ok(hello) => hello,
                Err(error) => {
                    if error.is_foreign() {
                        // A node of another build is to know why.
                        refuse(&mut *writer, &error).await;
                    }
                    return network.complain(format!("dropped {}: bad hello: {error}", from.ip()));
                }
            },
            Ok(Err(FrameError::Io(_))) => return debug!(%from, "a connection without a word"),
            Ok(Err(error)) => return network.complain(format!("dropped {}: {error}", from.ip())),
            Err(_) => {
                return network.complain(format!("dropped {}: no hello within {HELLO_TIMEOUT:?}", from.ip()));
            }
        };
        if proved.is_some_and(|proved| proved != hello.from) {
            return network.complain(format!("dropped {}: it proved another name than it has", from.ip()));
        }
        let ours = network.hello(hello.from, hello.lane);
        if let Err(mismatch) = hello.check(&ours) {
            let text = format!("refused {} from {}: {mismatch}", node_name(hello.from), from.ip());
            match mismatch {
                // Of members only: a stranger could make up names without end.
                Mismatch::GroupId { .. } if network.peer(hello.from).is_some() => {
                    network.raise_alarm(Alarm::Peer(hello.from), text);
                }
                _ => network.complain(text),
            }
            return refuse(&mut *writer, &mismatch).await;
        }
        let Some(peer) = network.peer(hello.from) else {
            let reason = format!("{} is not known to {}", node_name(hello.from), node_name(ours.from));
            network.complain(format!("refused {}: {reason}", from.ip()));
            return refuse(&mut *writer, &reason).await;
        };
        // The welcome goes out even to a node that has stepped back: it learns from it that it has.
        let compared = network.compare(&peer, &hello, &ours);
        if compared.is_ok() {
            network.met(&peer, &hello).await;
        }
        let welcome = match codec::encode(&ours) {
            Ok(welcome) => Parts::new(Kind::Welcome, 0, [Bytes::from(welcome)]),
            Err(error) => return network.complain(format!("cannot greet {}: {error}", node_name(peer.id))),
        };
        let outcome = match welcome.write_to(&mut *writer).await {
            Err(error) => Err(error.into()),
            Ok(()) if compared.is_err() => return,
            Ok(()) if hello.lane == Lane::Bulk => self.bulk(&peer, reader, writer).await,
            Ok(()) => self.calls(&peer, reader, writer).await,
        };
        match outcome {
            Ok(()) => {}
            Err(FrameError::Io(_)) => {
                debug!(peer = node_name(peer.id), lane = ?hello.lane, "connection ended");
            }
            Err(error) => {
                network.complain(format!(
                    "dropped {:?} connection of {}: {}",
                    hello.lane,
                    node_name(peer.id),
                    ended(&error)
                ));
            }
        }
    }

    /// Hands entries to raft, and answers in order.
    async fn bulk(
        &self,
        peer: &Peer,
        mut reader: Reader,
        mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> Result<(), FrameError> {
        let (requests, receiver) = mpsc::channel::<AppendRequest>(APPENDS_MAX);
        let input = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|request| (request, receiver))
        });
        let outcomes = self.raft.stream_append(input);
        tokio::pin!(outcomes);
        let open = OpenRequests::default();
        let read = async {
            loop {
                let frame = reader.next(&[Kind::Append]).await?;
                self.network.note_contact(peer);
                let bytes = frame.body.len();
                let request = decode_append(frame.body)?;
                check_append(&self.raft, &self.network, &self.reader, &request).map_err(FrameError::Body)?;
                self.network.note_leader(&request.vote);
                if !request.entries.is_empty() {
                    open.room_for(bytes as u64, &self.reader).await.map_err(FrameError::Body)?;
                }
                open.handed_over(bytes as u64);
                if requests.send(request).await.is_err() {
                    return Ok(()); // raft has ended the stream; its last answer is on its way
                }
            }
        };
        let write = async {
            let mut id = 0;
            while let Some(outcome) = outcomes.next().await {
                let mut ends = false;
                open.answered();
                id += 1;
                let mut frames = ack(id, outcome, &mut ends);
                // What is ready goes in the same write.
                while !ends {
                    let Some(Some(outcome)) = outcomes.next().now_or_never() else { break };
                    open.answered();
                    id += 1;
                    frames.join(ack(id, outcome, &mut ends));
                }
                frames.write_to(&mut *writer).await?;
                if ends {
                    break;
                }
            }
            Ok(())
        };
        tokio::pin!(read, write);
        // Answers are bounded by what was read, so they cannot keep reading back for good.
        tokio::select! {
            biased;
            outcome = &mut write => outcome,
            outcome = &mut read => match outcome {
                Ok(()) => write.await,
                Err(error) => Err(error),
            },
        }
    }

    /// Answers calls, each in a task of its own.
    async fn calls(
        &self,
        peer: &Arc<Peer>,
        mut reader: Reader,
        mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> Result<(), FrameError> {
        let room = Arc::new(Semaphore::new(CALLS_MAX));
        let incoming = Arc::new(Incoming::default());
        let (answers, mut receiver) = mpsc::channel::<Parts>(CALLS_MAX);
        let mut tasks = tokio::task::JoinSet::new();
        let read = async {
            loop {
                let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
                let frame = reader.next(&[Kind::Call, Kind::AppCall, Kind::Snapshot]).await?;
                self.network.note_contact(peer);
                while tasks.try_join_next().is_some() {} // only to forget those that are done
                let answers = answers.clone();
                let id = frame.id;
                let work: crate::node::BoxFuture<'static, Parts> = match frame.kind {
                    Kind::AppCall => {
                        let answer = self.handler.call(peer.id, frame.body);
                        Box::pin(async move { app_answer(id, answer.await) })
                    }
                    Kind::Snapshot => {
                        let (piece, bytes) = snapshot::decode_piece(frame.body)?;
                        let (raft, dir) = (self.raft.clone(), self.checkpoints.clone());
                        let tasks = self.network.platform.tasks.clone();
                        let incoming = Arc::clone(&incoming);
                        let term = piece.term();
                        let allowed = check_term(&self.raft, term).map_err(|absurd| absurd.to_string());
                        let allowed = allowed.and_then(|()| {
                            self.network.may_acknowledge(term).map_err(|refusal| refusal.to_string())
                        });
                        Box::pin(async move {
                            let response = match allowed {
                                Err(refusal) => Response::Refused(refusal),
                                Ok(()) => incoming.take(&tasks, &raft, &dir, piece, bytes).await,
                            };
                            answer(id, &response)
                        })
                    }
                    _ => {
                        let request: Request = codec::decode(&frame.body)?;
                        let from = peer.id;
                        let (raft, network, reader) =
                            (self.raft.clone(), Arc::clone(&self.network), self.reader.clone());
                        Box::pin(async move {
                            answer(id, &respond(&raft, &network, &reader, from, request).await)
                        })
                    }
                };
                tasks.spawn(platform::of_group(async move {
                    let _ = answers.send(work.await).await; // without a connection there is nobody to answer
                    drop(permit);
                }));
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            Ok::<(), FrameError>(())
        };
        let write = async {
            while let Some(mut frames) = receiver.recv().await {
                while let Ok(more) = receiver.try_recv() {
                    frames.join(more);
                }
                frames.write_to(&mut *writer).await?;
            }
            Ok::<(), FrameError>(())
        };
        // Answers are bounded by what was read, so they cannot keep reading back for good.
        tokio::select! {
            biased;
            outcome = write => outcome,
            outcome = read => outcome,
        }
    }
}

/// Append requests of one connection that raft has and has not answered.
#[derive(Default)]
struct OpenRequests {
    /// Bytes of each, oldest first.
    bytes: Mutex<VecDeque<u64>>,
    answered: Notify,
}

impl OpenRequests {
    fn handed_over(&self, bytes: u64) {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).push_back(bytes);
    }

    fn answered(&self) {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.answered.notify_one();
    }

    /// Returns once the log has room for so many more bytes of entries, which it mostly has at once.
    ///
    /// # Errors
    /// If it has none: a write that fails would end this node, and a leader that is refused tries again. What raft was
    /// given before may not be in the log yet, so it is waited for first.
    async fn room_for(&self, bytes: u64, reader: &LogReader) -> Result<(), String> {
        loop {
            let Some(left) = reader.room_left() else { return Ok(()) };
            let open: u64 = self.bytes.lock().unwrap_or_else(PoisonError::into_inner).iter().sum();
            if open + bytes + ROOM_KEPT_BYTES <= left {
                return Ok(());
            }
            if open == 0 {
                return Err(format!("no room on the disk: {bytes} bytes of entries, {left} bytes left"));
            }
            self.answered.notified().await;
        }
    }
}

/// Whether entries, or a heartbeat, may be handed to raft.
fn check_append(
    raft: &RaftHandle,
    network: &Network,
    reader: &LogReader,
    request: &AppendRequest,
) -> Result<(), String> {
    let term = request.vote.leader_id.term;
    check_term(raft, term).map_err(|absurd| absurd.to_string())?;
    network.may_acknowledge(term).map_err(|refusal| refusal.to_string())?;
    let Some(committed) = reader.committed() else { return Ok(()) };
    let before = request.prev_log_id.map(|id| log_point(&id));
    let entries = request.entries.iter().map(|entry| log_point(&entry.log_id()));
    let mut known =
        before.into_iter().chain(entries).take_while(|point| point.log_index <= committed.log_index);
    let Some(point) = known.find(|point| is_another(reader, *point)) else { return Ok(()) };
    // Two leaders have committed different entries: a promise was broken somewhere, by a disk or by a person.
    let text = format!(
        "the leader of term {term} has another entry at log index {} than the one this node knows to be committed (up \
         to {committed}): the group was founded twice, or disks were put back. Nothing is taken from that leader; keep \
         both logs, and decide which one counts",
        point.log_index
    );
    network.raise_alarm(Alarm::Contradiction, text.clone());
    Err(text)
}

/// Whether the log has an entry of another term there.
fn is_another(reader: &LogReader, point: LogPoint) -> bool {
    let starts = reader.term_starts();
    let is_held = reader.last().is_some_and(|last| point.log_index <= last.log_index);
    let term = starts.iter().rev().find(|start| start.log_index <= point.log_index).map(|start| start.term);
    is_held && term.is_some_and(|term| term != point.term)
}

/// So much higher than the own term is no term that elections lead to: they raise it by one each.
const TERM_STEP_MAX: u64 = 1 << 20;

/// A term that no election can have led to: a stranger, or a damaged peer. Taken in, it would be the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("term {term} is more than {TERM_STEP_MAX} above term {ours} of this node: no election leads there")]
struct AbsurdTerm {
    term: u64,
    ours: u64,
}

fn check_term(raft: &RaftHandle, term: u64) -> Result<(), AbsurdTerm> {
    let ours = raft.metrics().borrow_watched().current_term;
    AbsurdTerm::check(term, ours)
}

impl AbsurdTerm {
    fn check(term: u64, ours: u64) -> Result<(), Self> {
        if term > ours.saturating_add(TERM_STEP_MAX) { Err(Self { term, ours }) } else { Ok(()) }
    }
}

/// Says why there will be no connection.
async fn refuse(writer: &mut (dyn AsyncWrite + Send + Unpin), reason: &(dyn std::fmt::Display + Sync)) {
    let refusal = Parts::new(Kind::Refusal, 0, [Bytes::from(reason.to_string())]);
    let _ = timeout(HELLO_TIMEOUT, refusal.write_to(writer)).await; // it is refused either way
}

fn answer(id: u64, response: &Response) -> Parts {
    Parts::new(Kind::Answer, id, [response.to_bytes()])
}

/// The application keeps to the limit; one that does not gets its caller an empty answer, which is none of its own.
fn app_answer(id: u64, bytes: Bytes) -> Parts {
    let limit = Kind::AppAnswer.body_bytes_max();
    if bytes.len() > limit {
        error!(bytes = bytes.len(), limit, "the answer to a peer's call exceeds the limit");
        return Parts::new(Kind::AppAnswer, id, []);
    }
    Parts::new(Kind::AppAnswer, id, [bytes])
}

/// One acknowledgement; sets `ends` if none follows.
fn ack<E: ToString>(id: u64, outcome: Result<AppendResult, E>, ends: &mut bool) -> Parts {
    let response = match outcome {
        Ok(result) => Response::from(result),
        Err(fatal) => Response::Refused(fatal.to_string()),
    };
    *ends = !matches!(response, Response::Appended(_));
    Parts::new(Kind::Ack, id, [response.to_bytes()])
}

async fn respond(
    raft: &RaftHandle,
    network: &Network,
    reader: &LogReader,
    from: NodeId,
    request: Request,
) -> Response {
    let refused = |error: &dyn std::fmt::Display| Response::Refused(error.to_string());
    if let Some(Err(absurd)) = request.term().map(|term| check_term(raft, term)) {
        network.complain(format!("refused a call of {}: {absurd}", node_name(from)));
        return refused(&absurd);
    }
    match request {
        Request::Heartbeat { vote, prev, commit } => {
            let prev_log_id = prev.map(Into::into);
            let leader_commit = commit.map(Into::into);
            let request =
                AppendRequest { vote: vote.into(), prev_log_id, entries: Vec::new(), leader_commit };
            if let Err(refusal) = check_append(raft, network, reader, &request) {
                return refused(&refusal);
            }
            network.note_leader(&request.vote);
            match raft.append_entries(request).await {
                Ok(AppendEntriesResponse::Success) => Response::Appended(prev),
                Ok(AppendEntriesResponse::PartialSuccess(upto)) => Response::Appended(upto.map(Into::into)),
                Ok(AppendEntriesResponse::Conflict) => match prev_log_id {
                    Some(at) => Response::from(AppendResult::Err(StreamAppendError::Conflict(at))),
                    None => refused(&"a conflict without a place"),
                },
                Ok(AppendEntriesResponse::HigherVote(vote)) => Response::HigherVote((&vote).into()),
                Err(error) => refused(&error),
            }
        }
        Request::LastLog => {
            let (term, voters) = {
                let metrics = raft.metrics();
                let metrics = metrics.borrow_watched();
                (metrics.current_term, metrics.membership_config.voter_ids().collect())
            };
            Response::LastLog {
                last: reader.last(),
                term,
                is_newborn: network.standing() == Standing::Newborn,
                group_id: network.group_id(),
                is_forced: network.is_forced(),
                voters,
                remembers: network.remembers(from),
            }
        }
        Request::Vote { last, vote, .. } | Request::PreVote { last, vote, .. }
            if !network.fence().admits(vote.term(), last.map(|last| log_point(&last.into()))) =>
        {
            refused(&"this node may have forgotten entries and does not vote for this candidate")
        }
        Request::Vote { vote, last, transfer } => match raft.vote(vote_request(vote, last, transfer)).await {
            Ok(response) => response.into(),
            Err(error) => refused(&error),
        },
        Request::PreVote { vote, last, transfer } => {
            match raft.pre_vote(vote_request(vote, last, transfer)).await {
                Ok(response) => response.into(),
                Err(error) => refused(&error),
            }
        }
        Request::MayLead => network.cannot_lead().map_or(Response::MayLead, |why| refused(&why)),
        Request::Transfer { from, to, last } => {
            if let Some(why) = network.cannot_lead() {
                return refused(&why);
            }
            let request = openraft::raft::TransferLeaderRequest::new(from.into(), to, last.map(Into::into));
            match raft.handle_transfer_leader(request).await {
                Ok(result) => result.into(),
                Err(fatal) => refused(&fatal),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S19: six small frames of a stranger, and no leader ever again.
    #[test]
    fn a_term_that_no_election_leads_to_is_refused() {
        assert_eq!(AbsurdTerm::check(8, 7), Ok(()));
        assert_eq!(AbsurdTerm::check(7 + TERM_STEP_MAX, 7), Ok(()));
        let absurd = AbsurdTerm::check(u64::MAX - 1, 7).unwrap_err();
        assert!(absurd.to_string().contains("above term 7"), "{absurd}");
        assert_eq!(AbsurdTerm::check(u64::MAX, u64::MAX), Ok(()));
    }
}

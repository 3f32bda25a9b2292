//! What nodes say to each other, as bytes: the small forms (records of `store::codec`) and the append
//! frame, which carries the log's own bytes behind a fixed head.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{
    StreamAppendError, TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use store::codec::{self, Record};
use store::{EntryKind, LogPoint, StoredEntry};

use super::frame::{FrameError, Kind};
use crate::identity::{GroupId, Incarnation, Memory, Said};
use crate::member::Member;
use crate::types::{
    AppendRequest, AppendResult, CommittedLeaderId, Entry, LeaderId, LogId, Types, Vote, decode_membership,
};
use crate::{NodeId, node_name};

/// Version of everything that is said between nodes.
pub(crate) const PROTOCOL_VERSION: u32 = 2;

/// What a connection is for; each peer has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// Entries.
    Bulk,
    /// Heartbeats, votes, transfers: small, and never behind anything large.
    Control,
    /// Snapshots.
    Snapshot,
    /// The application's calls.
    App,
}

/// First word of either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol_version: u32,
    pub(crate) layout_version: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) group: String,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) lane: Lane,
    /// The speaker may have forgotten entries, and its log may be shorter than it was.
    pub(crate) fenced: bool,
    /// `None` before the speaker belongs to a group.
    pub(crate) group_id: Option<GroupId>,
    pub(crate) incarnation: Incarnation,
    /// Last entry of the speaker's log.
    pub(crate) last: Option<LogPoint>,
    /// What the speaker remembers of the other side.
    pub(crate) remembers: Memory,
    /// What the speaker's build can write and read.
    pub(crate) feature_level: u16,
    /// What the group's members all can, as far as the speaker has applied its log.
    pub(crate) group_level: u16,
    /// Where the speaker is.
    pub(crate) member: Member,
    pub(crate) about: Vec<u8>,
}

impl Record for Hello {
    const KIND: u16 = 0x0206;
    const NAME: &'static str = "hello";
    const BYTES_MAX: usize = Kind::Hello.body_bytes_max();
}

/// Why two nodes do not talk to each other. Told to the other side as text, and logged on both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error("protocol version {theirs} here is {ours}")]
    Protocol { theirs: u32, ours: u32 },
    #[error("layout version {theirs} here is {ours}")]
    Layout { theirs: u32, ours: u32 },
    #[error("segments of {theirs} bytes, here they are of {ours} bytes")]
    Segment { theirs: u64, ours: u64 },
    #[error("group {theirs}, this is group {ours}")]
    Group { theirs: String, ours: String },
    #[error(
        "the group has id {theirs}, here it has id {ours}: two groups of the same name; one address or one disk is of \
         another cluster"
    )]
    GroupId { theirs: GroupId, ours: GroupId },
    #[error("a build of feature level {build}, the group has {group}: {} takes a newer build", node_name(*.node))]
    Level { build: u16, group: u16, node: NodeId },
    #[error("{} was asked for, this is {}", node_name(*.asked), node_name(*.ours))]
    Node { asked: NodeId, ours: NodeId },
    #[error("the caller has the id of this node, {}", node_name(*.0))]
    Self_(NodeId),
}

impl Hello {
    /// What the speaker says of itself.
    pub(crate) fn said(&self) -> Said {
        Said { incarnation: self.incarnation, last: self.last, is_fenced: self.fenced }
    }

    /// Whether `self`, as said by a caller, suits `ours`.
    pub(crate) fn check(&self, ours: &Self) -> Result<(), Mismatch> {
        if self.protocol_version != ours.protocol_version {
            return Err(Mismatch::Protocol { theirs: self.protocol_version, ours: ours.protocol_version });
        }
        if self.group != ours.group {
            return Err(Mismatch::Group { theirs: self.group.clone(), ours: ours.group.clone() });
        }
        if let (Some(theirs), Some(ours)) = (self.group_id, ours.group_id)
            && theirs != ours
        {
            return Err(Mismatch::GroupId { theirs, ours });
        }
        if self.to != ours.from {
            return Err(Mismatch::Node { asked: self.to, ours: ours.from });
        }
        if self.from == ours.from {
            return Err(Mismatch::Self_(ours.from));
        }
        for (one, other) in [(self, ours), (ours, self)] {
            if one.feature_level < other.group_level {
                let (build, group) = (one.feature_level, other.group_level);
                return Err(Mismatch::Level { build, group, node: one.from });
            }
        }
        if self.layout_version != ours.layout_version {
            return Err(Mismatch::Layout { theirs: self.layout_version, ours: ours.layout_version });
        }
        if self.segment_bytes != ours.segment_bytes {
            return Err(Mismatch::Segment { theirs: self.segment_bytes, ours: ours.segment_bytes });
        }
        Ok(())
    }
}

/// A vote: term, node, committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoteForm(u64, NodeId, bool);

impl VoteForm {
    /// The term of the vote.
    pub(crate) fn term(self) -> u64 {
        self.0
    }
}

impl From<&Vote> for VoteForm {
    fn from(vote: &Vote) -> Self {
        Self(vote.leader_id.term, vote.leader_id.voted_for, vote.committed)
    }
}

impl From<VoteForm> for Vote {
    fn from(VoteForm(term, voted_for, committed): VoteForm) -> Self {
        Self { leader_id: LeaderId { term, voted_for }, committed }
    }
}

/// A log id: term, log index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogIdForm(u64, u64);

impl From<LogId> for LogIdForm {
    fn from(id: LogId) -> Self {
        Self(id.leader_id.term, id.index)
    }
}

impl From<LogIdForm> for LogId {
    fn from(LogIdForm(term, index): LogIdForm) -> Self {
        Self::new(CommittedLeaderId::new(term), index)
    }
}

/// A small call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    Heartbeat {
        vote: VoteForm,
        prev: Option<LogIdForm>,
        commit: Option<LogIdForm>,
    },
    Vote {
        vote: VoteForm,
        last: Option<LogIdForm>,
        transfer: bool,
    },
    PreVote {
        vote: VoteForm,
        last: Option<LogIdForm>,
        transfer: bool,
    },
    /// What is the last entry of your log, your term, and are you new, of which group, and what do you remember of me? Asked by a node that may have forgotten.
    LastLog,
    Transfer {
        from: VoteForm,
        to: NodeId,
        last: Option<LogIdForm>,
    },
    /// Would you take the lead if it were handed to you? A transfer to a node that would not costs an election.
    MayLead,
}

/// What a small call, a snapshot or an append came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Response {
    Appended(Option<LogIdForm>),
    Conflict(LogIdForm),
    HigherVote(VoteForm),
    Vote {
        vote: VoteForm,
        last: Option<LogIdForm>,
        granted: bool,
    },
    LastLog {
        last: Option<LogPoint>,
        term: u64,
        is_newborn: bool,
        group_id: Option<GroupId>,
        is_forced: bool,
        /// Those with a vote, as the log of the node that answers has it; empty before it has a group.
        voters: BTreeSet<NodeId>,
        /// What the node that answers remembers of the one that asks.
        remembers: Memory,
    },
    Transferred,
    VoteChanged {
        expected: VoteForm,
        actual: VoteForm,
    },
    NotFlushed {
        expected: Option<LogIdForm>,
        actual: Option<LogIdForm>,
    },
    Snapshot(VoteForm),
    /// It cannot be answered now; the text says why.
    Refused(String),
    MayLead,
    /// So many bytes of a snapshot are there, and more are to come.
    SnapshotPiece(u64),
}

impl Record for Request {
    const KIND: u16 = 0x0207;
    const NAME: &'static str = "call";
    const BYTES_MAX: usize = Kind::Call.body_bytes_max();
}

impl Record for Response {
    const KIND: u16 = 0x0208;
    const NAME: &'static str = "answer";
    const BYTES_MAX: usize = Kind::Answer.body_bytes_max();
}

impl Request {
    /// The term that it asks this node to take in, if any.
    pub(crate) fn term(&self) -> Option<u64> {
        match self {
            Self::Heartbeat { vote, .. }
            | Self::Vote { vote, .. }
            | Self::PreVote { vote, .. }
            | Self::Transfer { from: vote, .. } => Some(vote.term()),
            Self::LastLog | Self::MayLead => None,
        }
    }

    pub(crate) fn heartbeat(request: &AppendRequest) -> Self {
        Self::Heartbeat {
            vote: VoteForm::from(&request.vote),
            prev: request.prev_log_id.map(Into::into),
            commit: request.leader_commit.map(Into::into),
        }
    }

    pub(crate) fn transfer(request: &TransferLeaderRequest<Types>) -> Self {
        Self::Transfer {
            from: VoteForm::from(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

/// The parts of a vote request.
pub(crate) fn vote_parts(request: &VoteRequest<Types>) -> (VoteForm, Option<LogIdForm>, bool) {
    (VoteForm::from(&request.vote), request.last_log_id.map(Into::into), request.leadership_transfer)
}

pub(crate) fn vote_request(vote: VoteForm, last: Option<LogIdForm>, transfer: bool) -> VoteRequest<Types> {
    let mut request = VoteRequest::new(vote.into(), last.map(Into::into));
    request.leadership_transfer = transfer;
    request
}

impl From<VoteResponse<Types>> for Response {
    fn from(response: VoteResponse<Types>) -> Self {
        Self::Vote {
            vote: VoteForm::from(&response.vote),
            last: response.last_log_id.map(Into::into),
            granted: response.vote_granted,
        }
    }
}

impl From<Result<(), TransferLeaderError<Types>>> for Response {
    fn from(result: Result<(), TransferLeaderError<Types>>) -> Self {
        match result {
            Ok(()) => Self::Transferred,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: VoteForm::from(&expected), actual: VoteForm::from(&actual) }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::NotFlushed { expected: expected.map(Into::into), actual: actual.map(Into::into) }
            }
        }
    }
}

impl From<AppendResult> for Response {
    fn from(result: AppendResult) -> Self {
        match result {
            Ok(last) => Self::Appended(last.map(Into::into)),
            Err(StreamAppendError::Conflict(at)) => Self::Conflict(at.into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote(VoteForm::from(&vote)),
        }
    }
}

impl Response {
    /// The outcome of an append; `Err` if this is none.
    pub(crate) fn into_append_result(self) -> Result<AppendResult, String> {
        match self {
            Self::Appended(last) => Ok(Ok(last.map(Into::into))),
            Self::Conflict(at) => Ok(Err(StreamAppendError::Conflict(at.into()))),
            Self::HigherVote(vote) => Ok(Err(StreamAppendError::HigherVote(vote.into()))),
            other => Err(other.into_surprise()),
        }
    }

    /// The bytes of a frame. A reason that is too long for one is left out.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let encoded = codec::encode(self).or_else(|error| codec::encode(&Self::Refused(error.to_string())));
        Bytes::from(encoded.expect("an error of the codec is a short text"))
    }

    /// What to report when this is not the answer that fits the question.
    pub(crate) fn into_surprise(self) -> String {
        match self {
            Self::Refused(reason) => reason,
            other => format!("unfitting answer {other:?}"),
        }
    }
}

/// Fixed head of an append frame's body; entries follow.
const APPEND_HEAD_BYTES: usize = 8 + 8 + 1 + 2 * (1 + 8 + 8) + 4;

/// Encodes an append request whose entries are all sealed: a head, then each entry's own bytes.
pub(crate) fn encode_append(request: &AppendRequest) -> Vec<Bytes> {
    let mut head = BytesMut::with_capacity(APPEND_HEAD_BYTES);
    head.put_u64(request.vote.leader_id.term);
    head.put_u64(request.vote.leader_id.voted_for);
    head.put_u8(u8::from(request.vote.committed));
    for id in [request.prev_log_id, request.leader_commit] {
        head.put_u8(u8::from(id.is_some()));
        head.put_u64(id.map_or(0, |id| id.leader_id.term));
        head.put_u64(id.map_or(0, |id| id.index));
    }
    head.put_u32(request.entries.len() as u32);
    debug_assert_eq!(head.len(), APPEND_HEAD_BYTES);
    let mut parts = Vec::with_capacity(1 + request.entries.len());
    parts.push(head.freeze());
    parts.extend(
        request
            .entries
            .iter()
            .map(|entry| entry.sealed().expect("entries are sent from the log").bytes.clone()),
    );
    parts
}

/// Decodes an append request and verifies every entry: lengths, checksum, place in the sequence.
///
/// # Errors
/// If anything is not as a leader would send it. The connection must end then, because a slice of the
/// sender's log may have been overwritten under it after a truncation.
pub(crate) fn decode_append(mut body: Bytes) -> Result<AppendRequest, FrameError> {
    if body.len() < APPEND_HEAD_BYTES {
        return Err(FrameError::Body(format!(
            "append head of {} bytes instead of {APPEND_HEAD_BYTES}",
            body.len()
        )));
    }
    let vote = VoteForm(body.get_u64(), body.get_u64(), body.get_u8() != 0);
    let mut log_id = || {
        let (some, id) = (body.get_u8() != 0, LogIdForm(body.get_u64(), body.get_u64()));
        some.then(|| LogId::from(id))
    };
    let (prev_log_id, leader_commit) = (log_id(), log_id());
    let count = body.get_u32() as usize;
    let mut entries = Vec::with_capacity(count.min(1024));
    let mut expected = prev_log_id.map(|id| id.index + 1);
    for _ in 0..count {
        let stored =
            StoredEntry::split_first(&mut body).map_err(|error| FrameError::Body(error.to_string()))?;
        stored
            .verify()
            .map_err(|error| FrameError::Body(format!("entry {}: {error}", stored.head.point())))?;
        let found = stored.head.log_index;
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(FrameError::Body(format!("entry {found} where entry {expected} belongs")));
        }
        expected = Some(found + 1);
        if stored.head.kind == EntryKind::Membership {
            decode_membership(&stored.payload())?;
        }
        entries.push(Entry::from(stored));
    }
    if !body.is_empty() {
        return Err(FrameError::Body(format!("{} bytes after the last entry", body.len())));
    }
    Ok(AppendRequest { vote: vote.into(), prev_log_id, entries, leader_commit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::golden;

    #[test]
    fn the_bytes_of_what_nodes_say_stay_what_they_are() {
        let hello = Hello {
            protocol_version: 2,
            layout_version: 1,
            segment_bytes: 1 << 30,
            group: "RaftNode00".into(),
            from: 1,
            to: 2,
            lane: Lane::Snapshot,
            fenced: true,
            group_id: Some(GroupId(0x9d)),
            incarnation: Incarnation { generation: 2, starts: 5, directory: 0xd1 },
            last: Some(LogPoint { term: 3, log_index: 700 }),
            remembers: Memory::default(),
            feature_level: 2,
            group_level: 1,
            member: Member { name: "n0".into(), raft: "10.0.0.1:30911".into(), ..Member::default() },
            about: vec![1, 2, 3],
        };
        golden(std::slice::from_ref(&hello), &[]);
        let old = Hello { from: 3, feature_level: 1, ..hello.clone() };
        let ours = Hello { from: 2, group_level: 2, ..hello };
        let told = old.check(&ours).unwrap_err().to_string();
        assert_eq!(told, "a build of feature level 1, the group has 2: n2 takes a newer build");
        let (vote, id) = (VoteForm(3, 2, true), LogIdForm(3, 700));
        golden(
            &[
                Request::Heartbeat { vote, prev: Some(id), commit: None },
                Request::Vote { vote, last: Some(id), transfer: true },
                Request::PreVote { vote, last: None, transfer: false },
                Request::LastLog,
                Request::Transfer { from: vote, to: 3, last: Some(id) },
                Request::MayLead,
            ],
            &[],
        );
        golden(
            &[
                Response::Appended(Some(id)),
                Response::Conflict(id),
                Response::HigherVote(vote),
                Response::Vote { vote, last: Some(id), granted: true },
                Response::LastLog {
                    last: Some(LogPoint { term: 3, log_index: 700 }),
                    term: 4,
                    is_newborn: true,
                    group_id: Some(GroupId(0x9d)),
                    is_forced: false,
                    voters: BTreeSet::from([1, 2, 3]),
                    remembers: Memory::default(),
                },
                Response::Transferred,
                Response::VoteChanged { expected: vote, actual: vote },
                Response::NotFlushed { expected: Some(id), actual: None },
                Response::Snapshot(vote),
                Response::Refused("no".into()),
                Response::MayLead,
                Response::SnapshotPiece(1 << 20),
            ],
            &[],
        );
    }

    #[test]
    fn an_answer_that_is_too_long_becomes_a_refusal_that_says_so() {
        let told = Response::Refused("x".repeat(2 << 20)).to_bytes();
        let Ok(Response::Refused(reason)) = codec::decode(&told) else { panic!("no refusal") };
        assert!(reason.contains("exceeds the limit of 1048576 bytes"), "{reason}");
    }
}

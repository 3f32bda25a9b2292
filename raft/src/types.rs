//! openraft's types, chosen: one leader a term, node ids without addresses, and our own entry.
//!
//! An entry is a *draft* from the moment it is proposed until the commitlog has given it its place, and
//! *sealed* whenever it was read from a log, ours or a peer's. Sealed bytes are never built again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use openraft::entry::{RaftEntry, RaftPayload};
use openraft::raft::responder::Responder;
use openraft::vote::RaftLeaderId;
use openraft::{EmptyNode, OptionalSend, RaftTypeConfig};
use serde::{Deserialize, Serialize};
use store::codec::{self, CodecError, Record};
use store::{Draft, EntryKind, LogPoint, Pending, StoredEntry};

use crate::apply::Reply;
use crate::checkpoints::SnapshotData;

/// The types of our group, for openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Proposed;
    type R = Reply;
    type NodeId = u64;
    type Node = EmptyNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = openraft::impls::TokioRuntime;
    type Responder<T>
        = Answer<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(crate) type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>;
pub(crate) type Vote = openraft::impls::Vote<LeaderId>;
pub(crate) type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type Membership = openraft::Membership<u64, EmptyNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, EmptyNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, EmptyNode>;
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, u64, EmptyNode, SnapshotData>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<Types>;
pub(crate) type AppendResult = openraft::raft::StreamAppendResult<Types>;

/// The log id of a place in the log.
pub(crate) fn log_id(point: LogPoint) -> LogId {
    LogId::new(CommittedLeaderId::new(point.term), point.log_index)
}

/// The place in the log of a log id.
pub(crate) fn log_point(id: &LogId) -> LogPoint {
    LogPoint { term: id.leader_id.term, log_index: id.index }
}

/// Units on their way from the proposer to the log. The log takes them out when it appends; if openraft
/// refuses the proposal before, they are still here, and are proposed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitsSlot(Arc<Mutex<Option<Vec<BytesMut>>>>);

impl UnitsSlot {
    pub(crate) fn new(parts: Vec<BytesMut>) -> Self {
        Self(Arc::new(Mutex::new(Some(parts))))
    }

    /// The units, if nobody took them yet.
    pub(crate) fn take(&self) -> Option<Vec<BytesMut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a caller may have agreed on.
#[derive(Clone, Debug)]
pub(crate) enum Proposed {
    Units { slot: UnitsSlot, count: u32 },
    Command(Bytes),
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units { count, .. } => write!(f, "{count} units"),
            Self::Command(bytes) => write!(f, "command of {} bytes", bytes.len()),
        }
    }
}

/// What an entry carries, before it has a place.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Blank,
    Proposed(Proposed),
    Membership(Membership),
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Proposed(proposed) => proposed.fmt(f),
            Self::Membership(membership) => write!(f, "membership {membership}"),
        }
    }
}

impl RaftPayload for Payload {
    type D = Proposed;
    type NodeId = u64;
    type Node = EmptyNode;

    fn blank() -> Self {
        Self::Blank
    }

    fn with_normal(self, data: Proposed) -> Self {
        Self::Proposed(data)
    }

    fn with_membership(self, membership: Membership) -> Self {
        Self::Membership(membership)
    }

    fn get_membership(&self) -> Option<Membership> {
        match self {
            Self::Membership(membership) => Some(membership.clone()),
            Self::Blank | Self::Proposed(_) => None,
        }
    }
}

/// One entry, in openraft's hands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    leader: CommittedLeaderId,
    log_index: u64,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Draft(Payload),
    Sealed(StoredEntry),
}

impl Entry {
    /// The bytes of the log, if it has a place there.
    pub(crate) fn sealed(&self) -> Option<&StoredEntry> {
        match &self.body {
            Body::Sealed(stored) => Some(stored),
            Body::Draft(_) => None,
        }
    }

    /// What the commitlog is to append.
    pub(crate) fn into_pending(self) -> Pending {
        let (kind, unit_count, payload) = match self.body {
            Body::Sealed(stored) => return Pending::Sealed(stored),
            Body::Draft(Payload::Blank) => (EntryKind::Blank, 0, Vec::new()),
            Body::Draft(Payload::Membership(membership)) => {
                (EntryKind::Membership, 0, vec![encode_membership(&membership)])
            }
            Body::Draft(Payload::Proposed(Proposed::Command(bytes))) => {
                (EntryKind::Command, 0, vec![BytesMut::from(bytes)])
            }
            Body::Draft(Payload::Proposed(Proposed::Units { slot, count })) => {
                (EntryKind::Units, count, slot.take().expect("an entry is appended once"))
            }
        };
        Pending::Draft(Draft { log_index: self.log_index, term: self.leader.term, kind, unit_count, payload })
    }
}

impl From<StoredEntry> for Entry {
    fn from(stored: StoredEntry) -> Self {
        Self {
            leader: CommittedLeaderId::new(stored.head.term),
            log_index: stored.head.log_index,
            body: Body::Sealed(stored),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Draft(payload) => write!(f, "{}.{} draft {payload}", self.leader, self.log_index),
            Body::Sealed(stored) => write!(f, "{}.{} {:?}", self.leader, self.log_index, stored.head.kind),
        }
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = CommittedLeaderId;
    type Payload = Payload;

    fn new(log_id: LogId, payload: Payload) -> Self {
        Self { leader: log_id.leader_id, log_index: log_id.index, body: Body::Draft(payload) }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderId, u64) {
        (&self.leader, self.log_index)
    }

    fn set_log_id(&mut self, new: LogId) {
        assert!(
            matches!(self.body, Body::Draft(_))
                || log_point(&new) == LogPoint { term: self.leader.term, log_index: self.log_index },
            "sealed entry {}.{} cannot become {new}",
            self.leader,
            self.log_index
        );
        self.leader = new.leader_id;
        self.log_index = new.index;
    }

    fn get_membership(&self) -> Option<Membership> {
        match &self.body {
            Body::Draft(payload) => payload.get_membership(),
            Body::Sealed(stored) if stored.head.kind == EntryKind::Membership => {
                // The checksum was right, so these are the bytes that one of us wrote.
                Some(decode_membership(&stored.payload()).expect("a membership entry holds a membership"))
            }
            Body::Sealed(_) => None,
        }
    }
}

/// Calls back with the outcome of a proposal. Dropped uncalled, the closure goes, and with it whatever
/// it was to answer.
pub(crate) struct Answer<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Answer<T> {
    pub(crate) fn new(then: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(then))
    }
}

impl<T: OptionalSend + 'static> Responder<Types, T> for Answer<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// A membership as it stands in the log and in checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipForm {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeSet<u64>,
}

impl Record for MembershipForm {
    const KIND: u16 = 0x0204;
    const NAME: &'static str = "membership";
    const BYTES_MAX: usize = 1 << 20;
}

impl From<&Membership> for MembershipForm {
    fn from(membership: &Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, _)| *id).collect(),
        }
    }
}

impl TryFrom<MembershipForm> for Membership {
    type Error = CodecError;

    fn try_from(form: MembershipForm) -> Result<Self, CodecError> {
        let nodes: BTreeMap<u64, EmptyNode> = form.nodes.into_iter().map(|id| (id, EmptyNode {})).collect();
        Self::new(form.configs, nodes).map_err(|error| CodecError::content::<MembershipForm>(&error))
    }
}

/// A membership and the entry that brought it, if one did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMembershipForm {
    at: Option<(u64, u64)>,
    membership: MembershipForm,
}

impl From<&StoredMembership> for StoredMembershipForm {
    fn from(stored: &StoredMembership) -> Self {
        Self {
            at: stored.log_id().map(|id| (id.leader_id.term, id.index)),
            membership: MembershipForm::from(stored.membership()),
        }
    }
}

impl TryFrom<StoredMembershipForm> for StoredMembership {
    type Error = CodecError;

    fn try_from(form: StoredMembershipForm) -> Result<Self, CodecError> {
        let at = form.at.map(|(term, log_index)| log_id(LogPoint { term, log_index }));
        Ok(Self::new(at, form.membership.try_into()?))
    }
}

fn encode_membership(membership: &Membership) -> BytesMut {
    let bytes = codec::encode(&MembershipForm::from(membership)).expect("a group has less than 40,000 nodes");
    BytesMut::from(bytes.as_slice())
}

/// Reads what `encode_membership` wrote.
pub(crate) fn decode_membership(bytes: &[u8]) -> Result<Membership, CodecError> {
    codec::decode::<MembershipForm>(bytes)?.try_into()
}

/// A membership with something in it.
#[cfg(test)]
pub(crate) fn stored_membership_sample() -> StoredMembershipForm {
    let configs = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 4])];
    let membership = MembershipForm { configs, nodes: BTreeSet::from([1, 2, 3, 4]) };
    StoredMembershipForm { at: Some((3, 700)), membership }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_membership_stay_what_they_are() {
        crate::suite::golden(&[stored_membership_sample().membership], &[]);
    }
}

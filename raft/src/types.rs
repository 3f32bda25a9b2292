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
use openraft::{OptionalSend, RaftTypeConfig};
use serde::{Deserialize, Serialize};
use store::codec::{self, CodecError, Record};
use store::{Draft, EffectList, EntryKind, LogPoint, Pending, StoredEntry};

use crate::apply::Reply;
use crate::checkpoints::SnapshotData;
use crate::member::Member;
use crate::runtime::Runtime;

/// The types of our group, for openraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

impl RaftTypeConfig for Types {
    type D = Proposed;
    type R = Reply;
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = Runtime;
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
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, Member>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, Member>;
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, u64, Member, SnapshotData>;
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

/// Units and what they change, of all proposals of one entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) units: Vec<BytesMut>,
    pub(crate) effects: EffectList,
}

/// Parts of an entry on their way from the proposer to the log. The log takes them out when it appends; if openraft
/// refuses the proposal before, they are still here, and are proposed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartsSlot(Arc<Mutex<Option<Parts>>>);

impl PartsSlot {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Mutex::new(Some(parts))))
    }

    /// The parts, if nobody took them yet.
    pub(crate) fn take(&self) -> Option<Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a caller may have agreed on.
#[derive(Clone, Debug)]
pub(crate) enum Proposed {
    Units {
        slot: PartsSlot,
        count: u32,
    },
    /// A command in a group whose members do not all know effects.
    Command(Bytes),
    /// A change of the group's own state.
    Group(Bytes),
}

impl fmt::Display for Proposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units { count, .. } => write!(f, "{count} units"),
            Self::Command(bytes) => write!(f, "command of {} bytes", bytes.len()),
            Self::Group(_) => f.write_str("change of the group"),
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
    type Node = Member;

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
    /// It is there, and damaged. Only at start, when nobody can fetch it yet and only its place matters.
    Unread,
}

impl Entry {
    /// An entry that cannot be read.
    pub(crate) fn unread(point: LogPoint) -> Self {
        let leader = CommittedLeaderId::new(point.term);
        Self { leader, log_index: point.log_index, body: Body::Unread }
    }

    /// Whether only its place is known.
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self.body, Body::Unread)
    }

    /// The bytes of the log, if it has a place there.
    pub(crate) fn sealed(&self) -> Option<&StoredEntry> {
        match &self.body {
            Body::Sealed(stored) => Some(stored),
            Body::Draft(_) | Body::Unread => None,
        }
    }

    /// What the commitlog is to append, in a group of this feature level.
    pub(crate) fn into_pending(self, level: u16) -> Pending {
        let mut effects = EffectList::default();
        let (kind, unit_count, payload) = match self.body {
            Body::Sealed(stored) => return Pending::Sealed(stored),
            Body::Unread => unreachable!("what is appended was proposed, or sent by a leader"),
            Body::Draft(Payload::Blank) => (EntryKind::Blank, 0, Vec::new()),
            Body::Draft(Payload::Membership(membership)) => {
                (EntryKind::Membership, 0, vec![encode_membership(&membership, level)])
            }
            Body::Draft(Payload::Proposed(Proposed::Command(bytes))) => {
                (EntryKind::Command, 0, vec![BytesMut::from(bytes)])
            }
            Body::Draft(Payload::Proposed(Proposed::Group(bytes))) => {
                (EntryKind::Group, 0, vec![BytesMut::from(bytes)])
            }
            Body::Draft(Payload::Proposed(Proposed::Units { slot, count })) => {
                let parts = slot.take().expect("an entry is appended once");
                effects = parts.effects;
                (EntryKind::Units, count, parts.units)
            }
        };
        let (log_index, term) = (self.log_index, self.leader.term);
        Pending::Draft(Draft { log_index, term, kind, unit_count, payload, effects })
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
            Body::Unread => write!(f, "{}.{} unread", self.leader, self.log_index),
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
            Body::Sealed(_) | Body::Unread => None,
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

/// The first membership: nobody's address, so that it has the same bytes on every node.
pub(crate) fn founders(ids: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Member> {
    ids.into_iter().map(|id| (id, Member::default())).collect()
}

/// A membership as it stands in the log and in checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipForm {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, Member>,
}

/// Its first version, without addresses.
#[derive(Serialize, Deserialize)]
struct MembershipForm1 {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeSet<u64>,
}

impl Record for MembershipForm {
    const KIND: u16 = 0x0204;
    const NAME: &'static str = "membership";
    const VERSION: u16 = 2;
    const OLDEST: u16 = 1;
    const SINCE: u16 = 2;
    const BYTES_MAX: usize = 1 << 20;

    fn encode_old(&self, _level: u16) -> Result<(u16, Vec<u8>), CodecError> {
        let old =
            MembershipForm1 { configs: self.configs.clone(), nodes: self.nodes.keys().copied().collect() };
        Ok((1, codec::encode_body(Self::NAME, &old, Self::BYTES_MAX)?))
    }

    fn decode_old(_version: u16, body: &[u8]) -> Result<Self, CodecError> {
        let old: MembershipForm1 = codec::decode_body(Self::NAME, body, Self::BYTES_MAX)?;
        let nodes = old.nodes.into_iter().map(|id| (id, Member::default())).collect();
        Ok(Self { configs: old.configs, nodes })
    }
}

impl From<&Membership> for MembershipForm {
    fn from(membership: &Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    }
}

impl TryFrom<MembershipForm> for Membership {
    type Error = CodecError;

    fn try_from(form: MembershipForm) -> Result<Self, CodecError> {
        Self::new(form.configs, form.nodes).map_err(|error| CodecError::content::<MembershipForm>(&error))
    }
}

/// A membership and the entry that brought it, if one did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMembershipForm {
    at: Option<(u64, u64)>,
    /// A record of its own, of a version that all members read.
    membership: Vec<u8>,
}

impl StoredMembershipForm {
    /// For a group of this feature level.
    pub(crate) fn of(stored: &StoredMembership, level: u16) -> Self {
        Self {
            at: stored.log_id().map(|id| (id.leader_id.term, id.index)),
            membership: encode_membership(stored.membership(), level).to_vec(),
        }
    }
}

impl TryFrom<StoredMembershipForm> for StoredMembership {
    type Error = CodecError;

    fn try_from(form: StoredMembershipForm) -> Result<Self, CodecError> {
        let at = form.at.map(|(term, log_index)| log_id(LogPoint { term, log_index }));
        Ok(Self::new(at, decode_membership(&form.membership)?))
    }
}

fn encode_membership(membership: &Membership, level: u16) -> BytesMut {
    let encoded = codec::encode_at(&MembershipForm::from(membership), level);
    let bytes = encoded.expect("a group has fewer than a thousand nodes, and their addresses are short");
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
    let nodes = [1, 2, 3, 4].map(|id| (id, Member::default())).into();
    let form = MembershipForm { configs, nodes };
    StoredMembershipForm { at: Some((3, 700)), membership: codec::encode_at(&form, 1).expect("it is small") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_membership_stay_what_they_are() {
        let configs = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 4])];
        let member = |id: u64| Member {
            name: format!("n{}", id - 1),
            raft: format!("10.0.0.{id}:30911"),
            remoting: format!("10.0.0.{id}:10911"),
            http: format!("10.0.0.{id}:18080"),
        };
        let newest = MembershipForm {
            configs: configs.clone(),
            nodes: [1, 2, 3, 4].map(|id| (id, member(id))).into(),
        };
        let old = MembershipForm { configs, nodes: [1, 2, 3, 4].map(|id| (id, Member::default())).into() };
        crate::suite::golden(&[newest], &[(1, &[old])]);
    }
}

//! The fence of a node that may have forgotten what it once promised: its directory is new, its disk was put back to an
//! older state, its log ends before something it knew, or it was in async mode when its machine lost power.
//!
//! Without the fence, such a node and one lagging follower could elect a leader that misses acknowledged
//! entries. So a fenced node starts no election and grants no vote until one of these holds:
//!
//! 1. It has taken in what a leader of its term has committed, or has become that leader by 2. It may then do everything again.
//! 2. It has heard the last entry and the term of every other voter. It may then vote, but only for a
//!    candidate that has at least the highest entry of them, in a term that none of them has seen yet, and
//!    campaign if it has that entry itself. This is for the day on which all nodes are fenced, and the
//!    first election needs all of them; the very first start of a group is such a day.
//!
//! A node that is not [`Standing::Whole`] has forgotten its votes too. Another leader than the one it follows may have
//! been elected with one of them, and may have committed entries that only the two of them had. So it is not
//! let out by 1 before 2 holds as well, and it forms no group before it knows that there is none. Nor does it
//! *acknowledge* an entry before 2 holds, and then none of a term below the highest it heard of
//! ([`Network::may_acknowledge`]): a deposed leader and it would be a majority. `tests/it/model.rs` searches these
//! rules in full, and shows what goes wrong without each of them.
//!
//! A group is founded by one member only, once all of them are there and empty, or once a majority is and the operator
//! has said so. The others learn its id from whoever has it; an id alone makes no group, since its founder may have died
//! before the first entry. The decisions are here, what follows from them is in
//! [`crate::keeper`].
//!
//! [`Standing::Whole`]: crate::identity::Standing::Whole
//! [`Network::may_acknowledge`]: crate::network::Network::may_acknowledge

use std::collections::{BTreeMap, BTreeSet};

use store::LogPoint;

use crate::NodeId;
use crate::identity::{GroupId, Memory, founder};

/// Who may be voted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Whoever raft allows.
    Open,
    /// Nobody.
    Closed,
    /// A candidate whose last entry is at or above `last`, in a term above `term`.
    Above { last: Option<LogPoint>, term: u64 },
}

/// What a peer told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) last: Option<LogPoint>,
    pub(crate) term: u64,
    pub(crate) is_newborn: bool,
    /// The group it belongs to, if it knows of one.
    pub(crate) group_id: Option<GroupId>,
    /// Its operator has said that members which are not there may be left out.
    pub(crate) is_forced: bool,
    /// Those with a vote, as its log has it; empty before it has a group.
    pub(crate) voters: BTreeSet<NodeId>,
    /// What it remembers of the node that asks.
    pub(crate) remembers: Memory,
}

impl Heard {
    /// Whether it never belonged to a group, or to one that has nothing in it but its membership.
    fn is_new(&self) -> bool {
        self.is_newborn && self.last.is_none_or(|last| last.log_index == 0)
    }
}

impl Heard {
    /// Whether its directory is new, and there is no entry in it.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.is_newborn && self.last.is_none()
    }
}

impl Fence {
    /// Whether a candidate for `term` with this last entry may be voted for.
    pub(crate) fn admits(self, candidate_term: u64, candidate_last: Option<LogPoint>) -> bool {
        match self {
            Self::Open => true,
            Self::Closed => false,
            Self::Above { last, term } => candidate_last >= last && candidate_term > term,
        }
    }
}

/// What a closed fence is judged from.
pub(crate) struct Inquiry<'a> {
    /// This node.
    pub(crate) this: NodeId,
    /// The group it belongs to, if it knows of one.
    pub(crate) group_id: Option<GroupId>,
    /// Its directory is new and empty, and it is one of those who form the group.
    pub(crate) may_form: bool,
    /// The operator has said that members which are not there may be left out.
    pub(crate) is_forced: bool,
    pub(crate) voters: &'a BTreeSet<NodeId>,
    pub(crate) heard: &'a BTreeMap<NodeId, Heard>,
}

/// What follows from what was heard so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// Nothing yet: these members were not heard.
    Missing(Vec<NodeId>),
    /// Nothing yet: there is no group, and it is for this member to found it.
    AwaitFounder(NodeId),
    /// Members belong to different groups: one of the addresses, or of the disks, is of another cluster.
    Strangers(BTreeSet<GroupId>),
    /// There is no group, and it is for this node to found it.
    Found {
        /// The id that was made for it before, by a founder that died before the group's first entry.
        group_id: Option<GroupId>,
        fence: Fence,
    },
    /// It belongs to this group.
    Join(GroupId, Fence),
}

/// What follows from what was heard so far.
pub(crate) fn conclude(inquiry: &Inquiry<'_>) -> Conclusion {
    let Inquiry { this, voters, heard, .. } = *inquiry;
    let others = || voters.iter().copied().filter(|id| *id != this);
    let missing: Vec<_> = others().filter(|id| !heard.contains_key(id)).collect();
    if voters.is_empty() || (!missing.is_empty() && !may_leave_out(inquiry)) {
        return Conclusion::Missing(missing);
    }
    let told = || others().filter_map(|id| heard.get(&id));
    let groups: BTreeSet<_> = told().filter_map(|heard| heard.group_id).chain(inquiry.group_id).collect();
    if groups.len() > 1 {
        return Conclusion::Strangers(groups);
    }
    let none = (None, 0);
    let (last, term) = told().fold(none, |(last, term), heard| (heard.last.max(last), heard.term.max(term)));
    let fence = Fence::Above { last, term };
    let founder = founder(voters.iter().copied());
    let may_found = inquiry.may_form && (inquiry.is_forced || founder == Some(this));
    // There is an id, and no group yet: nobody else would make it.
    let is_unfounded = missing.is_empty() && told().all(Heard::holds_nothing);
    match groups.first().copied() {
        Some(group_id) if may_found && is_unfounded => Conclusion::Found { group_id: Some(group_id), fence },
        Some(group_id) => Conclusion::Join(group_id, fence),
        None if may_found => Conclusion::Found { group_id: None, fence },
        None => Conclusion::AwaitFounder(founder.unwrap_or(this)),
    }
}

/// The operator's word stands for members that are not there, where a majority is. To found a group, none of it may hold
/// anything, and the word of one is enough for all. A node that joins one needs its own: what it forgot may have made a
/// majority with a member that is not there, and the operator alone knows that this one is lost for good.
fn may_leave_out(inquiry: &Inquiry<'_>) -> bool {
    let Inquiry { voters, heard, .. } = *inquiry;
    let is_founding_forced = inquiry.is_forced || heard.values().any(|heard| heard.is_forced);
    let is_majority = (heard.len() + 1) * 2 > voters.len();
    let are_all_new = inquiry.group_id.is_none() && heard.values().all(Heard::is_new);
    is_majority && if are_all_new { is_founding_forced } else { inquiry.is_forced }
}

/// Who has to be heard: those that this node knows of, and those in the logs of the members that have a group. A
/// configuration that was shortened does not make the group smaller: the log is the truth.
pub(crate) fn voters_of(known: &BTreeSet<NodeId>, heard: &BTreeMap<NodeId, Heard>) -> BTreeSet<NodeId> {
    let told = heard.values().filter(|heard| heard.group_id.is_some());
    known.iter().chain(told.flat_map(|heard| &heard.voters)).copied().collect()
}

/// The generation of a directory that has none: above all that its peers remember of this node.
pub(crate) fn next_generation(heard: &BTreeMap<NodeId, Heard>) -> u64 {
    heard.values().map(|heard| heard.remembers.incarnation.generation).max().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Incarnation;

    #[expect(clippy::unnecessary_wraps, reason = "every use wants an option")]
    fn point(term: u64, log_index: u64) -> Option<LogPoint> {
        Some(LogPoint { term, log_index })
    }

    fn new() -> Heard {
        Heard {
            last: None,
            term: 0,
            is_newborn: true,
            group_id: None,
            is_forced: false,
            voters: BTreeSet::new(),
            remembers: Memory::default(),
        }
    }

    fn member(last: Option<LogPoint>, term: u64) -> Heard {
        Heard { last, term, is_newborn: false, group_id: Some(GroupId(7)), ..new() }
    }

    fn judge(this: NodeId, may_form: bool, is_forced: bool, heard: &[(NodeId, Heard)]) -> Conclusion {
        let (voters, heard) = (BTreeSet::from([1, 2, 3]), heard.iter().cloned().collect());
        conclude(&Inquiry { this, group_id: None, may_form, is_forced, voters: &voters, heard: &heard })
    }

    #[test]
    fn a_fenced_node_votes_for_nobody_and_then_only_for_the_highest() {
        assert!(Fence::Open.admits(1, None));
        assert!(!Fence::Closed.admits(10, point(9, 9)));
        let fence = Fence::Above { last: point(2, 7), term: 4 };
        assert!(fence.admits(5, point(2, 7)) && fence.admits(9, point(3, 1)));
        assert!(!fence.admits(5, point(2, 6)) && !fence.admits(5, point(1, 9)) && !fence.admits(5, None));
        assert!(!fence.admits(4, point(2, 7)), "in that term it may have voted for another");
    }

    #[test]
    fn nothing_follows_before_every_other_voter_was_heard() {
        let one = (2, member(point(1, 5), 4));
        assert_eq!(judge(1, true, false, std::slice::from_ref(&one)), Conclusion::Missing(vec![3]));
        let fence = Fence::Above { last: point(2, 1), term: 4 };
        let both = [one.clone(), (3, member(point(2, 1), 2))];
        assert_eq!(judge(1, true, false, &both), Conclusion::Join(GroupId(7), fence));
        let joined = Conclusion::Join(GroupId(7), Fence::Above { last: point(1, 5), term: 4 });
        assert_eq!(judge(1, true, true, &[one]), joined, "the operator says that n2 is lost for good");
        assert_eq!(judge(1, true, true, &[]), Conclusion::Missing(vec![2, 3]), "alone it is no majority");
        let by_another = Heard { is_forced: true, ..member(point(1, 5), 4) };
        assert_eq!(
            judge(1, true, false, &[(2, by_another)]),
            Conclusion::Missing(vec![3]),
            "not said of this node"
        );
        let (voters, heard) = (BTreeSet::new(), BTreeMap::new());
        let inquiry = Inquiry {
            this: 1,
            group_id: None,
            may_form: true,
            is_forced: true,
            voters: &voters,
            heard: &heard,
        };
        assert_eq!(conclude(&inquiry), Conclusion::Missing(vec![]));
    }

    /// S6: who founds a group, and when.
    #[test]
    fn a_group_is_founded_by_one_member_once_all_are_there_and_empty_or_the_operator_says_so() {
        let found = Conclusion::Found { group_id: None, fence: Fence::Above { last: None, term: 0 } };
        assert_eq!(judge(1, true, false, &[(2, new())]), Conclusion::Missing(vec![3]));
        assert_eq!(judge(1, true, false, &[(2, new()), (3, new())]), found);
        assert_eq!(judge(2, true, false, &[(1, new()), (3, new())]), Conclusion::AwaitFounder(1));
        assert_eq!(judge(1, false, false, &[(2, new()), (3, new())]), Conclusion::AwaitFounder(1));
        let founded = Heard { group_id: Some(GroupId(7)), last: point(0, 0), ..new() };
        let joined = Conclusion::Join(GroupId(7), Fence::Above { last: point(0, 0), term: 0 });
        assert_eq!(judge(2, true, false, &[(1, founded.clone()), (3, new())]), joined);
        // By force, on any of them, and the others follow it.
        assert_eq!(judge(3, true, true, &[(2, new())]), found);
        assert_eq!(judge(3, true, true, &[]), Conclusion::Missing(vec![1, 2]), "alone it is no majority");
        assert_eq!(judge(2, true, false, &[(3, Heard { is_forced: true, ..founded.clone() })]), joined);
        assert_eq!(judge(2, true, false, &[(3, founded)]), Conclusion::Missing(vec![1]));
    }

    /// The founder made an id and died before the first entry: found by the simulation, in which nobody ever led then.
    #[test]
    fn a_group_that_has_an_id_and_no_entry_is_founded_once_all_are_there() {
        let joined = Heard { group_id: Some(GroupId(7)), ..new() };
        let fence = Fence::Above { last: None, term: 0 };
        let found = Conclusion::Found { group_id: Some(GroupId(7)), fence };
        let judge_one_that_has_it = |heard: &[(NodeId, Heard)]| {
            let (voters, heard) = (BTreeSet::from([1, 2, 3]), heard.iter().cloned().collect());
            let group_id = Some(GroupId(7));
            conclude(&Inquiry {
                this: 1,
                group_id,
                may_form: true,
                is_forced: false,
                voters: &voters,
                heard: &heard,
            })
        };
        assert_eq!(judge_one_that_has_it(&[(2, new()), (3, joined.clone())]), found);
        assert_eq!(
            judge(1, true, false, &[(2, joined.clone()), (3, new())]),
            found,
            "its own disk is a new one"
        );
        assert_eq!(
            judge(2, true, false, &[(1, joined.clone()), (3, new())]),
            Conclusion::Join(GroupId(7), fence),
            "it is for another to found it"
        );
        let with_an_entry = Heard { last: point(0, 0), ..joined.clone() };
        assert!(matches!(judge_one_that_has_it(&[(2, with_an_entry), (3, new())]), Conclusion::Join(..)));
        let not_new = Heard { is_newborn: false, ..joined.clone() };
        assert!(matches!(judge_one_that_has_it(&[(2, not_new), (3, new())]), Conclusion::Join(..)));
        assert_eq!(judge_one_that_has_it(&[(2, joined)]), Conclusion::Missing(vec![3]));
    }

    /// S7: a configuration that was shortened.
    #[test]
    fn a_shortened_configuration_makes_the_group_no_smaller() {
        let known = BTreeSet::from([1, 2]);
        let told = Heard { voters: BTreeSet::from([1, 2, 3]), ..member(point(1, 5), 4) };
        assert_eq!(voters_of(&known, &BTreeMap::from([(2, told)])), BTreeSet::from([1, 2, 3]));
        assert_eq!(voters_of(&known, &BTreeMap::from([(2, new())])), known);
    }

    /// S6: a node of another cluster.
    #[test]
    fn members_of_two_groups_are_told_apart() {
        let other = Heard { group_id: Some(GroupId(8)), ..member(point(3, 9), 3) };
        let ids = BTreeSet::from([GroupId(7), GroupId(8)]);
        let both = [(2, member(point(1, 5), 4)), (3, other)];
        assert_eq!(judge(1, true, false, &both), Conclusion::Strangers(ids));
    }

    #[test]
    fn a_new_directory_takes_the_generation_above_all_that_are_remembered() {
        assert_eq!(next_generation(&BTreeMap::from([(2, new())])), 1);
        let remembers =
            Memory { incarnation: Incarnation { generation: 4, starts: 9, directory: 1 }, holds: None };
        assert_eq!(next_generation(&BTreeMap::from([(2, new()), (3, Heard { remembers, ..new() })])), 5);
    }
}

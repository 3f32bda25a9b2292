//! A small model of votes, acknowledgements and lost disks, searched in full: what a node that lost its disk, or the
//! end of its log, may do before it is whole again. Its [`Rules`] are those that `raft::fence` names.
//!
//! Three nodes, every exchange between two of them is one step and may happen at any time or never, so every partition
//! and every pause is among the paths. Disks are lost one at a time: the next one only when all nodes are whole.

use std::fmt::Debug;

use stateright::{Checker, Model, Property};

const NODES: usize = 3;
const TERM_MAX: u8 = 3;
const LOG_MAX: usize = 2;
const MAJORITY: usize = NODES / 2 + 1;

/// What a node may do before it has heard every member.
#[derive(Clone, Copy, Debug)]
struct AtOnce {
    acknowledge: bool,
    vote: bool,
}

/// What a node that is not whole may do before it has heard every member; afterwards, in terms and for candidates that
/// are not below what it heard.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Its log, term and vote are gone.
    newborn: AtOnce,
    /// The end of its log is gone.
    forgetful: AtOnce,
}

/// The rules of `raft::fence`.
const OURS: Rules = Rules {
    newborn: AtOnce { acknowledge: false, vote: false },
    forgetful: AtOnce { acknowledge: true, vote: false },
};

/// One entry, known by who made it in which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    term: u8,
    by: usize,
}

/// Term and length of a log: the greater one is more up to date (Raft paper, 5.4.1).
type End = (u8, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    Follower,
    Candidate { votes: [bool; NODES] },
    Leader { matched: [usize; NODES] },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    Whole,
    /// Log, term and vote are gone.
    Newborn,
    /// The end of the log is gone.
    Forgetful,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    term: u8,
    voted_for: Option<usize>,
    log: Vec<Entry>,
    role: Role,
    standing: Standing,
    /// What the others told since the disk was lost.
    heard: [Option<(End, u8)>; NODES],
}

impl Node {
    fn end(&self) -> End {
        (self.log.last().map_or(0, |entry| entry.term), self.log.len())
    }

    /// The highest end and term of all others, once all of them were heard.
    fn heard_all(&self, this: usize) -> Option<(End, u8)> {
        let others = (0..NODES).filter(|node| *node != this);
        others.map(|node| self.heard[node]).try_fold(((0, 0), 0), |(end, term), heard| {
            heard.map(|(other_end, other_term)| (end.max(other_end), term.max(other_term)))
        })
    }

    fn may_acknowledge(&self, this: usize, term: u8, rules: Rules) -> bool {
        match self.standing {
            Standing::Whole => true,
            Standing::Forgetful if rules.forgetful.acknowledge => true,
            Standing::Newborn if rules.newborn.acknowledge => true,
            _ => self.heard_all(this).is_some_and(|(_, heard_term)| term >= heard_term),
        }
    }

    fn may_vote(&self, this: usize, term: u8, end: End, rules: Rules) -> bool {
        match self.standing {
            Standing::Whole => true,
            Standing::Forgetful if rules.forgetful.vote => true,
            Standing::Newborn if rules.newborn.vote => true,
            _ => self
                .heard_all(this)
                .is_some_and(|(heard_end, heard_term)| end >= heard_end && term > heard_term),
        }
    }

    /// Takes over a term at least as high as its own.
    fn see_term(&mut self, term: u8) {
        if term > self.term {
            (self.term, self.voted_for, self.role) = (term, None, Role::Follower);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    nodes: Vec<Node>,
    /// What was acknowledged to clients, by place in the log.
    acknowledged: Vec<Option<Entry>>,
    /// Two different entries were acknowledged for one place.
    contradicted: bool,
    losses: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Campaign(usize),
    AskVote {
        candidate: usize,
        voter: usize,
    },
    Propose(usize),
    Append {
        leader: usize,
        follower: usize,
    },
    /// What a majority holds is acknowledged to clients.
    Commit(usize),
    LoseDisk(usize),
    LoseTail(usize),
    Hear {
        who: usize,
        from: usize,
    },
    /// It has what a leader of its term has committed.
    BecomeWhole {
        leader: usize,
        node: usize,
    },
}

struct Disks {
    rules: Rules,
    /// Also the end of a log alone may be lost.
    tails: bool,
    losses_max: u8,
}

impl Disks {
    fn committed(leader: &Node) -> usize {
        let Role::Leader { matched } = &leader.role else { return 0 };
        let held = |length: usize| matched.iter().filter(|matched| **matched >= length).count() >= MAJORITY;
        // Only an entry of the own term is committed by counting (Raft paper, 5.4.2).
        (1..=leader.log.len())
            .rev()
            .find(|length| held(*length) && leader.log[length - 1].term == leader.term)
            .unwrap_or(0)
    }
}

impl Model for Disks {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let node = Node {
            term: 0,
            voted_for: None,
            log: Vec::new(),
            role: Role::Follower,
            standing: Standing::Whole,
            heard: [None; NODES],
        };
        let acknowledged = vec![None; LOG_MAX];
        vec![State { nodes: vec![node; NODES], acknowledged, contradicted: false, losses: 0 }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let all_whole = state.nodes.iter().all(|node| node.standing == Standing::Whole);
        for (id, node) in state.nodes.iter().enumerate() {
            let others = (0..NODES).filter(|other| *other != id);
            if node.term < TERM_MAX && node.may_vote(id, node.term + 1, node.end(), self.rules) {
                steps.push(Step::Campaign(id));
            }
            match &node.role {
                Role::Follower => {}
                Role::Candidate { votes } => {
                    steps.extend(
                        others
                            .clone()
                            .filter(|voter| !votes[*voter])
                            .map(|voter| Step::AskVote { candidate: id, voter }),
                    );
                }
                Role::Leader { .. } => {
                    if node.log.len() < LOG_MAX {
                        steps.push(Step::Propose(id));
                    }
                    steps.extend(others.clone().map(|follower| Step::Append { leader: id, follower }));
                    if Self::committed(node) > 0 {
                        steps.push(Step::Commit(id));
                        steps.extend((0..NODES).map(|node| Step::BecomeWhole { leader: id, node }));
                    }
                }
            }
            if node.standing != Standing::Whole && node.heard_all(id).is_none() {
                steps.extend(others.map(|from| Step::Hear { who: id, from }));
            }
            if all_whole && state.losses < self.losses_max {
                steps.push(Step::LoseDisk(id));
                if self.tails && !node.log.is_empty() {
                    steps.push(Step::LoseTail(id));
                }
            }
        }
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Campaign(id) => {
                let node = &mut state.nodes[id];
                let mut votes = [false; NODES];
                votes[id] = true;
                (node.term, node.voted_for, node.role) = (node.term + 1, Some(id), Role::Candidate { votes });
            }
            Step::AskVote { candidate, voter } => {
                let (term, end) = (before.nodes[candidate].term, before.nodes[candidate].end());
                let node = &mut state.nodes[voter];
                if term < node.term || !node.may_vote(voter, term, end, self.rules) {
                    return None;
                }
                node.see_term(term);
                if end < node.end() || node.voted_for.is_some_and(|id| id != candidate) {
                    return (state != *before).then_some(state);
                }
                node.voted_for = Some(candidate);
                let node = &mut state.nodes[candidate];
                if let Role::Candidate { votes } = &mut node.role {
                    votes[voter] = true;
                    if votes.iter().filter(|vote| **vote).count() >= MAJORITY {
                        let mut matched = [0; NODES];
                        matched[candidate] = node.log.len();
                        node.role = Role::Leader { matched };
                    }
                }
            }
            Step::Propose(id) => {
                let node = &mut state.nodes[id];
                node.log.push(Entry { term: node.term, by: id });
                if let Role::Leader { matched } = &mut node.role {
                    matched[id] = node.log.len();
                }
            }
            Step::Append { leader, follower } => {
                let (term, log) = (before.nodes[leader].term, before.nodes[leader].log.clone());
                let node = &mut state.nodes[follower];
                if term < node.term || !node.may_acknowledge(follower, term, self.rules) {
                    return None;
                }
                node.see_term(term);
                node.role = Role::Follower;
                let length = log.len();
                node.log = log;
                if let Role::Leader { matched } = &mut state.nodes[leader].role {
                    matched[follower] = length;
                }
            }
            Step::Commit(id) => {
                let committed = Self::committed(&before.nodes[id]);
                for (place, entry) in before.nodes[id].log[..committed].iter().enumerate() {
                    let known = state.acknowledged[place].get_or_insert(*entry);
                    state.contradicted |= known != entry;
                }
            }
            Step::LoseDisk(id) => {
                state.nodes[id] = Node {
                    term: 0,
                    voted_for: None,
                    log: Vec::new(),
                    role: Role::Follower,
                    standing: Standing::Newborn,
                    heard: [None; NODES],
                };
                state.losses += 1;
            }
            Step::LoseTail(id) => {
                let node = &mut state.nodes[id];
                node.log.pop();
                (node.role, node.standing, node.heard) = (Role::Follower, Standing::Forgetful, [None; NODES]);
                state.losses += 1;
            }
            Step::Hear { who, from } => {
                let told = (before.nodes[from].end(), before.nodes[from].term);
                state.nodes[who].heard[from] = Some(told);
            }
            Step::BecomeWhole { leader, node } => {
                let (leader, node) = (&before.nodes[leader], (node, &before.nodes[node]));
                let committed = Self::committed(leader);
                let (id, node) = node;
                let has_all = node.log.len() >= committed && node.log[..committed] == leader.log[..committed];
                let has_heard = node.standing == Standing::Forgetful
                    || self.rules.newborn.acknowledge
                    || node.heard_all(id).is_some();
                if node.standing == Standing::Whole || node.term != leader.term || !has_all || !has_heard {
                    return None;
                }
                (state.nodes[id].standing, state.nodes[id].heard) = (Standing::Whole, [None; NODES]);
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one entry is acknowledged for one place", |_, state: &State| {
                !state.contradicted
            }),
            Property::sometimes(
                "a lost disk is whole again after something was acknowledged",
                |_, state: &State| {
                    let acknowledged = state.acknowledged.iter().flatten().count();
                    state.losses == 1
                        && acknowledged == LOG_MAX
                        && state.nodes.iter().all(|node| node.standing == Standing::Whole)
                },
            ),
        ]
    }
}

/// Searches everything, and says which step by step path contradicts an acknowledgement, if any does.
fn contradiction(rules: Rules, tails: bool) -> Option<Vec<Step>> {
    let checker = Disks { rules, tails, losses_max: 1 }.checker().threads(2).spawn_bfs().join();
    println!("{rules:?}: {} states", checker.unique_state_count());
    let path =
        checker.discovery("one entry is acknowledged for one place").map(stateright::Path::into_actions);
    if path.is_none() {
        assert!(checker.discovery("a lost disk is whole again after something was acknowledged").is_some());
    }
    path
}

/// S5, and that the search would see it.
#[test]
fn a_newborn_that_acknowledges_before_it_has_heard_everybody_contradicts_an_acknowledgement() {
    let path = contradiction(Rules { newborn: AtOnce { acknowledge: true, ..OURS.newborn }, ..OURS }, false);
    println!("{path:#?}");
    assert!(
        path.expect("the rules of before are known to fail")
            .iter()
            .any(|step| matches!(step, Step::LoseDisk(_)))
    );
}

#[test]
fn a_newborn_that_votes_before_it_has_heard_everybody_contradicts_an_acknowledgement() {
    assert!(contradiction(Rules { newborn: AtOnce { vote: true, ..OURS.newborn }, ..OURS }, false).is_some());
}

#[test]
fn a_node_that_lost_the_end_of_its_log_and_votes_contradicts_an_acknowledgement() {
    assert!(
        contradiction(Rules { forgetful: AtOnce { vote: true, ..OURS.forgetful }, ..OURS }, true).is_some()
    );
}

#[test]
fn our_rules_contradict_nothing() {
    assert_eq!(contradiction(OURS, true), None);
}

//! An entry that a node cannot take in, and proposals of a term that has passed.

use std::time::Duration;

use bytes::Bytes;
use raft::{Proposal, ProposeError, ReadIndexError};

use crate::group::{Group, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn command(text: &str) -> Proposal {
    Proposal::command(Bytes::from(text.to_owned()))
}

/// Hands the lead to `id`, again and again if need be: a busy machine elects somebody now and then.
async fn make_lead(group: &Group, id: u64) {
    loop {
        let leader = group.leader().await;
        if leader == id {
            return;
        }
        let _ = group.node(leader).transfer_leader(id, SOON).await; // looked at in the next round
    }
}

/// Proposes at whoever leads, in the term in which it does; returns node and term.
async fn propose_now(group: &Group, text: &str) -> (u64, u64) {
    loop {
        let leader = group.leader().await;
        let term = group.view(leader).term;
        match group.node(leader).propose_in_term(term, command(text)).await {
            Ok(receipt) => {
                assert_eq!(receipt.term, term);
                return (leader, term);
            }
            Err(ProposeError::NotLeader { .. } | ProposeError::Unknown) => {}
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

/// S1: what was decided in a term is proposed in that term or not at all.
#[tokio::test]
async fn what_was_decided_in_a_term_is_refused_in_a_later_one() {
    let group = Group::start(3);
    let (first, decided_in) = propose_now(&group, "in its term").await;
    make_lead(&group, first % 3 + 1).await;
    make_lead(&group, first).await;
    assert!(group.view(first).term > decided_in);
    let late = group.node(first).propose_in_term(decided_in, command("too late")).await;
    assert!(matches!(late, Err(ProposeError::NotLeader { .. })), "{late:?}");
    let (_, now) = propose_now(&group, "decided anew").await;
    assert!(now > decided_in);
    let state = group.settle().await;
    assert!(state.commands.iter().all(|(_, command)| command != b"too late"), "{:?}", state.commands);
}

/// S1: a node that cannot apply an entry says so, stays up, and does not lead.
#[tokio::test]
async fn a_node_that_cannot_apply_gives_up_the_lead_and_stays() {
    let mut group = Group::start(3);
    group.command("before").await;
    let leader = group.leader().await;
    group.settle().await;
    group.shut_down(leader).await;
    group.fearful.insert(leader);
    group.run(leader);
    // Once it follows, it may lead.
    let poisoned = loop {
        make_lead(&group, leader).await;
        match group.node(leader).propose(command("poison")).await {
            Err(ProposeError::NotLeader { .. }) => {}
            poisoned => break poisoned,
        }
    };
    assert_eq!(poisoned, Err(ProposeError::Unknown), "it is committed, and not applied here");
    let reason = wait_for("the fearful one to tell why", || {
        group.view(leader).halted.ok_or_else(|| group.view(leader))
    })
    .await;
    assert!(reason.contains("cannot apply entry") && reason.contains("no poison"), "{reason}");
    let next = wait_for("another one to serve", || {
        let ready = group.running().into_iter().find(|id| *id != leader && group.view(*id).is_ready());
        ready.ok_or_else(|| group.running().into_iter().map(|id| group.view(id)).collect::<Vec<_>>())
    })
    .await;
    group.command("after").await;
    let refused = group.node(leader).propose(command("x")).await;
    assert!(matches!(refused, Err(ProposeError::Halted(_))), "{refused:?}");
    let read = group.node(leader).read_index(SOON).await;
    assert!(matches!(read, Err(ReadIndexError::Halted(_) | ReadIndexError::NotLeader { .. })), "{read:?}");
    let refused = group.node(next).transfer_leader(leader, Duration::from_secs(1)).await;
    assert!(refused.is_err(), "it must not lead");
    let view = group.view(leader);
    assert!(view.fatal.is_none() && view.applied_index < group.view(next).applied_index, "{view:?}");
    assert_eq!(group.recorder(leader).commands(), [b"before".to_vec()]);
    // It copies the log all the same: a build without fear goes on from where it stands.
    group.shut_down(leader).await;
    group.fearful.clear();
    group.run(leader);
    let state = group.settle().await;
    let applied: Vec<_> = state.commands.into_iter().map(|(_, command)| command).collect();
    assert_eq!(applied, [b"before".to_vec(), b"poison".to_vec(), b"after".to_vec()]);
}

/// S1: an entry that no node can apply kills none of them, not at the next start either.
#[tokio::test]
async fn a_poison_for_all_kills_nobody_over_restarts() {
    let mut group = Group::start_with(1, |_| {});
    group.command("before").await;
    group.shut_down(1).await;
    group.fearful.insert(1);
    group.run(1);
    group.leader().await;
    assert_eq!(group.node(1).propose(command("poison")).await, Err(ProposeError::Unknown));
    for clean in [true, false] {
        wait_for("the reason", || group.view(1).halted.ok_or_else(|| group.view(1))).await;
        assert!(!group.view(1).is_ready());
        if clean {
            group.shut_down(1).await;
        } else {
            group.crash(1).await;
        }
        group.run(1);
    }
    wait_for("the reason, once more", || group.view(1).halted.ok_or_else(|| group.view(1))).await;
    group.shut_down(1).await;
    group.fearful.clear();
    group.run(1);
    group.command("after").await;
    assert_eq!(group.recorder(1).commands(), [b"before".to_vec(), b"poison".to_vec(), b"after".to_vec()]);
}

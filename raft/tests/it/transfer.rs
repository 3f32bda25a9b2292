//! The lead is handed over, and the group changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use platform::{Disk, OsDisk};
use raft::{ChangeError, Proposal, ProposeError};

use crate::group::{Group, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_proposal_fails_because_of_a_transfer() {
    let group = Group::start(3);
    group.leader().await;
    let stop = Arc::new(AtomicBool::new(false));
    let nodes: Vec<_> = group.running().into_iter().map(|id| group.node(id)).collect();
    let load: Vec<_> = (0..8)
        .map(|task| {
            let (nodes, stop) = (nodes.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut sent = Vec::new();
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    let command = format!("task {task} command {}", sent.len());
                    // Again only where it was certainly not proposed; anything else is a failure.
                    loop {
                        match nodes[at].propose(Proposal::command(Bytes::from(command.clone()))).await {
                            Ok(_) => break,
                            Err(ProposeError::NotLeader { leader: Some(leader) }) => at = leader as usize - 1,
                            Err(ProposeError::NotLeader { leader: None }) => tokio::task::yield_now().await,
                            Err(error) => panic!("{command}: {error}"),
                        }
                    }
                    sent.push(command.into_bytes());
                }
                sent
            })
        })
        .collect();
    for _ in 0..5 {
        let leader = group.leader().await;
        let applied = group.view(leader).applied_index;
        let to = leader % 3 + 1;
        group.node(leader).transfer_leader(to, Duration::from_secs(10)).await.unwrap();
        wait_for("progress under the new leader", || {
            let view = group.view(to);
            if view.is_ready() && view.applied_index > applied + 50 { Ok(()) } else { Err(view) }
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = BTreeSet::new();
    for task in load {
        sent.extend(task.await.unwrap());
    }
    let state = group.settle().await;
    let applied: Vec<_> = state.commands.into_iter().map(|(_, command)| command).collect();
    assert_eq!(applied.len(), sent.len(), "something was applied twice, or not at all");
    assert_eq!(applied.into_iter().collect::<BTreeSet<_>>(), sent);
}

#[tokio::test]
async fn a_node_that_cannot_lead_yet_is_waited_for() {
    let mut group = Group::start(3);
    group.command("before").await;
    let leader = group.leader().await;
    let term = group.view(leader).term;
    let to = leader % 3 + 1;
    group.crash(to).await;
    // With a new directory it may have forgotten entries: it leads nobody before it has caught up.
    OsDisk.remove_dir_all(group.dir(to)).unwrap();
    group.run(to);
    group.node(leader).transfer_leader(to, Duration::from_secs(10)).await.unwrap();
    wait_for(
        "the chosen node to lead",
        || if group.view(to).is_ready() { Ok(()) } else { Err(group.view(to)) },
    )
    .await;
    assert_eq!(group.view(to).term, term + 1, "an election came between");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_no_reason_to_give_up_the_lead() {
    let mut group = Group::start(3);
    group.command("before").await;
    let leader = group.leader().await;
    let term = group.view(leader).term;
    let gone = leader % 3 + 1;
    group.crash(gone).await;
    let refused = group.node(leader).transfer_leader(gone, Duration::from_millis(500)).await;
    assert!(
        matches!(&refused, Err(ChangeError::Refused(why)) if why.contains(&format!("n{} ", gone - 1))),
        "{refused:?}"
    );
    group.command("after").await;
    assert_eq!((group.leader().await, group.view(leader).term), (leader, term));
}

#[tokio::test]
async fn a_node_that_is_not_fit_to_lead_is_not_handed_the_lead_and_says_why() {
    let group = Group::start(3);
    group.command("before").await;
    let leader = group.leader().await;
    let term = group.view(leader).term;
    let full = leader % 3 + 1;
    group.node(full).set_unfit(Some("its disk is full".into()));
    let would = group.node(leader).may_lead(full, Duration::from_secs(10)).await;
    assert!(matches!(&would, Err(why) if why.contains("its disk is full")), "{would:?}");
    let refused = group.node(leader).transfer_leader(full, Duration::from_millis(500)).await;
    assert!(
        matches!(&refused, Err(ChangeError::Refused(why)) if why.contains("its disk is full")),
        "{refused:?}"
    );
    assert_eq!((group.leader().await, group.view(leader).term), (leader, term));
    group.node(full).set_unfit(None);
    group.node(leader).transfer_leader(full, Duration::from_secs(10)).await.unwrap();
    wait_for("the chosen node to lead", || {
        if group.view(full).is_ready() { Ok(()) } else { Err(group.view(full)) }
    })
    .await;
}

#[tokio::test]
async fn a_new_node_learns_and_then_votes_and_an_old_one_leaves() {
    let group = Group::start_with(4, |config| {
        if config.node_id == 4 {
            config.bootstrap = false;
        } else {
            config.members.remove(&4);
        }
    });
    for n in 0..50 {
        group.command(&format!("command {n}")).await;
    }
    let leader = group.leader().await;
    let addr = group.node(4).local_addr().to_string();
    for id in 1..=3 {
        group.node(id).set_peer_addr(4, &addr);
    }
    group.node(leader).add_learner(4, &addr).await.unwrap();
    wait_for("the learner to catch up", || {
        let (learner, leader) = (group.view(4), group.view(leader));
        if learner.applied_index == leader.applied_index { Ok(()) } else { Err((learner, leader)) }
    })
    .await;
    let gone = leader % 3 + 1;
    let voters: BTreeSet<_> = (1..=4).filter(|id| *id != gone).collect();
    group.node(leader).change_members(voters.clone()).await.unwrap();
    group.command("with the new one").await;
    assert_eq!(group.view(leader).voters, voters.into_iter().collect::<Vec<_>>());
    wait_for("the new node to apply it", || match group.recorder(4).commands().len() {
        51 => Ok(()),
        other => Err(other),
    })
    .await;
}

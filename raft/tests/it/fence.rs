//! Nodes that lost what they had acknowledged, and nodes whose disk fails.

use std::path::Path;

use bytes::Bytes;
use platform::{Disk, OpenMode, OsDisk};
use raft::{Proposal, ProposeError};
use store::FlushMode;

use crate::disk::TestDisk;
use crate::group::{Group, wait_for};

pub fn copy_dir(from: &Path, to: &Path) {
    OsDisk.create_dir_all(to).unwrap();
    for path in OsDisk.list(from).unwrap() {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
            continue;
        }
        let source = OsDisk.open(&path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; source.len().unwrap() as usize];
        source.read_exact_at(&mut bytes, 0).unwrap();
        let target = OsDisk.open(&target, OpenMode::Create).unwrap();
        target.set_len(bytes.len() as u64).unwrap();
        target.write_all_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
    }
}

fn async_group() -> Group {
    Group::start_with(3, |config| config.flush = FlushMode::Async { interval_ms: 60_000 })
}

#[tokio::test]
async fn a_node_that_lost_acknowledged_entries_is_taken_back_without_a_vote_until_it_has_them() {
    let mut group = async_group();
    for n in 0..20 {
        group.command(&format!("early {n}")).await;
    }
    group.settle().await;
    let leader = group.leader().await;
    let forgetful = leader % 3 + 1;
    group.crash(forgetful).await;
    let log = group.dir(forgetful).join("commitlog");
    let kept = tempfile::tempdir().unwrap();
    copy_dir(&log, kept.path());
    group.run(forgetful);
    for n in 0..20 {
        group.command(&format!("late {n}")).await;
    }
    group.settle().await;
    // The machine loses power: what was in the page cache is gone, the vote is not.
    group.crash(forgetful).await;
    OsDisk.remove_dir_all(&log).unwrap();
    copy_dir(kept.path(), &log);
    group.set_disk(forgetful, TestDisk::booted(2));
    group.run(forgetful);
    wait_for("the fence to be lifted", || {
        let view = group.view(forgetful);
        if !view.fenced && view.applied_index > 40 { Ok(()) } else { Err(view) }
    })
    .await;
    assert_eq!(group.settle().await.commands.len(), 40);
    assert!(group.running().into_iter().all(|id| group.view(id).fatal.is_none()));
    // And it may lead again.
    let leader = group.leader().await;
    if leader != forgetful {
        let within = std::time::Duration::from_secs(10);
        group.node(leader).transfer_leader(forgetful, within).await.unwrap();
    }
    group.command("after").await;
    assert_eq!(group.settle().await.commands.len(), 41);
}

#[tokio::test]
async fn when_all_machines_lose_power_the_first_election_needs_all_of_them() {
    let mut group = async_group();
    for n in 0..20 {
        group.command(&format!("command {n}")).await;
    }
    for id in group.running() {
        group.crash(id).await;
        group.set_disk(id, TestDisk::booted(2));
    }
    group.run(1);
    group.run(2);
    for id in [1, 2] {
        wait_for("the others' vote requests to be possible", || {
            let view = group.view(id);
            let met = view.peers.iter().filter(|peer| peer.last_contact_ms.is_some()).count();
            if met > 0 && view.fenced { Ok(()) } else { Err(view) }
        })
        .await;
        assert!(group.view(id).leader.is_none());
    }
    group.run(3);
    group.command("again").await;
    assert_eq!(group.settle().await.commands.len(), 21);
    for id in 1..=3 {
        wait_for("the fences to be lifted", || {
            let view = group.view(id);
            if view.fenced { Err(view) } else { Ok(()) }
        })
        .await;
    }
}

#[tokio::test]
async fn after_a_failed_flush_the_node_stops_and_the_others_go_on() {
    let mut group = Group::start(3);
    group.command("before").await;
    for id in group.running() {
        group.shut_down(id).await;
        group.set_disk(id, TestDisk::booted(1));
    }
    let disk = TestDisk::booted(1);
    group.set_disk(1, disk.clone());
    for id in 1..=3 {
        group.run(id);
    }
    let leader = group.leader().await;
    if leader != 1 {
        let within = std::time::Duration::from_secs(10);
        group.node(leader).transfer_leader(1, within).await.unwrap();
        wait_for("node 1 to lead", || if group.view(1).is_ready() { Ok(()) } else { Err(group.view(1)) })
            .await;
    }
    disk.fail();
    let node = group.node(1);
    let outcome = node.propose(Proposal::command(Bytes::from("during"))).await;
    // Two others may have it on their disks before this node knows that its own has failed.
    assert!(matches!(outcome, Ok(_) | Err(ProposeError::Unknown | ProposeError::Stopped)), "{outcome:?}");
    wait_for("the node to stop", || {
        let view = group.view(1);
        if view.fatal.is_some() && !view.is_ready() { Ok(()) } else { Err(view) }
    })
    .await;
    let refused = node.propose(Proposal::command(Bytes::new())).await;
    assert_eq!(refused, Err(ProposeError::Stopped));
    group.crash(1).await;
    group.command("after").await;
    let commands = group.settle().await.commands;
    assert_eq!(commands.last().unwrap().1, b"after");
}

/// S18: the newer slot of the vote has rotted, and nobody knows in which term the node voted last.
#[tokio::test]
async fn a_damaged_vote_fences_the_node_until_it_has_heard_of_the_others() {
    let mut group = Group::start(3);
    for n in 0..5 {
        group.command(&format!("command {n}")).await;
    }
    group.settle().await;
    for id in 1..=3 {
        group.crash(id).await;
    }
    let vote = OsDisk.open(&group.dir(1).join("raft/vote"), OpenMode::ReadWrite).unwrap();
    let mut slots = [0; 8192];
    vote.read_exact_at(&mut slots, 0).unwrap();
    let newest = (0..2).max_by_key(|slot| slots[slot * 4096 + 8..][..8].to_vec()).unwrap() * 4096;
    vote.write_all_at(&[std::io::IoSlice::new(&[slots[newest + 22] ^ 1])], newest as u64 + 22).unwrap();
    group.run(1);
    assert!(group.view(1).fenced, "{:?}", group.view(1));
    group.run(2);
    group.run(3);
    group.command("with all of them").await;
    wait_for("the fence to be lifted", || {
        let view = group.view(1);
        if view.fenced { Err(view) } else { Ok(()) }
    })
    .await;
    group.settle().await;
}

/// A new node that was started alone said nothing for ten seconds, and raised no alarm.
#[tokio::test]
async fn a_new_node_says_within_a_second_whom_it_waits_for() {
    let mut group = Group::stopped(3);
    group.run(1);
    let began = tokio::time::Instant::now();
    wait_for("an alarm that names the missing", || {
        let view = group.view(1);
        let is_told = view.alarms.iter().any(|alarm| alarm.contains("waits for n1, n2"));
        if is_told { Ok(()) } else { Err(view) }
    })
    .await;
    // Half a second, and whatever a busy machine adds; without it there was none at all.
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    group.run(2);
    group.run(3);
    group.command("all there").await;
    wait_for("the alarm to end", || {
        let view = group.view(1);
        if view.alarms.is_empty() { Ok(()) } else { Err(view) }
    })
    .await;
}

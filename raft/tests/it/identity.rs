//! Directories that are not what they were: new, of another group, or put back to an older state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use platform::{Disk, OsDisk};
use raft::{NodeId, Proposal};
use tokio::time::timeout;

use crate::fence::copy_dir;
use crate::group::{Group, wait_for};

/// Longer than any election, and than the patience that once founded a group without its missing members.
const LONG: Duration = Duration::from_secs(4);

async fn commands(group: &Group, what: &str, count: usize) {
    for n in 0..count {
        group.command(&format!("{what} {n}")).await;
    }
}

/// Removes all that a node has on disk.
pub fn wipe(group: &Group, id: NodeId) {
    for path in OsDisk.list(group.dir(id)).unwrap() {
        if path.is_dir() { OsDisk.remove_dir_all(&path).unwrap() } else { OsDisk.remove_file(&path).unwrap() }
    }
}

async fn no_leader(group: &Group) {
    let led = wait_for("a leader, in vain", || {
        let views: Vec<_> = group.running().into_iter().map(|id| group.view(id)).collect();
        if views.iter().any(raft::View::is_ready) { Ok(()) } else { Err(views) }
    });
    assert!(timeout(LONG, led).await.is_err(), "somebody leads");
}

async fn until_all_are_whole(group: &Group) {
    wait_for("all fences to be lifted", || {
        let views: Vec<_> = group.running().into_iter().map(|id| group.view(id)).collect();
        if views.iter().all(|view| !view.fenced && view.alarms.is_empty()) { Ok(()) } else { Err(views) }
    })
    .await;
}

/// S6 and S7: two empty directories of three are not a group.
#[tokio::test]
async fn two_new_disks_found_no_second_group_while_the_third_member_is_away() {
    let mut group = Group::start(3);
    commands(&group, "early", 10).await;
    group.settle().await;
    let first = group.view(1).group_id.expect("it is founded");
    for id in group.running() {
        group.crash(id).await;
    }
    wipe(&group, 1);
    wipe(&group, 2);
    group.run(1);
    group.run(2);
    no_leader(&group).await;
    group.run(3);
    group.command("late").await;
    assert_eq!(group.settle().await.commands.len(), 11);
    until_all_are_whole(&group).await;
    assert!(group.running().into_iter().all(|id| group.view(id).group_id == Some(first)));
}

/// S6: the operator's word stands for a member that is not there.
#[tokio::test]
async fn a_group_is_founded_without_a_missing_member_only_if_somebody_says_so() {
    let mut group = Group::start(3);
    for id in group.running() {
        group.crash(id).await;
        wipe(&group, id);
    }
    group.run(2);
    group.run(3);
    no_leader(&group).await;
    group.node(3).leave_out_the_missing().unwrap();
    commands(&group, "by two", 3).await;
    let refused = group.node(3).leave_out_the_missing().unwrap_err();
    assert!(refused.to_string().contains("waits for no member"), "{refused}");
    group.run(1);
    commands(&group, "by three", 3).await;
    assert_eq!(group.settle().await.commands.len(), 6);
    until_all_are_whole(&group).await;
}

/// No group is dead forever: one member is lost for good, and another one has a new disk.
#[tokio::test]
async fn a_new_disk_comes_back_without_a_member_that_is_lost_for_good_if_somebody_says_so() {
    let mut group = Group::start(3);
    commands(&group, "by three", 10).await;
    group.settle().await;
    for id in group.running() {
        group.crash(id).await;
    }
    wipe(&group, 1);
    group.run(1);
    group.run(2);
    no_leader(&group).await;
    let refused = group.node(2).leave_out_the_missing().unwrap_err();
    assert!(refused.to_string().contains("waits for no member"), "{refused}");
    group.node(1).leave_out_the_missing().unwrap();
    commands(&group, "by two", 3).await;
    assert_eq!(group.settle().await.commands.len(), 13);
    until_all_are_whole(&group).await;
}

/// S6: a node of another cluster, with the same group name and at the same address.
#[tokio::test]
async fn a_disk_of_another_group_of_the_same_name_is_refused_in_words() {
    let (mut group, mut other) = (Group::start(3), Group::start(3));
    commands(&group, "ours", 5).await;
    commands(&other, "theirs", 9).await;
    other.settle().await;
    group.settle().await;
    group.crash(3).await;
    other.crash(3).await;
    wipe(&group, 3);
    copy_dir(other.dir(3), group.dir(3));
    group.run(3);
    wait_for("words on both sides", || {
        let views: Vec<_> = group.running().into_iter().map(|id| group.view(id)).collect();
        let say = views.iter().filter(|view| {
            view.alarms
                .iter()
                .any(|alarm| alarm.contains("belong to different groups") || alarm.contains("two groups"))
        });
        if say.count() == 3 { Ok(()) } else { Err(views) }
    })
    .await;
    assert_eq!(group.recorder(3).commands().len(), 9, "nothing was taken in");
    group.command("ours again").await;
    assert!(group.view(3).fatal.is_none());
}

/// S5: what the model shows, on real nodes: alone with a new disk, a leader acknowledges nothing.
#[tokio::test]
async fn a_new_disk_acknowledges_nothing_before_it_has_heard_every_member() {
    let mut group = Group::start(3);
    commands(&group, "early", 5).await;
    group.settle().await;
    let leader = group.leader().await;
    let [wiped, away] = [leader % 3 + 1, (leader + 1) % 3 + 1];
    group.crash(away).await;
    group.crash(wiped).await;
    wipe(&group, wiped);
    group.run(wiped);
    let node = group.node(leader);
    let proposal = node.propose(Proposal::command(Bytes::from("by one and a new disk")));
    let outcome = timeout(LONG, proposal).await;
    assert!(!matches!(outcome, Ok(Ok(_))), "{outcome:?}");
    assert!(group.view(wiped).fenced);
    group.run(away);
    group.command("by all").await;
    until_all_are_whole(&group).await;
    let commands = group.settle().await.commands;
    assert_eq!(commands.last().unwrap().1, b"by all");
}

/// Puts the files of `from` over those of a node, in place, as a snapshot of a virtual machine does: nothing on the
/// disk itself tells.
fn put_back(group: &Group, id: NodeId, from: &std::path::Path) {
    for name in ["raft", "commitlog", "checkpoints"] {
        let (from, to) = (from.join(name), group.dir(id).join(name));
        if name != "raft" {
            OsDisk.remove_dir_all(&to).unwrap();
        }
        copy_dir(&from, &to);
    }
}

/// S4: a disk that is put back to an older state.
#[tokio::test]
async fn a_disk_that_was_put_back_is_seen_told_fenced_and_filled_again() {
    let mut group = Group::start(3);
    commands(&group, "early", 20).await;
    group.settle().await;
    let leader = group.leader().await;
    let [behind, back] = [leader % 3 + 1, (leader + 1) % 3 + 1];
    group.crash(behind).await;
    group.crash(back).await;
    let kept = tempfile::tempdir().unwrap();
    copy_dir(group.dir(back), kept.path());
    group.run(back);
    commands(&group, "late", 20).await;
    group.shut_down(back).await;
    put_back(&group, back, kept.path());
    group.run(back);
    wait_for("the node to be told", || {
        let view = group.view(back);
        let is_told = view.alarms.iter().any(|alarm| alarm.contains("put back to an older state"));
        if is_told && view.fenced { Ok(()) } else { Err(view) }
    })
    .await;
    // It counts for nothing before everybody was heard.
    let node = group.node(leader);
    let outcome = timeout(LONG, node.propose(Proposal::command(Bytes::from("by one and an old disk")))).await;
    assert!(!matches!(outcome, Ok(Ok(_))), "{outcome:?}");
    group.run(behind);
    group.command("by all").await;
    until_all_are_whole(&group).await;
    let state = group.settle().await;
    let late = state.commands.iter().filter(|(_, command)| command.starts_with(b"late")).count();
    assert_eq!(late, 20, "acknowledged and lost");
}

/// S4: a directory that is restored from a copy, while the only node that knows better is dead.
#[tokio::test]
async fn a_copied_directory_elects_nobody_with_a_node_that_lags() {
    let mut group = Group::start(3);
    commands(&group, "early", 20).await;
    group.settle().await;
    let leader = group.leader().await;
    let [behind, back] = [leader % 3 + 1, (leader + 1) % 3 + 1];
    group.crash(behind).await;
    group.crash(back).await;
    let kept = tempfile::tempdir().unwrap();
    copy_dir(group.dir(back), kept.path());
    group.run(back);
    commands(&group, "late", 20).await;
    group.crash(back).await;
    group.crash(leader).await;
    wipe(&group, back);
    copy_dir(kept.path(), group.dir(back));
    group.run(back);
    group.run(behind);
    no_leader(&group).await;
    assert!(group.view(back).alarms.iter().any(|alarm| alarm.contains("copied")), "{:?}", group.view(back));
    group.run(leader);
    group.command("by all").await;
    until_all_are_whole(&group).await;
    assert_eq!(group.settle().await.commands.len(), 41);
}

/// S7: by hand, with a shortened `dLegerPeers`.
#[tokio::test]
async fn a_new_disk_with_a_shortened_list_of_members_does_not_make_the_group_smaller() {
    let is_short = Arc::new(AtomicBool::new(false));
    let short = Arc::clone(&is_short);
    let mut group = Group::start_with(3, move |config| {
        if short.load(Ordering::Relaxed) {
            config.members.remove(&3);
        }
    });
    commands(&group, "by all", 5).await;
    group.settle().await;
    group.crash(2).await;
    commands(&group, "by 1 and 3", 5).await;
    group.crash(1).await;
    group.crash(3).await;
    wipe(&group, 1);
    is_short.store(true, Ordering::Relaxed);
    group.run(1);
    group.run(2);
    no_leader(&group).await;
    assert!(group.view(1).fenced, "{:?}", group.view(1));
    for id in [1, 2] {
        group.crash(id).await;
    }
    is_short.store(false, Ordering::Relaxed);
    for id in [1, 2, 3] {
        group.run(id);
    }
    group.command("by all again").await;
    assert_eq!(group.settle().await.commands.len(), 11);
}

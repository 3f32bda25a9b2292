//! Damage in a node's log, met by whoever reads it: nobody ends, and what waits goes on once it is mended. Mending is the
//! application's; here the stories do it.

use std::io::IoSlice;

use platform::{Disk, OpenMode, OsDisk};
use raft::NodeId;

use crate::disk::TestDisk;
use crate::group::{Group, wait_for};

/// Changes a byte of an entry, counted from its begin, in the file of a node, running or not.
fn rot(group: &Group, id: NodeId, offset: u64, byte: u64) {
    let path = group.dir(id).join(format!("commitlog/commitlog/{:020}", offset - offset % (1 << 20)));
    let file = OsDisk.open(&path, OpenMode::ReadWrite).unwrap();
    let at = offset % (1 << 20) + byte;
    let mut bytes = [0];
    file.read_exact_at(&mut bytes, at).unwrap();
    file.write_all_at(&[IoSlice::new(&[bytes[0] ^ 0x10])], at).unwrap();
}

fn place(group: &Group, id: NodeId, log_index: u64) -> u64 {
    group.node(id).log().position(log_index).unwrap().unwrap().offset.0
}

/// Gives `id` what `from` has of all that is damaged.
fn mend(group: &Group, id: NodeId, from: NodeId) {
    let (log, other) = (group.node(id).log(), group.node(from).log());
    for damage in log.damage() {
        let given = other.intact(damage.stretch.first_index, damage.stretch.next_index);
        assert_eq!(log.repair(&damage.stretch, &given).unwrap(), [], "{damage:?}");
    }
}

async fn written(group: &Group, count: u32) {
    for n in 0..count {
        group.command(&format!("{n} {}", "oar".repeat(300))).await;
    }
}

/// A damaged header or body, read to be replicated: the stream to that follower stands still until it is mended.
#[tokio::test]
async fn a_leader_that_cannot_read_what_a_follower_misses_waits_and_leads_on() {
    for byte in [1, 60] {
        let mut group = Group::start(3);
        group.command("first").await;
        let leader = group.leader().await;
        let others: Vec<_> = group.running().into_iter().filter(|id| *id != leader).collect();
        let (away, witness) = (others[0], others[1]);
        group.crash(away).await;
        let from = group.view(leader).last_log_index;
        written(&group, 30).await;
        let damaged = from + 10;
        rot(&group, leader, place(&group, leader, damaged), byte);
        group.run(away);
        wait_for("the damage to be told", || {
            let view = group.view(leader);
            let told = group.node(leader).log().first_damaged(0);
            if told.is_some() { Ok(()) } else { Err(view) }
        })
        .await;
        // Others are served, and nobody ends.
        group.command("meanwhile").await;
        assert!(group.view(leader).fatal.is_none(), "byte {byte}");
        assert!(group.view(away).last_log_index < damaged, "byte {byte}: nothing damaged is handed on");
        mend(&group, leader, witness);
        let state = group.settle().await;
        assert_eq!(state.commands.len(), 32, "byte {byte}");
    }
}

/// Damage above the checkpoint, found at the start: nothing behind it is cut, applying waits, in words.
#[tokio::test]
async fn a_node_that_starts_over_a_hole_waits_and_then_applies_on() {
    for byte in [1, 9, 60] {
        let mut group = Group::start(3);
        written(&group, 30).await;
        let state = group.settle().await;
        let damaged = state.commands[12].0;
        let victim = group.leader().await;
        let offset = place(&group, victim, damaged);
        let last = group.view(victim).last_log_index;
        group.crash(victim).await;
        rot(&group, victim, offset, byte);
        group.run(victim);
        assert!(group.node(victim).log().last().unwrap().log_index >= last, "byte {byte}: nothing is cut");
        if byte == 1 {
            // The magic follows from its place, and the checksum agrees.
            assert_eq!(group.node(victim).log().damage(), []);
        } else {
            let words = wait_for("the node to say what it waits for", || {
                let view = group.view(victim);
                view.waits_for.clone().ok_or(view)
            })
            .await;
            assert!(words.contains(&format!("entry {damaged} is damaged")), "{words}");
            group.command("meanwhile").await;
            let view = group.view(victim);
            assert!(view.fatal.is_none() && view.halted.is_none() && !view.is_ready(), "{view:?}");
            assert_eq!(group.recorder(victim).commands().len(), 12, "all before it is applied");
            mend(&group, victim, group.leader().await);
        }
        group.command("after").await;
        group.settle().await;
        assert!(group.view(victim).waits_for.is_none());
        group.shut_down(victim).await;
    }
}

/// A checkpoint that the disk does not take is told, and tried again; what is half written counts for nothing.
#[tokio::test]
async fn a_checkpoint_without_room_is_told_and_tried_again_and_never_half_believed() {
    let mut group = Group::start(1);
    group.leader().await;
    group.shut_down(1).await;
    let disk = TestDisk::booted(1);
    group.set_disk(1, disk.clone());
    group.run(1);
    disk.refuse_checkpoints(true);
    // More than a segment: a boundary is passed, and a checkpoint of it wanted.
    for n in 0..30 {
        group.command(&format!("{n} {}", "oar".repeat(20_000))).await;
    }
    let words = wait_for("the checkpoint's failure to be told", || {
        let view = group.view(1);
        view.checkpoint_error.clone().ok_or(view)
    })
    .await;
    assert!(words.contains("checkpoint after"), "{words}");
    group.node(1).checkpoint_now().await.unwrap_err();
    group.command("served all the same").await;
    // A start in between finds what was whole before, and applies the rest again.
    group.crash(1).await;
    group.run(1);
    group.command("after a start").await;
    assert_eq!(group.recorder(1).commands().len(), 32);
    disk.refuse_checkpoints(false);
    group.node(1).checkpoint_now().await.unwrap();
    wait_for("nothing more to be told", || {
        let view = group.view(1);
        if view.checkpoint_error.is_none() { Ok(()) } else { Err(view) }
    })
    .await;
    group.crash(1).await;
    group.run(1);
    group.leader().await;
    assert_eq!(group.recorder(1).commands().len(), 32);
}

/// The first entry that a node has, where raft looks at its start; and a clean end while applying waits.
#[tokio::test]
async fn a_node_whose_first_entries_are_damaged_starts_and_stops() {
    let mut group = Group::start(3);
    written(&group, 10).await;
    group.settle().await;
    let victim = group.leader().await;
    let log = group.node(victim).log();
    let first = log.first_index().unwrap();
    let places: Vec<_> = (first..first + 4).map(|n| place(&group, victim, n)).collect();
    group.shut_down(victim).await;
    for offset in &places {
        rot(&group, victim, *offset, 9);
    }
    // Nobody mends here, and a leader that cannot read the only entries it has would lead in vain.
    group.command("without it").await;
    group.run(victim);
    group.command("meanwhile").await;
    group.settle_unread().await;
    let log = group.node(victim).log();
    log.verify(store::CommitlogOffset(places[0]), log.ends().committed).unwrap_err();
    group.shut_down(victim).await;
    group.run(victim);
    let other = group.running().into_iter().find(|id| *id != victim).unwrap();
    wait_for("the damage to be known again", || {
        let log = group.node(victim).log();
        let _ = log.verify(log.ends().min, log.ends().committed); // the first damage ends it
        mend(&group, victim, other);
        let is_whole = log.verify(log.ends().min, log.ends().committed).is_ok();
        if is_whole { Ok(()) } else { Err(log.damage()) }
    })
    .await;
    group.command("after").await;
    group.settle().await;
}

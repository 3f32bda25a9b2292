//! Bits that change in the files of a log. What is intact on any node is served by all of them again; what is damaged on
//! every node is refused with a sentence, and nobody ends.

use std::time::Duration;

use harness::views::Status;
use harness::{ClusterOptions, Run, files, node_name};
use platform::{Disk, OsDisk};

use crate::story::Story;

/// Where in an entry: its checksum, its term, its payload.
const PLACES: [u64; 3] = [9, 30, 100];
/// How long mending may take.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

/// Waits until `is_met` for the status of every node.
async fn each_status(story: &Story, what: &str, is_met: impl Fn(&Status) -> bool) {
    let deadline = tokio::time::Instant::now() + MENDED_WITHIN;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let mut statuses = Vec::new();
        for node in 0..3 {
            statuses.extend(story.cluster.status(node).await);
        }
        if statuses.len() == 3 && statuses.iter().all(&is_met) {
            return;
        }
        let seen: Vec<_> = statuses.iter().map(|status| (&status.damaged, &status.alarms)).collect();
        assert!(tokio::time::Instant::now() < deadline, "waited for {what}, saw {seen:?}");
    }
}

fn is_whole(status: &Status) -> bool {
    status.damaged.is_empty() && status.waits_for.is_none()
}

fn is_damaged_everywhere(status: &Status) -> bool {
    matches!(&status.damaged[..], [damage] if damage.everywhere)
}

/// G15: each node has lost other entries of one stretch, headers among them; they were killed, so nothing of it is in a
/// checkpoint.
#[tokio::test]
async fn three_nodes_with_different_damage_mend_each_other_and_lose_nothing() {
    let mut story = Story::begin("damaged-each").await;
    story.whole().await;
    story.send_some("a").await;
    story.cluster.wait_for_rest().await;
    story.cluster.kill_together(&[0, 1, 2]).await.unwrap();
    let entries = story.cluster.count_entries(0).unwrap();
    for node in 0..3 {
        for (n, at) in PLACES.iter().enumerate() {
            story.cluster.damage_entry(node, entries - 30 + 9 * n + 3 * node, *at).unwrap();
        }
        // Two neighbours.
        story.cluster.damage_entry(node, entries - 40 + 2 * node, 9).unwrap();
        story.cluster.damage_entry(node, entries - 39 + 2 * node, 9).unwrap();
    }
    for node in 0..3 {
        story.cluster.start_node(node).await.unwrap();
    }
    story.whole().await;
    each_status(&story, "all to be mended", is_whole).await;
    story.send_some("b").await;
    story.end().await;
}

/// S17: a running node, the leader first, and then each of them in turn.
#[tokio::test]
async fn damage_in_running_nodes_is_mended_while_they_serve() {
    let mut story = Story::begin("damaged-running").await;
    let leader = story.whole().await;
    let [away, _] = story.followers(leader);
    story.send_some("a").await;
    story.cluster.kill(away).await.unwrap();
    let before = story.cluster.count_entries(leader).unwrap();
    story.send_some("b").await;
    // What the follower that was away has to be sent.
    for (n, at) in PLACES.iter().enumerate() {
        story.cluster.damage_entry(leader, before + 3 * n, *at).unwrap();
    }
    story.cluster.start_node(away).await.unwrap();
    story.whole().await;
    story.cluster.wait_for_rest().await;
    each_status(&story, "all to be mended", is_whole).await;
    story.send_some("c").await;
    story.end().await;
}

/// Queues that have to be built over a damaged stretch: the node starts, fetches it, and builds them then.
#[tokio::test]
async fn queues_are_built_over_damage_once_it_is_mended() {
    let mut story = Story::begin("damaged-rebuild").await;
    story.whole().await;
    story.send_some("a").await;
    let leader = story.cluster.wait_for_rest().await;
    let others: Vec<_> = (0..3).filter(|node| *node != leader).collect();
    story.cluster.stop(leader).await.unwrap();
    OsDisk.remove_dir_all(&story.cluster.store_dir(leader).join("consumequeue")).unwrap();
    let entries = story.cluster.count_entries(leader).unwrap();
    story.cluster.damage_entry(leader, entries - 10, 100).unwrap();
    // Alone it waits, and says for what.
    for other in &others {
        story.cluster.kill(*other).await.unwrap();
    }
    story.cluster.start_node(leader).await.unwrap();
    let deadline = tokio::time::Instant::now() + MENDED_WITHIN;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let status = story.cluster.status(leader).await;
        let waits_for = status.as_ref().ok().and_then(|status| status.waits_for.as_deref());
        if waits_for.is_some_and(|words| words.contains("queues and index cannot be built")) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "no word of the damage: {status:?}");
    }
    for other in &others {
        story.cluster.start_node(*other).await.unwrap();
    }
    story.whole().await;
    each_status(&story, "all to be mended", is_whole).await;
    story.send_some("b").await;
    story.end().await;
}

/// One entry is damaged on every node, and their queues are gone: it is refused, and the rest is served.
#[tokio::test]
async fn what_is_damaged_on_every_node_is_refused_and_the_rest_is_served() {
    let mut story = Story::begin("damaged-everywhere").await;
    story.whole().await;
    story.send_some("a").await;
    story.cluster.wait_for_rest().await;
    for node in 0..3 {
        story.cluster.stop(node).await.unwrap();
    }
    let entries = story.cluster.count_entries(0).unwrap();
    for node in 0..3 {
        OsDisk.remove_dir_all(&story.cluster.store_dir(node).join("consumequeue")).unwrap();
        story.cluster.damage_entry(node, entries - 20, 100).unwrap();
    }
    for node in 0..3 {
        story.cluster.start_node(node).await.unwrap();
    }
    each_status(&story, "it to be told as damaged everywhere", |status| {
        is_damaged_everywhere(status) && status.waits_for.is_none()
    })
    .await;
    story.whole().await;
    story.send_some("b").await;
    story.cluster.finish().await.unwrap();
}

/// The same near the end of the log, above every checkpoint, where it is still to be applied.
#[tokio::test]
async fn what_is_damaged_on_every_node_before_it_is_applied_stops_no_group() {
    let mut story = Story::begin("damaged-before-applied").await;
    story.whole().await;
    story.send_some("a").await;
    story.cluster.wait_for_rest().await;
    story.cluster.kill_together(&[0, 1, 2]).await.unwrap();
    let entries = story.cluster.count_entries(0).unwrap();
    for node in 0..3 {
        // The body of a message: its head is as long again as the entry's.
        story.cluster.damage_entry(node, entries - 20, 160).unwrap();
        story.cluster.start_node(node).await.unwrap();
    }
    each_status(&story, "it to be told as damaged everywhere", |status| {
        is_damaged_everywhere(status) && status.waits_for.is_none() && status.halted.is_none()
    })
    .await;
    story.whole().await;
    story.send_some("b").await;
    story.cluster.finish().await.unwrap();
}

/// A sync that fails ends the node, with a sentence; what it left in the cache is written again at the next start.
#[tokio::test]
async fn a_failed_sync_ends_the_node_with_a_sentence_and_costs_nothing() {
    let mut story =
        Story::begin_with(ClusterOptions { clocks: true, ..ClusterOptions::new("failed-sync") }).await;
    let leader = story.whole().await;
    story.send_some("a").await;
    let load = story.load("b");
    load.wait_for_acks(100).await;
    if let Err(why) = story.cluster.fail_syncs(leader, true) {
        println!("not tried: {why:#}");
        story.stop(load).await;
        return story.end().await;
    }
    story
        .cluster
        .wait_for("the node to end", |view| (view.nodes[leader].run == Run::Ended).then_some(()))
        .await;
    let (_, ending) = story.cluster.ended().into_iter().next().unwrap();
    assert!(ending.contains("exit status: 1"), "{ending}");
    let log = files::read(&story.cluster.dir().join(format!("{}.1.log", node_name(leader)))).unwrap();
    assert!(log.contains("the commitlog has stopped") && !log.contains("panicked"), "{log}");
    story.another_leader(leader).await;
    load.wait_for_acks(100).await;
    story.cluster.fail_syncs(leader, false).unwrap();
    story.cluster.start_node(leader).await.unwrap();
    story.whole().await;
    load.wait_for_acks(50).await;
    story.stop(load).await;
    story.end().await;
}

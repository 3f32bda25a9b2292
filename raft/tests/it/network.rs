//! Strangers, nodes of other groups, and nodes that do not fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::group::{Group, wait_for};
use crate::identity::wipe;

#[tokio::test]
async fn random_bytes_on_the_peer_port_change_nothing() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4711);
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let group = Group::start(3);
    group.command("before").await;
    let addr = group.node(group.leader().await).local_addr().to_string();
    for _ in 0..200 {
        let connection = platform::Platform::os().net.connect(&addr).await.unwrap();
        let (mut reader, mut writer) = (connection.reader, connection.writer);
        let mut bytes = vec![0; rng.random_range(20..4096)];
        rng.fill_bytes(&mut bytes);
        // It may hang up while we are still talking.
        let _ = writer.write_all(&bytes).await;
        let closed = tokio::time::timeout(Duration::from_secs(10), reader.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "the node listens on to nonsense");
    }
    group.command("after").await;
    assert_eq!(group.settle().await.commands.len(), 2);
}

/// A group whose node 3 comes back, with an empty directory and another configuration.
async fn group_with_an_odd_one(adjust: impl Fn(&mut raft::NodeConfig) + Send + Sync + 'static) -> Group {
    let is_odd = Arc::new(AtomicBool::new(false));
    let odd = Arc::clone(&is_odd);
    let mut group = Group::start_with(3, move |config| {
        if config.node_id == 3 && odd.load(Ordering::Relaxed) {
            adjust(config);
        }
    });
    group.command("with it").await;
    group.crash(3).await;
    wipe(&group, 3);
    is_odd.store(true, Ordering::Relaxed);
    group.run(3);
    group.command("without it").await;
    wait_for("the odd one to be refused in words", || {
        let view = group.view(3);
        if view.alarms.iter().any(|alarm| alarm.contains("refused this node")) { Ok(()) } else { Err(view) }
    })
    .await;
    let stranger = group.view(3);
    assert!(stranger.leader.is_none() && stranger.applied_index == 0, "{stranger:?}");
    assert!(stranger.peers.iter().all(|peer| peer.last_contact_ms.is_none()), "{stranger:?}");
    group
}

#[tokio::test]
async fn a_node_with_other_segments_is_refused() {
    let group = group_with_an_odd_one(|config| config.segment_bytes = 2 << 20).await;
    let alarms = refusals(&group);
    assert!(alarms.iter().all(|alarm| alarm.contains("segments of 2097152 bytes")), "{alarms:?}");
}

#[tokio::test]
async fn a_node_of_another_group_is_refused() {
    let group = group_with_an_odd_one(|config| config.group = "another".into()).await;
    let alarms = refusals(&group);
    assert!(alarms.iter().all(|alarm| alarm.contains("group another, this is group group")), "{alarms:?}");
}

/// Of the stranger's alarms, those that are not about waiting for members.
fn refusals(group: &Group) -> Vec<String> {
    let alarms = group.view(3).alarms.into_iter();
    let refusals: Vec<_> = alarms.filter(|alarm| !alarm.starts_with("waits for")).collect();
    assert!(!refusals.is_empty());
    refusals
}

/// S19: with a secret, nobody is heard who does not know it.
#[tokio::test]
async fn a_node_without_the_groups_secret_is_not_heard_and_told_why() {
    const SECRET: &str = "three banks of oars, pulling together";
    let knows = Arc::new(AtomicBool::new(true));
    let known = Arc::clone(&knows);
    let mut group = Group::start_with(3, move |config| {
        let secret = if config.node_id == 3 && !known.load(Ordering::Relaxed) {
            "a guess of a stranger"
        } else {
            SECRET
        };
        config.peer_secret = Some(raft::PeerSecret::new(secret));
    });
    group.command("all know it").await;
    group.settle().await;
    group.crash(3).await;
    knows.store(false, Ordering::Relaxed);
    group.run(3);
    group.command("two know it").await;
    wait_for("words about the secret", || {
        let view = group.view(3);
        let is_told = view.alarms.iter().filter(|alarm| alarm.contains("peerSecret")).count() == 2;
        if is_told && view.leader.is_none() { Ok(()) } else { Err(view) }
    })
    .await;
    assert_eq!(group.recorder(3).commands().len(), 1);
    group.crash(3).await;
    knows.store(true, Ordering::Relaxed);
    group.run(3);
    assert_eq!(group.settle().await.commands.len(), 2);
}

//! Strangers, nodes of other groups, and nodes that do not fit.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::group::{Group, wait_for};

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

#[tokio::test]
async fn a_node_with_other_segments_is_refused() {
    let group = Group::start_with(3, |config| {
        if config.node_id == 3 {
            config.segment_bytes = 2 << 20;
        }
    });
    group.command("without it").await;
    let stranger = group.view(3);
    assert!(stranger.leader.is_none() && stranger.applied_index == 0, "{stranger:?}");
    assert!(stranger.peers.iter().all(|peer| peer.last_contact_ms.is_none()), "{stranger:?}");
}

#[tokio::test]
async fn a_node_of_another_group_is_refused() {
    let group = Group::start_with(3, |config| {
        if config.node_id == 2 {
            config.group = "another".into();
        }
    });
    group.command("without it").await;
    wait_for("the others to have no contact", || {
        let view = group.view(2);
        if view.peers.iter().all(|peer| peer.last_contact_ms.is_none()) { Ok(()) } else { Err(view) }
    })
    .await;
}

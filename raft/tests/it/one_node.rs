//! A group of one node: for development, and the plainest case of all.

use bytes::{Bytes, BytesMut};
use raft::{Node, NodeConfig, Proposal, ProposeError, StartError};
use std::sync::Arc;
use std::time::Duration;

use crate::group::{Echo, Group, Recorder};
use crate::units::unit;

#[tokio::test]
async fn it_leads_itself_and_remembers_over_clean_and_unclean_ends() {
    let mut group = Group::start(1);
    let receipt = group.command("one").await;
    assert_eq!((&receipt.reply.values[0][..], receipt.term), (&b"did one"[..], 1));
    let read = group.node(1).read_index(Duration::from_secs(5)).await.unwrap();
    assert!(read.log_index >= receipt.log_index && read.leader == 1);
    group.shut_down(1).await;
    group.run(1);
    group.command("two").await;
    assert_eq!(group.recorder(1).commands(), [b"one".to_vec(), b"two".to_vec()]);
    group.crash(1).await;
    group.run(1);
    let receipt = group.command("three").await;
    assert_eq!(receipt.term, 3);
    assert_eq!(group.recorder(1).commands(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}

#[tokio::test]
async fn merged_proposals_each_get_their_own_units_in_order() {
    let group = Group::start(1);
    group.leader().await;
    let node = group.node(1);
    let mut pending = Vec::new();
    for n in 0..2_000_u64 {
        let mut payload = BytesMut::new();
        for _ in 0..=n % 3 {
            payload.extend_from_slice(&unit("topic", (n % 4) as u32, format!("body {n}").as_bytes()));
        }
        pending.push((n, node.propose(Proposal::units(payload, (n % 3 + 1) as u32))));
    }
    let mut next = [0_u64; 4];
    let mut entries = std::collections::BTreeSet::new();
    for (n, receipt) in pending {
        let receipt = receipt.await.unwrap();
        entries.insert(receipt.log_index);
        assert_eq!(receipt.reply.units.len() as u64, n % 3 + 1);
        for (queue_offset, commitlog_offset) in receipt.reply.units {
            let next = &mut next[(n % 4) as usize];
            assert_eq!(queue_offset, *next);
            *next += 1;
            assert!(node.log().slice(store::CommitlogOffset(commitlog_offset), 8).is_ok());
        }
    }
    assert!(entries.len() < 1_000, "2000 proposals became {} entries", entries.len());
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_a_stopped_node_says_so() {
    let group = Group::start(1);
    group.leader().await;
    let node = group.node(1);
    let large = Bytes::from(vec![7; (512 << 10) + 1]);
    let refused = node.propose(Proposal::command(large)).await;
    assert_eq!(refused, Err(ProposeError::TooLarge { bytes: (512 << 10) + 1, limit: 512 << 10 }));
    node.propose(Proposal::command(Bytes::from(vec![7; 512 << 10]))).await.unwrap();
    node.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
    let stopped = node.propose(Proposal::command(Bytes::new())).await;
    assert!(matches!(stopped, Err(ProposeError::Stopped | ProposeError::Unknown)), "{stopped:?}");
}

#[tokio::test]
async fn a_directory_is_not_taken_over_by_another_node_or_twice() {
    let mut group = Group::start(1);
    group.command("mine").await;
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..group.config(1) };
    let start = |config| Node::start(config, platform::Platform::os(), Recorder::default(), Arc::new(Echo));
    assert!(start(config.clone()).is_err(), "two nodes in one directory");
    group.shut_down(1).await;
    let other = NodeConfig { group: "other".into(), ..config.clone() };
    assert!(matches!(start(other), Err(StartError::Identity { .. })));
    platform::Platform::os().disk.remove_file(&group.dir(1).join("raft/vote")).unwrap();
    assert!(matches!(start(config), Err(StartError::File { .. })), "a node without its vote");
}

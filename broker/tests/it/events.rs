//! What a node notes down for whoever asks afterwards.

use std::io::IoSlice;
use std::path::Path;

use platform::{Disk, OpenMode, OsDisk};
use protocol::{Command, RequestCode as code};

use super::support::{Node, create_topic, within};

/// S25: who changed what was told nowhere.
#[tokio::test]
async fn switches_that_an_operator_throws_are_noted_and_kept() {
    let node = Node::start("").await;
    let client = node.connect().await;
    let set = Command::request(code::UPDATE_BROKER_CONFIG).with_body("fileReservedTime=48\n");
    client.ok(set).await;
    client.create_topic("T", 2, 6).await;
    client.ok(create_topic("T", 2, 4)).await;
    client.ok(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "T")).await;
    let expected = [
        "set fileReservedTime=48 (was 72), for the whole group",
        "switched topic T: perm 6 -> 4",
        "deleted topic T",
    ];
    let noted = node.events("configuration").await;
    assert_eq!(noted.len(), expected.len(), "{noted:?}");
    for (noted, expected) in noted.iter().zip(expected) {
        assert!(noted.starts_with("127.0.0.1:") && noted.ends_with(expected), "{noted}");
    }
    let file = node.store().join("events.jsonl");
    within("the events to be in their file", async {
        loop {
            let kept = OsDisk.open(&file, OpenMode::Read).unwrap();
            let mut text = vec![0; kept.len().unwrap() as usize];
            kept.read_exact_at(&mut text, 0).unwrap();
            if String::from_utf8_lossy(&text).contains("deleted topic T") {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn damage_that_no_node_can_mend_is_noted() {
    let node = Node::start("").await;
    let client = node.connect().await;
    client.create_topic("T", 1, 6).await;
    client.send("T", 0, "", "a body that rots").await;
    client.wait_for_end("T", 0, 1).await;
    rot(&node.store(), b"a body that rots");
    client.pull("CG", "T", 0, 0).await;
    within("the damage to be noted", async { while node.events("repair").await.len() < 2 {} }).await;
    let noted = node.events("repair").await;
    assert!(noted[0].contains("of the log are damaged: "), "{noted:?}");
    assert!(noted[1].contains("damaged on every node"), "{noted:?}");
    node.stop().await;
}

/// Changes the first byte of `body` in the first segment of the log.
fn rot(store: &Path, body: &[u8]) {
    let mut dirs = vec![store.to_owned()];
    while let Some(dir) = dirs.pop() {
        for path in OsDisk.list(&dir).unwrap() {
            if path.is_dir() {
                dirs.push(path);
            } else if path.ends_with("00000000000000000000") {
                let file = OsDisk.open(&path, OpenMode::ReadWrite).unwrap();
                let mut bytes = vec![0; file.len().unwrap().min(1 << 20) as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                if let Some(at) = bytes.windows(body.len()).position(|window| window == body) {
                    return file.write_all_at(&[IoSlice::new(&[body[0] ^ 1])], at as u64).unwrap();
                }
            }
        }
    }
    panic!("no segment holds the message");
}

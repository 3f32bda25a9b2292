//! A link that can hang: what goes over it stays in the sockets until it is released.

use std::time::Duration;

use bytes::Bytes;
use raft::Proposal;
use store::CommitlogOffset;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::group::{Group, wait_for};

/// Forwards to one node, unless frozen.
struct Proxy {
    addr: String,
    frozen: watch::Sender<bool>,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let net = platform::Platform::os().net;
        let listener = net.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        let (frozen, flow) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok(client) = listener.accept().await {
                let Ok(server) = net.connect(&target).await else { continue };
                for (mut from, mut to) in [(client.reader, server.writer), (server.reader, client.writer)] {
                    let mut flow = flow.clone();
                    tokio::spawn(async move {
                        let mut buf = vec![0; 64 << 10];
                        while flow.wait_for(|frozen| !frozen).await.is_ok() {
                            let Ok(bytes @ 1..) = from.read(&mut buf).await else { break };
                            if flow.wait_for(|frozen| !frozen).await.is_err()
                                || to.write_all(&buf[..bytes]).await.is_err()
                            {
                                break;
                            }
                        }
                    });
                }
            }
        });
        Self { addr, frozen }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_hangs_holds_up_neither_the_group_nor_its_purges() {
    let group = Group::start(3);
    group.command("before").await;
    let leader = group.leader().await;
    let hung = leader % 3 + 1;
    let proxy = Proxy::start(group.node(hung).local_addr().to_string()).await;
    // New connections of the leader go through the proxy once the old ones are gone.
    group.node(leader).set_peer_addr(hung, &proxy.addr);
    let node = group.node(leader);
    let mut freeze = tokio::time::interval(Duration::from_millis(50));
    for n in 0..40 {
        if n == 10 {
            proxy.frozen.send_replace(true);
        }
        let text = format!("command {n} {}", "x".repeat(100 << 10));
        node.propose(Proposal::command(Bytes::from(text))).await.unwrap();
        freeze.tick().await;
    }
    wait_for("enough segments", || {
        let segments = node.log().segments();
        if segments.len() > 3 { Ok(()) } else { Err(segments) }
    })
    .await;
    let min = node.purge_before(CommitlogOffset(2 << 20)).await.unwrap();
    assert_eq!(min, CommitlogOffset(2 << 20));
    // Not at this very moment, perhaps: on a busy machine this process itself stands still for longer than a lease.
    wait_for("the leader to be ready", || {
        let view = group.view(leader);
        if view.is_ready() { Ok(()) } else { Err(view) }
    })
    .await;
    proxy.frozen.send_replace(false);
    assert_eq!(group.settle().await.commands.len(), 41);
}

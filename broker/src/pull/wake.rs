//! The task that answers pulls which waited: their message has come, or their time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::housekeeping::ticks::Ticks;
use crate::node::Node;
use crate::pull;
use crate::pull::held::HeldPull;

/// How often held pulls are looked through for expired ones.
const SWEEP: Duration = Duration::from_millis(100);

/// Answers pulls whose message has come, in the order they were woken.
pub async fn wake_pulls(node: Arc<Node>, mut woken: mpsc::UnboundedReceiver<HeldPull>) {
    while let Some(held) = woken.recv().await {
        pull::wake(&node, held);
    }
}

/// Answers pulls that waited long enough.
pub async fn expire_pulls(node: Arc<Node>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(SWEEP, shutdown);
    while ticks.next().await {
        for held in node.group.holds.expired(node.monotonic()) {
            pull::wake(&node, held);
        }
    }
    for held in node.group.holds.drain() {
        pull::wake(&node, held);
    }
}

//! Consume queues and key index on their way to the disk, off the path of every message.

use std::sync::Arc;
use std::time::Duration;

use store::CommitlogOffset;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::housekeeping::ticks::Ticks;
use crate::node::Node;

/// How often gathered consume queue units and index entries are written to their files.
const WRITE_OUT: Duration = Duration::from_secs(1);

/// Writes consume queues and key index out in the background. What the disk does not take stays in memory, and is tried
/// again.
pub async fn write_out(node: Arc<Node>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(WRITE_OUT, shutdown);
    let mut is_told = false;
    while ticks.next().await {
        let writer = Arc::clone(&node);
        let write = move || {
            let (queues, index) = (writer.group.queues.write_out(), writer.group.index.write_out());
            queues.and(index)
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Err(error)) if !is_told => {
                is_told = true;
                error!(%error, "consume queues and key index cannot be written out: they stay in memory");
            }
            Ok(Ok(())) if is_told => {
                is_told = false;
                info!("consume queues and key index are written out again");
            }
            _ => {}
        }
    }
}

/// Consume queues and key index to the disk: bounds what a restart after a loss of power reads of the log.
pub async fn flush(node: &Arc<Node>) {
    let node = Arc::clone(node);
    let flush = move || node.group.queues.flush().and_then(|()| node.group.index.flush());
    if let Ok(Err(error)) = tokio::task::spawn_blocking(flush).await {
        warn!(%error, "consume queues and key index not flushed; the next start reads them from the log");
    }
}

/// Consume queues and key index begin where the log does. A purge that was asked for may come much later, when no
/// follower is being sent any more what is to go, so it is watched for.
pub async fn follow_the_beginning(node: Arc<Node>, shutdown: watch::Receiver<bool>) {
    let mut views = node.group.raft.views();
    let mut shutdown = shutdown;
    let mut trimmed = None;
    loop {
        let purged = views.borrow_and_update().purged_index;
        if trimmed != Some(purged) {
            trimmed = Some(purged);
            trim(&node, node.group.log.ends().min).await;
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

pub async fn trim(node: &Node, min: CommitlogOffset) {
    let (queues, index) = (Arc::clone(&node.group.queues), Arc::clone(&node.group.index));
    let trimmed = move || queues.trim_below(min).and_then(|()| index.trim_below(min));
    if let Ok(Err(error)) = tokio::task::spawn_blocking(trimmed).await {
        warn!(%error, commitlog_min = min.0, "consume queues and key index not trimmed to where the log begins");
    }
}

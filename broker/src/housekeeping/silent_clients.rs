//! Clients that went without a word.

use std::time::Duration;

use tracing::info;

use crate::node::Node;

/// A client not heard of for so long is disconnected. Source: RocketMQ `channelExpiredTimeout`.
const CLIENT_SILENT: Duration = Duration::from_secs(120);

/// Disconnects clients whose heartbeats do not come any more.
pub fn drop_silent_clients(node: &Node) {
    let Some(before) = node.monotonic().checked_sub(CLIENT_SILENT) else { return };
    let silent = {
        let clients = node.clients();
        let before_ms = before.as_millis() as u64;
        let mut silent = clients.consumers.silent(before_ms);
        silent.extend(clients.producers.silent(before_ms));
        silent
    };
    for connection in silent.into_iter().filter_map(|id| node.connection(id)) {
        info!(peer = %connection.peer(), silent = ?CLIENT_SILENT, "client without heartbeats disconnected");
        connection.close();
    }
}

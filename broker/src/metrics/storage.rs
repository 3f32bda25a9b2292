//! What the log holds, and how it lies on the disk.

use std::fmt;

use web::metrics::{Families, NO_LABELS};

use super::words::flag;
use crate::node::Node;

const LABELS: [(&str, &str); 2] = [("storage_type", "local"), ("storage_medium", "disk")];

pub(super) fn tell(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let ends = node.group.log.ends();
    let unapplied = ends.committed.0.saturating_sub(node.group.applied_end().0);
    for (name, help, value) in [
        ("rocketmq_storage_size_bytes", "Bytes of log retained.", ends.appended.0 - ends.min.0),
        ("rocketmq_storage_flush_behind_bytes", "Bytes not flushed yet.", ends.appended.0 - ends.flushed.0),
        ("rocketmq_storage_dispatch_behind_bytes", "Committed bytes not applied yet.", unapplied),
    ] {
        out.gauges(name, help, [(LABELS, value)])?;
    }
    // Blank entries and commands may come first; without a message there is no age.
    if let Some(earliest_ms) = node.group.earliest_store_time() {
        let age_ms = (node.now_ms() as i64).saturating_sub(earliest_ms).max(0);
        let help = "Age of the oldest message retained.";
        out.gauges("rocketmq_storage_message_reserve_time_milliseconds", help, [(LABELS, age_ms)])?;
    }
    let help = "How long the syncs of the log took.";
    let times = [(NO_LABELS, node.group.log.sync_times())];
    out.histograms("rocketmq_storage_fsync_latency_milliseconds", help, 1_000, times)?;
    let damaged = node.group.log.damage();
    let damaged: u64 = damaged.iter().map(|damage| damage.stretch.end.0 - damage.stretch.start.0).sum();
    let help = "Bytes of log that are damaged here, and not mended yet.";
    out.gauge("rocketmq_storage_damaged_bytes", help, damaged)?;
    let help = "Stretches of log mended with another node's bytes.";
    out.counter("rocketmq_storage_repaired", help, node.group.log.repaired())?;
    let help = "Bytes of consume queues and key index that wait in memory for a file.";
    out.gauge("rocketmq_storage_unwritten_bytes", help, node.group.backlog().bytes)?;
    if let Ok(space) = node.platform.disk.space(&node.config.storage.root) {
        out.gauge("rocketmq_disk_available_bytes", "Room on the log's disk.", space.available_bytes)?;
        out.gauge("rocketmq_disk_total_bytes", "Size of the log's disk.", space.total_bytes)?;
    }
    let help = "1 if sends are refused for want of room.";
    out.gauge("rocketmq_disk_full", help, flag(node.group.is_disk_full()))
}

//! Fingerprints of what a node holds, to hold the nodes of a group against each other.

use std::io;

use serde_json::{Value, json};
use store::codec::{self, Record};

use crate::node::Node;
use crate::state::Sink;

/// FNV-1a, 64 bits: no secret depends on it, and it needs no table.
struct Fingerprint(u64);

impl Fingerprint {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

impl io::Write for Fingerprint {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Fingerprint {
    fn put<R: Record>(&mut self, table: &R) -> io::Result<()> {
        codec::write_body(table, self)
    }
}

/// Fingerprints of the log entries `from` to `upto` (inclusive; by default all that this node retains and has
/// applied), of every consume queue, and of the replicated tables. Every entry's checksum is verified on the way.
///
/// The log part is the same on all nodes for the same range; queues and tables are those of the moment, so
/// compare them at rest.
///
/// # Errors
/// A sentence, if the range is not held or an entry is damaged.
pub fn digest(node: &Node, from: Option<u64>, upto: Option<u64>) -> Result<Value, String> {
    let view = node.group.raft.view();
    let first = node.group.log.first_index().ok_or("the log is empty")?;
    let from = from.unwrap_or(first).max(first);
    let upto = upto.unwrap_or(view.applied_index);
    if upto > view.applied_index {
        return Err(format!("entry {upto} is above the applied index {}", view.applied_index));
    }
    let log = node.group.log.digest(from, upto).map_err(|error| error.to_string())?;
    let mut queues = Vec::new();
    for info in node.group.queues.list() {
        let store::QueueInfo { topic, queue_id, min, max } = info;
        // A queue dropped since it was listed has nothing to show.
        let Some(queue) = node.group.queues.get(&topic, queue_id) else { continue };
        let mut fingerprint = Fingerprint::new();
        let mut at = min;
        while at < max {
            let units = queue.read(at, 4_096).map_err(|error| error.to_string())?;
            if units.is_empty() {
                return Err(format!("queue {topic}/{queue_id} holds nothing at {at}, but its end is {max}"));
            }
            for unit in &units {
                fingerprint.add(&unit.offset.0.to_be_bytes());
                fingerprint.add(&unit.size.to_be_bytes());
                fingerprint.add(&unit.tag_hash.to_be_bytes());
            }
            at.0 += units.len() as u64;
        }
        queues.push(json!({
            "topic": topic, "queueId": queue_id, "min": min.0, "max": max.0, "digest": fingerprint.text(),
        }));
    }
    let mut tables = Fingerprint::new();
    node.group.tables().clone().put_into(&mut tables).map_err(|error| error.to_string())?;
    Ok(json!({
        "node": raft::node_name(node.group.node_id()),
        "from": from,
        "upto": upto,
        "digest": format!("{:08x}", log.crc32c),
        "bytes": log.end_offset.0 - log.first_offset.0,
        "commitlogMin": node.group.log.ends().min.0,
        "queues": queues,
        "tables": tables.text(),
    }))
}

//! The node's numbers for Prometheus, under the names that RocketMQ 5.3 emits and a few of our own.
//!
//! All are read from where they live at the moment of asking: nothing is kept here. What is measured on the way of a
//! message is counted in atomics that were looked up before (`stats`, `rpc_times`).

mod clients;
mod lag;
pub mod lag_ages;
mod raft;
mod storage;
mod traffic;
mod words;

use std::fmt;
use std::sync::Arc;

use web::metrics::{Families, Format};

use crate::events::follow;
use crate::node::Node;
use ::raft::node_name;

/// Everything, at this moment. Reads the log where the age of messages is asked for, so it may have to wait for the disk.
pub fn render(node: &Arc<Node>, format: Format) -> String {
    let common = vec![
        ("cluster", node.config.identity.cluster.clone()),
        ("node_type", "broker".to_owned()),
        ("node_id", node.group.name().to_owned()),
        ("peer_id", node_name(node.group.node_id())),
    ];
    let node = Arc::clone(node);
    format.write(common, move |families| tell(&node, families))
}

fn tell(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let view = node.group.raft.view();
    raft::tell(node, &view, out)?;
    let alarms = follow::alarms(node, &view).len();
    out.gauge("rocketmq_alarms", "What is wrong just now; /status tells it in words.", alarms)?;
    let help = "Log lines that nobody read in time.";
    out.counter("rocketmq_log_lines_lost", help, platform::Sink::stderr().lost())?;
    storage::tell(node, out)?;
    traffic::tell(node, out)?;
    clients::tell(node, out)
}

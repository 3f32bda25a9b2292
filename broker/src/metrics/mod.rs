//! The node's numbers for Prometheus, under the names that RocketMQ 5.3 emits and a few of our own.
//!
//! All are read from where they live at the moment of asking: nothing is kept here. What is measured on the way of a
//! message is counted in atomics that were looked up before (`stats`, `rpc_times`).

mod clients;
mod lag;
mod raft;
mod storage;
mod traffic;

use std::fmt;
use std::sync::Arc;

pub(crate) use lag::LagAges;
use web::metrics::{Families, Format};

use crate::events::follow;
use crate::http::node_name;
use crate::server::Broker;

/// Everything, at this moment. Reads the log where the age of messages is asked for, so it may have to wait for the disk.
pub fn render(broker: &Arc<Broker>, format: Format) -> String {
    let common = vec![
        ("cluster", broker.config.identity.cluster.clone()),
        ("node_type", "broker".to_owned()),
        ("node_id", broker.name().to_owned()),
        ("peer_id", node_name(broker.node_id())),
    ];
    let broker = Arc::clone(broker);
    format.write(common, move |families| tell(&broker, families))
}

fn tell(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    let view = broker.node.view();
    raft::tell(broker, &view, out)?;
    let alarms = follow::alarms(broker, &view).len();
    out.gauge("rocketmq_alarms", "What is wrong just now; /status tells it in words.", alarms)?;
    let help = "Log lines that nobody read in time.";
    out.counter("rocketmq_log_lines_lost", help, platform::Sink::stderr().lost())?;
    storage::tell(broker, out)?;
    traffic::tell(broker, out)?;
    clients::tell(broker, out)
}

/// A yes or no as a number.
fn flag(is_so: bool) -> u32 {
    u32::from(is_so)
}

/// A yes or no as a label.
fn word(is_so: bool) -> &'static str {
    if is_so { "true" } else { "false" }
}

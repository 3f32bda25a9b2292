//! Who is connected to this node, and how long requests take.

use std::collections::BTreeMap;
use std::fmt;

use protocol::command::heartbeat::ConsumeType;
use protocol::names;
use web::metrics::Families;

use super::words::word;
use crate::node::Node;

/// All clients speak this protocol.
const PROTOCOL: (&str, &str) = ("protocol_type", "remoting");

pub(super) fn tell(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    connections(node, out)?;
    out.gauge("rocketmq_held_pulls", "Pulls that wait for a message.", node.group.holds.len())?;
    let help = "Requests for old messages that are being read or wait for their turn.";
    out.gauge("rocketmq_cold_reads", help, node.cold_reads())?;
    requests(node, out)
}

fn connections(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let mut producers: BTreeMap<_, u64> = BTreeMap::new();
    let mut consumers: BTreeMap<_, u64> = BTreeMap::new();
    {
        let clients = node.clients();
        for client in clients.producers.all().flat_map(|(_, clients)| clients) {
            *producers.entry(client.metric_labels()).or_default() += 1;
        }
        for group in clients.consumers.names() {
            let Some(view) = clients.consumers.view(group) else { continue };
            for client in view.clients {
                let key = (group.to_owned(), client.metric_labels(), consume_mode(view.consume_type));
                *consumers.entry(key).or_default() += 1;
            }
        }
    }
    let rows = producers.iter().map(|((language, version), count)| {
        ([("language", language.as_str()), ("version", version), PROTOCOL], *count)
    });
    out.gauges("rocketmq_producer_connections", "Producers connected.", rows)?;
    let rows = consumers.iter().map(|((group, (language, version), mode), count)| {
        let labels = [
            ("consumer_group", group.as_str()),
            ("language", language),
            ("version", version),
            ("consume_mode", mode),
            PROTOCOL,
            ("is_system", word(names::is_system_group(group))),
        ];
        (labels, *count)
    });
    out.gauges("rocketmq_consumer_connections", "Consumers connected.", rows)
}

/// RocketMQ's word; what a client does not say is taken for a push consumer, as most are.
fn consume_mode(consume_type: Option<ConsumeType>) -> &'static str {
    match consume_type {
        Some(ConsumeType::ConsumeActively) => "pull",
        Some(ConsumeType::ConsumePop) => "pop",
        Some(ConsumeType::ConsumePassively) | None => "push",
    }
}

fn requests(node: &Node, out: &mut Families<'_>) -> fmt::Result {
    let rows = node.rpc_times.rows().into_iter().map(|(kind, counts)| {
        let labels = [
            ("protocol_type", "remoting".to_owned()),
            ("request_code", kind.request_name()),
            ("response_code", kind.response_name()),
            ("is_long_polling", word(kind.is_long_polling).to_owned()),
            ("result", (if kind.is_oneway { "oneway" } else { "success" }).to_owned()),
        ];
        (labels, counts)
    });
    let help = "From the arrival of a client's request to its answer.";
    out.histograms("rocketmq_rpc_latency_milliseconds", help, 1_000, rows)
}

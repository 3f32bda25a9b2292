//! Who is connected to this node.

use std::fmt;

use web::metrics::Families;

use crate::server::Broker;

pub(super) fn tell(broker: &Broker, out: &mut Families<'_>) -> fmt::Result {
    let (producers, consumers) = {
        let clients = broker.clients();
        let producers = clients.producers.all().map(|(_, clients)| clients.len()).sum::<usize>();
        let consumers: Vec<(String, usize)> = clients
            .consumers
            .names()
            .map(|group| (group.to_owned(), clients.consumers.connections(group).len()))
            .collect();
        (producers, consumers)
    };
    out.gauge("rocketmq_producer_connections", "Producers connected.", producers)?;
    let rows = consumers.iter().map(|(group, count)| ([("consumer_group", group.as_str())], *count));
    out.gauges("rocketmq_consumer_connections", "Consumers connected.", rows)?;
    out.gauge("rocketmq_held_pulls", "Pulls that wait for a message.", broker.holds.len())
}

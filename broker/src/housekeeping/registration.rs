//! Keeps every name server informed: who leads, where the nodes are, which topics exist.
//!
//! One task a name server. It registers at once when the node's standing in its group or a topic changes, and
//! every period otherwise; a name server that is away is tried again twice a second. The registration carries the
//! term, so that a deposed leader's late word never takes the route back. The connection stays open: when this
//! process dies, name servers see it close and drop the node at once; when it closes from the other side, the node
//! registers again.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::route::{
    DataVersion, RegisterBroker, RegisterBrokerBody, TopicConfig, TopicConfigWrapper, UnregisterBroker,
};
use protocol::proof::CHALLENGE;
use protocol::{Command, RequestCode, ResponseCode as code};
use remoting::{Client, Connection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::node::Node;
use crate::state::data_version;

/// How long a name server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// What a slice of a registration may have, well below what fits a frame.
const SLICE_BYTES: usize = 4 << 20;
/// What a topic takes in a registration beside its name, which stands there twice, and its attributes.
const TOPIC_BYTES: usize = 200;
/// How soon a name server that did not answer is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How often the connection of a registration is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Runs until `shutdown`, then takes the node out of the routes.
pub async fn run(node: Arc<Node>, client: Arc<Client>, shutdown: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for (number, addr) in node.config.network.namesrv_addrs.iter().enumerate() {
        let (node, client) = (Arc::clone(&node), Arc::clone(&client));
        tasks.spawn(keep_informed(node, client, number, addr.clone(), shutdown.clone()));
    }
    tasks.spawn(follow_views(Arc::clone(&node), shutdown));
    while tasks.join_next().await.is_some() {}
}

/// A change of role, readiness or term is a reason to register.
async fn follow_views(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut views = node.group.raft.views();
    let mut known = None;
    loop {
        let standing = {
            let view = views.borrow_and_update();
            (view.is_ready(), view.term, view.leader.is_some())
        };
        if known != Some(standing) {
            known = Some(standing);
            node.registrar.now();
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

async fn keep_informed(
    node: Arc<Node>,
    client: Arc<Client>,
    number: usize,
    addr: String,
    mut shutdown: watch::Receiver<bool>,
) {
    let done = &node.registrar.done[number];
    let mut wanted = node.registrar.wanted.subscribe();
    let mut was_reached = None;
    loop {
        let count = *wanted.borrow_and_update();
        let connection = match register(&node, &client, &addr).await {
            Ok((broker_id, connection)) => {
                if was_reached != Some(true) {
                    info!(namesrv = addr, broker_id, "registered");
                }
                Some(connection)
            }
            Err(reason) => {
                if was_reached != Some(false) {
                    warn!(namesrv = addr, reason, "not registered; trying again twice a second");
                }
                None
            }
        };
        let reached = connection.is_some();
        was_reached = Some(reached);
        done.send_replace(if reached { count } else { u64::MAX });
        let period = Duration::from_millis(node.config.network.register_period_ms);
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = worn_out(connection.as_deref(), period) => {}
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    done.send_replace(u64::MAX);
    if was_reached == Some(true) {
        unregister(&node, &client, &addr).await;
    }
}

/// Until a registration has to be repeated: its period is over, or the name server is gone. One that starts anew
/// knows nothing, and every client that asks it is without a route until then.
async fn worn_out(connection: Option<&Connection>, period: Duration) {
    let Some(connection) = connection else { return tokio::time::sleep(RETRY_AFTER).await };
    let deadline = tokio::time::Instant::now() + period;
    while connection.is_open() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
}

/// This node's broker id and the term: the leader is 0; a follower's is its node number, n0 being 1.
pub fn broker_id(node: &Node) -> (i64, u64) {
    let view = node.group.views.borrow();
    (if view.is_ready() { 0 } else { node.group.node_id() as i64 }, view.term)
}

async fn register(node: &Node, client: &Client, addr: &str) -> Result<(i64, Arc<Connection>), String> {
    let (broker_id, term) = broker_id(node);
    let (data_version, topics) = {
        let tables = node.group.tables();
        let permission = node.live().identity.permission as i32;
        let topics: Vec<_> = tables
            .topics()
            .map(|topic| {
                let mut config = TopicConfig::from(topic);
                // The inherit bit is not the broker's to take away.
                config.perm &= permission | !6;
                (topic.name.clone(), config)
            })
            .collect();
        (data_version(tables.topic_version(), term), topics)
    };
    let connection = client.connection(addr).await.map_err(|error| error.to_string())?;
    let slices = slices(topics, SLICE_BYTES);
    // A part tells nothing of what is not in it.
    let is_complete = slices.len() == 1;
    for (number, slice) in slices.into_iter().enumerate() {
        let wrapper = TopicConfigWrapper {
            // A name server takes each version once: RocketMQ gives every slice its own too.
            data_version: DataVersion { timestamp: data_version.timestamp + number as i64, ..data_version },
            topic_config_table: slice.into_iter().collect(),
            ..TopicConfigWrapper::default()
        };
        let body =
            RegisterBrokerBody { filter_server_list: Vec::new(), topic_config_serialize_wrapper: wrapper };
        let (body, crc) = body.encode(false);
        let header = RegisterBroker {
            broker_name: node.group.name().to_owned(),
            broker_addr: node.config.network.advertised_addr(),
            cluster_name: node.config.identity.cluster.clone(),
            ha_server_addr: node.config.network.ha_addr.clone(),
            broker_id,
            heartbeat_timeout_ms: None,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: Some(crc),
            zone_name: None,
        };
        let request =
            Command::request_of_broker(RequestCode::REGISTER_BROKER).with_header(&header).with_body(body);
        let request =
            if is_complete { request.with(RegisterBroker::TOPICS_ARE_COMPLETE, true) } else { request };
        let reply = call(node, &connection, request).await?;
        if reply.code != code::SUCCESS {
            return Err(format!("code {}: {}", reply.code, reply.remark.unwrap_or_default()));
        }
    }
    debug!(namesrv = addr, broker_id, term, "registration answered");
    Ok((broker_id, connection))
}

/// Asks a name server, with the proof it wants if this broker can give it. The challenge is asked for by the first request of
/// a connection, so that a new leader, whose connection is there, loses no time.
async fn call(node: &Node, connection: &Connection, request: Command) -> Result<Command, String> {
    let ask =
        async |request| connection.call(request, ANSWER_WITHIN).await.map_err(|error| error.to_string());
    let Some(secret) = &node.config.network.register_secret else { return ask(request).await };
    let known = node.registrar.challenge_of(connection.id());
    let first = known.as_ref().map_or_else(|| request.clone(), |known| secret.prove(request.clone(), known));
    let reply = ask(first).await?;
    match reply.ext.get(CHALLENGE) {
        Some(challenge) if reply.code != code::SUCCESS && known.as_deref() != Some(challenge) => {
            node.registrar.learn(connection.id(), challenge);
            ask(secret.prove(request, challenge)).await
        }
        _ => Ok(reply),
    }
}

/// Cuts the topics into registrations of about `bytes_max` each: all of 100,000 do not fit into one frame. None but
/// the only one has a single topic, which name servers take for an increment to what they know.
fn slices(topics: Vec<(String, TopicConfig)>, bytes_max: usize) -> Vec<Vec<(String, TopicConfig)>> {
    let mut slices = vec![Vec::new()];
    let mut bytes = 0;
    for (name, config) in topics {
        let attributes: usize =
            config.attributes.iter().map(|(key, value)| key.len() + value.len() + 6).sum();
        let topic_bytes = TOPIC_BYTES + 2 * name.len() + attributes;
        let last = slices.last_mut().expect("there is always one");
        if bytes + topic_bytes > bytes_max && last.len() > 1 {
            bytes = 0;
            slices.push(Vec::new());
        }
        bytes += topic_bytes;
        slices.last_mut().expect("there is always one").push((name, config));
    }
    if slices.len() > 1 && slices.last().is_some_and(|last| last.len() == 1) {
        let last = slices.pop().expect("it is the last of several");
        slices.last_mut().expect("there was one before it").extend(last);
    }
    slices
}

async fn unregister(node: &Node, client: &Client, addr: &str) {
    let (broker_id, _) = broker_id(node);
    let header = UnregisterBroker {
        broker_name: node.group.name().to_owned(),
        broker_addr: node.config.network.advertised_addr(),
        cluster_name: node.config.identity.cluster.clone(),
        broker_id,
    };
    let request = Command::request_of_broker(RequestCode::UNREGISTER_BROKER).with_header(&header);
    let answered = match client.connection(addr).await {
        Ok(connection) => call(node, &connection, request).await.map(drop),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = answered {
        warn!(
            namesrv = addr,
            error, "not unregistered; the name server drops this node when its connection closes"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(count: usize) -> Vec<(String, TopicConfig)> {
        (0..count).map(|n| (format!("topic-of-an-ordinary-length-{n:07}"), TopicConfig::default())).collect()
    }

    /// S21: with 137,000 topics the registration exceeded a frame, and a new leader had no route.
    #[test]
    fn a_registration_of_any_size_fits_frames() {
        let slices = slices(topics(140_000), SLICE_BYTES);
        assert!(slices.len() > 4, "{}", slices.len());
        assert_eq!(slices.iter().map(Vec::len).sum::<usize>(), 140_000);
        for slice in slices {
            let wrapper =
                TopicConfigWrapper { topic_config_table: slice.into_iter().collect(), ..Default::default() };
            let body = RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, ..Default::default() };
            let bytes = body.encode(false).0.len();
            assert!(bytes < 2 * SLICE_BYTES, "{bytes} bytes");
        }
    }

    #[test]
    fn only_a_broker_with_one_topic_registers_a_single_one() {
        for (count, bytes_max, lengths) in [
            (0, 1_000, &[0][..]),
            (1, 1, &[1]),
            (3, 1, &[3]),
            (5, 1, &[2, 3]),
            (4, 600, &[2, 2]),
            (6, 1_000_000, &[6]),
        ] {
            let found: Vec<_> = slices(topics(count), bytes_max).iter().map(Vec::len).collect();
            assert_eq!(found, lengths, "{count} topics of at most {bytes_max} bytes");
        }
    }
}

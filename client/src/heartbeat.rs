//! Telling every broker, again and again, that this client is there and what it does.

use std::sync::Arc;

use protocol::command::heartbeat::{ConsumerData, HeartbeatData, ProducerData, UnregisterClient};
use protocol::{Command, RequestCode};
use tokio::task::{JoinHandle, JoinSet};

use crate::core::Core;
use crate::inbound::Inbound;

/// What a client is to its brokers.
#[derive(Clone, Debug)]
pub(crate) enum Membership {
    /// A producer of a group.
    Producer {
        /// The group.
        group: String,
    },
    /// A consumer of a group.
    Consumer(ConsumerData),
}

impl Membership {
    fn heartbeat(&self, client_id: &str) -> HeartbeatData {
        let mut data = HeartbeatData { client_id: client_id.to_owned(), ..HeartbeatData::default() };
        match self {
            Self::Producer { group } => {
                data.producer_data_set.push(ProducerData { group_name: group.clone() });
            }
            Self::Consumer(consumer) => data.consumer_data_set.push(consumer.clone()),
        }
        data
    }
}

/// Beats at once when a node or a connection is new, and otherwise at the configured interval.
pub(crate) fn spawn(
    core: Arc<Core>,
    inbound: Arc<Inbound>,
    membership: Arc<dyn Fn() -> Membership + Send + Sync>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = core.stopped() => return,
                () = core.routes.new_nodes.notified() => {}
                () = inbound.opened.notified() => {}
                () = tokio::time::sleep(core.config.heartbeat_interval) => {}
            }
            beat(&core, &membership()).await;
        }
    })
}

/// One heartbeat to every node of every route in use. Nodes that do not answer hear the next one.
pub(crate) async fn beat(core: &Arc<Core>, membership: &Membership) {
    let request =
        Command::request(RequestCode::HEART_BEAT).with_body(membership.heartbeat(&core.client_id).to_bytes());
    let mut beats = JoinSet::new();
    for node in core.routes.nodes() {
        let (core, request) = (core.clone(), request.clone());
        beats.spawn(async move {
            if let Err(error) = core.transport.call(&node, request, core.config.call_timeout).await {
                tracing::debug!(node, error = &error as &dyn std::error::Error, "heartbeat not taken");
            }
        });
    }
    while beats.join_next().await.is_some() {}
}

/// Takes leave of every node. Without it they would find out by the closed connection.
pub(crate) async fn unregister(core: &Arc<Core>, producer_group: Option<&str>, consumer_group: Option<&str>) {
    let header = UnregisterClient {
        client_id: core.client_id.clone(),
        producer_group: producer_group.map(str::to_owned),
        consumer_group: consumer_group.map(str::to_owned),
    };
    let request = Command::request(RequestCode::UNREGISTER_CLIENT).with_header(&header);
    let mut goodbyes = JoinSet::new();
    for node in core.routes.nodes() {
        let (core, request) = (core.clone(), request.clone());
        goodbyes.spawn(async move {
            let time = std::time::Duration::from_secs(1).min(core.config.call_timeout);
            // Whoever is not there to hear it has forgotten us already.
            let _ = core.transport.call(&node, request, time).await;
        });
    }
    while goodbyes.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_names_the_client_and_its_group() {
        let membership = Membership::Producer { group: "pg".into() };
        let text = String::from_utf8(membership.heartbeat("10.0.0.1@7").to_bytes().to_vec()).unwrap();
        assert!(text.contains("\"clientID\":\"10.0.0.1@7\""), "{text}");
        assert!(text.contains("\"producerDataSet\":[{\"groupName\":\"pg\"}]"), "{text}");
    }
}

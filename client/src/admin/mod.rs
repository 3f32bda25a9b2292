//! Calls for operators: what `mqadmin` does, as functions.

mod broker;
mod group;
mod message;
mod namesrv;
mod offset;
mod topic;

use std::sync::Arc;
use std::time::Duration;

use protocol::json::JsonError;
use protocol::route::ClusterInfo;
use protocol::{Command, Header};

use crate::config::ClientConfig;
use crate::core::Core;
use crate::error::ClientError;
use crate::transport::bad_answer;

pub use message::{IdError, TimeRange};
pub use offset::ResetTo;

/// Pause before the name server is asked again for a leader that it did not know.
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// Asks and sets what operators want to know and set.
///
/// Functions that end in `_at` go to one node, whose address is given; the others find their way through a name
/// server. Bodies are the types of [`protocol`], as they travel.
///
/// ```no_run
/// # async fn example() -> Result<(), client::ClientError> {
/// use client::Admin;
/// use client::protocol::route::TopicConfig;
///
/// let admin = Admin::start("127.0.0.1:9876").await?;
/// let config = TopicConfig {
///     topic_name: "TopicTest".to_owned(),
///     read_queue_nums: 4,
///     write_queue_nums: 4,
///     ..TopicConfig::default()
/// };
/// admin.create_topic("DefaultCluster", &config).await?;
/// for (queue, ends) in admin.topic_stats("TopicTest").await?.offset_table {
///     println!("{}/{}: {} to {}", queue.broker_name, queue.queue_id, ends.min_offset, ends.max_offset);
/// }
/// admin.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Admin {
    core: Arc<Core>,
}

impl Admin {
    /// Starts; nothing needs to be up. The cluster is given as name servers, `host:port` separated by `;`, or as
    /// a whole [`ClientConfig`].
    ///
    /// # Errors
    /// If the configuration names no name server.
    pub async fn start(config: impl Into<ClientConfig>) -> Result<Self, ClientError> {
        Ok(Self { core: Core::start(config.into(), None).await? })
    }

    /// The name servers, as configured.
    pub fn namesrv_addrs(&self) -> &[String] {
        self.core.routes.namesrv().addrs()
    }

    /// The configuration in force.
    pub fn config(&self) -> &ClientConfig {
        &self.core.config
    }

    /// Sends any request to any node and returns the answer, whatever its code.
    ///
    /// # Errors
    /// If there is none.
    pub async fn ask_at(&self, addr: &str, request: Command) -> Result<Command, ClientError> {
        self.core.transport.answer(addr, request, self.core.config.call_timeout).await
    }

    /// Closes all connections.
    pub async fn shutdown(&self) {
        self.core.shutdown().await;
    }

    /// The leader of each broker group of a cluster, by name. Waits for a group that has none at the moment.
    ///
    /// # Errors
    /// If the cluster is not known, or a group has no leader in time.
    pub async fn leaders_of_cluster(&self, cluster: &str) -> Result<Vec<(String, String)>, ClientError> {
        self.wait_for_leaders(async || {
            let info = self.cluster_info().await?;
            let groups = groups_of(&info, cluster)?;
            Ok(groups
                .iter()
                .map(|name| {
                    let leader = info.broker_addr_table.get(name).and_then(|group| group.leader_addr());
                    (name.clone(), leader.map(str::to_owned))
                })
                .collect())
        })
        .await
    }

    /// Every node of a cluster: broker group, broker id, address.
    ///
    /// # Errors
    /// If the cluster is not known.
    pub async fn nodes_of_cluster(&self, cluster: &str) -> Result<Vec<(String, i64, String)>, ClientError> {
        let info = self.cluster_info().await?;
        let mut nodes = Vec::new();
        for name in groups_of(&info, cluster)? {
            let group = info.broker_addr_table.get(&name);
            let addrs = group.into_iter().flat_map(|group| &group.broker_addrs);
            nodes.extend(addrs.map(|(id, addr)| (name.clone(), *id, addr.clone())));
        }
        Ok(nodes)
    }

    /// The leader of each broker group that has the topic, by name. Waits for a group that has none at the moment.
    ///
    /// # Errors
    /// If the topic has no route, or a group has no leader in time.
    pub async fn leaders_of_topic(&self, topic: &str) -> Result<Vec<(String, String)>, ClientError> {
        self.wait_for_leaders(async || {
            let route = self.topic_route(topic).await?;
            Ok(route
                .broker_datas
                .iter()
                .map(|group| (group.broker_name.clone(), group.leader_addr().map(str::to_owned)))
                .collect())
        })
        .await
    }

    async fn wait_for_leaders(
        &self,
        ask: impl AsyncFn() -> Result<Vec<(String, Option<String>)>, ClientError>,
    ) -> Result<Vec<(String, String)>, ClientError> {
        let begun = self.core.now();
        loop {
            let groups = ask().await?;
            let Some((broker_name, _)) = groups.iter().find(|(_, leader)| leader.is_none()) else {
                return Ok(groups.into_iter().filter_map(|(name, leader)| Some((name, leader?))).collect());
            };
            if self.core.now().saturating_sub(begun) >= self.core.config.call_timeout {
                return Err(ClientError::NoLeader { broker_name: broker_name.clone() });
            }
            tokio::time::sleep(LEADER_PAUSE).await;
        }
    }

    /// Sends a request to one node; any code but 0 is an error.
    async fn call(&self, addr: &str, request: Command) -> Result<Command, ClientError> {
        self.core.transport.call(addr, request, self.core.config.call_timeout).await
    }

    /// The same for a request that is a typed header and nothing else.
    async fn call_with(&self, addr: &str, code: i32, header: &impl Header) -> Result<Command, ClientError> {
        self.call(addr, Command::request(code).with_header(header)).await
    }
}

/// The broker groups of a cluster.
fn groups_of(info: &ClusterInfo, cluster: &str) -> Result<Vec<String>, ClientError> {
    info.cluster_addr_table
        .get(cluster)
        .cloned()
        .ok_or_else(|| ClientError::NoCluster { cluster: cluster.to_owned() })
}

/// Reads the body of an answer.
fn body<T>(
    addr: &str,
    code: i32,
    answer: &Command,
    read: impl FnOnce(&[u8]) -> Result<T, JsonError>,
) -> Result<T, ClientError> {
    read(&answer.body).map_err(|error| bad_answer(addr, code, "body", error))
}

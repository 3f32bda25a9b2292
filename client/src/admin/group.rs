//! Groups: made, changed, removed, and who is in them.

use bytes::Bytes;
use protocol::command::admin::{
    ConsumerConnection, CreateGroups, DeleteGroup, GetConsumerConnections, GetConsumerRunningInfo,
    GetProducerConnections, GroupRequest, ProducerConnection, ProducerTable, SetMessageRequestMode,
    SubscriptionGroupConfig, SubscriptionGroupWrapper,
};
use protocol::route::TopicList;
use protocol::{Command, RequestCode, ResponseCode, names};

use super::{Admin, body};
use crate::error::ClientError;
use crate::message::check_group;

impl Admin {
    /// Creates a consumer group in every broker group of a cluster, or changes it.
    ///
    /// # Errors
    /// The first failure; broker groups before it have done it.
    pub async fn create_group(
        &self,
        cluster: &str,
        config: &SubscriptionGroupConfig,
    ) -> Result<(), ClientError> {
        for (_, addr) in self.leaders_of_cluster(cluster).await? {
            self.create_group_at(&addr, config).await?;
        }
        Ok(())
    }

    /// Creates a consumer group in one broker group, or changes it.
    ///
    /// # Errors
    /// A bad name, a node that refuses.
    pub async fn create_group_at(
        &self,
        addr: &str,
        config: &SubscriptionGroupConfig,
    ) -> Result<(), ClientError> {
        check_group(&config.group_name)?;
        let request =
            Command::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP).with_body(config.to_bytes());
        self.call(addr, request).await.map(drop)
    }

    /// Creates consumer groups in one broker group, or changes them: all of them or none. Brokers before 5.3.2 do
    /// not know the request.
    ///
    /// # Errors
    /// A bad name, a node that refuses; code 3 if it does not know the request.
    pub async fn create_groups_at(
        &self,
        addr: &str,
        configs: &[SubscriptionGroupConfig],
    ) -> Result<(), ClientError> {
        for config in configs {
            check_group(&config.group_name)?;
        }
        let list = CreateGroups { group_config_list: configs.to_vec() };
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST;
        self.call(addr, Command::request(code).with_body(list.to_bytes())).await.map(drop)
    }

    /// Sets at one broker group how a consumer group gets at a topic, for members that ask the broker for their
    /// queues.
    ///
    /// # Errors
    /// If the node refuses: code 17 if it does not know the topic, 29 or 1 for a mode that it does not have.
    pub async fn set_consume_mode_at(
        &self,
        addr: &str,
        mode: &SetMessageRequestMode,
    ) -> Result<(), ClientError> {
        let request = Command::request(RequestCode::SET_MESSAGE_REQUEST_MODE).with_body(mode.to_bytes());
        self.call(addr, request).await.map(drop)
    }

    /// Removes a consumer group from one broker group, with its offsets if wanted.
    ///
    /// # Errors
    /// If the node refuses.
    pub async fn delete_group_at(
        &self,
        addr: &str,
        group: &str,
        clean_offset: bool,
    ) -> Result<(), ClientError> {
        let header = DeleteGroup { group_name: group.to_owned(), clean_offset };
        self.call_with(addr, RequestCode::DELETE_SUBSCRIPTIONGROUP, &header).await.map(drop)
    }

    /// The configuration of a consumer group at one node. Asking makes it where groups come into being by use.
    ///
    /// # Errors
    /// If it refuses; code 26 if it does not know the group.
    pub async fn group_config_at(
        &self,
        addr: &str,
        group: &str,
    ) -> Result<SubscriptionGroupConfig, ClientError> {
        let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
        let answer = self.call_with(addr, code, &GroupRequest { group: group.to_owned() }).await?;
        body(addr, code, &answer, SubscriptionGroupConfig::read)
    }

    /// All consumer groups of one node.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn group_configs_at(&self, addr: &str) -> Result<SubscriptionGroupWrapper, ClientError> {
        let code = RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG;
        let answer = self.call(addr, Command::request(code)).await?;
        body(addr, code, &answer, SubscriptionGroupWrapper::read)
    }

    /// The members of a consumer group and what they subscribe.
    ///
    /// # Errors
    /// Code 206 if none is online.
    pub async fn consumer_connection(&self, group: &str) -> Result<ConsumerConnection, ClientError> {
        let mut all: Option<ConsumerConnection> = None;
        let mut offline = None;
        for (_, addr) in self.leaders_of_topic(&names::retry_topic(group)).await? {
            match self.consumer_connection_at(&addr, group).await {
                Ok(one) => match &mut all {
                    None => all = Some(one),
                    Some(all) => merge(all, one),
                },
                Err(error) if error.code() == Some(ResponseCode::CONSUMER_NOT_ONLINE) => {
                    offline = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match (all, offline) {
            (Some(all), _) => Ok(all),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ClientError::NoRoute { topic: names::retry_topic(group) }),
        }
    }

    /// The members of a consumer group as one node has them.
    ///
    /// # Errors
    /// Code 206 if it knows none.
    pub async fn consumer_connection_at(
        &self,
        addr: &str,
        group: &str,
    ) -> Result<ConsumerConnection, ClientError> {
        let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
        let header = GetConsumerConnections { consumer_group: group.to_owned() };
        let answer = self.call_with(addr, code, &header).await?;
        body(addr, code, &answer, ConsumerConnection::read)
    }

    /// The members of a producer group that a topic's leaders know.
    ///
    /// # Errors
    /// If a leader refuses; code 1 if it knows none.
    pub async fn producer_connection(
        &self,
        group: &str,
        topic: &str,
    ) -> Result<ProducerConnection, ClientError> {
        let code = RequestCode::GET_PRODUCER_CONNECTION_LIST;
        let mut all = ProducerConnection::default();
        let mut nobody = None;
        for (_, addr) in self.leaders_of_topic(topic).await? {
            let header = GetProducerConnections { producer_group: group.to_owned() };
            match self.call_with(&addr, code, &header).await {
                Ok(answer) => {
                    all.connection_set
                        .extend(body(&addr, code, &answer, ProducerConnection::read)?.connection_set);
                }
                Err(error) if error.code() == Some(ResponseCode::SYSTEM_ERROR) => nobody = Some(error),
                Err(error) => return Err(error),
            }
        }
        match nobody {
            Some(error) if all.connection_set.is_empty() => Err(error),
            _ => Ok(all),
        }
    }

    /// All producers that one node knows, by group.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn producers_at(&self, addr: &str) -> Result<ProducerTable, ClientError> {
        let code = RequestCode::GET_ALL_PRODUCER_INFO;
        let answer = self.call(addr, Command::request(code)).await?;
        body(addr, code, &answer, ProducerTable::read)
    }

    /// What one member of a consumer group says of itself: JSON as Java's clients write it, objects as keys
    /// included.
    ///
    /// # Errors
    /// If it is not online, or does not answer the broker.
    pub async fn consumer_running_info(
        &self,
        group: &str,
        client_id: &str,
        with_threads: bool,
    ) -> Result<Bytes, ClientError> {
        let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
        let header = GetConsumerRunningInfo {
            consumer_group: group.to_owned(),
            client_id: client_id.to_owned(),
            jstack_enable: with_threads,
        };
        let mut last = ClientError::NoRoute { topic: names::retry_topic(group) };
        for (_, addr) in self.leaders_of_topic(&names::retry_topic(group)).await? {
            match self.call_with(&addr, code, &header).await {
                Ok(answer) => return Ok(answer.body),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The topics that a consumer group subscribes or has offsets of, as one node knows them.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn topics_of_group_at(&self, addr: &str, group: &str) -> Result<Vec<String>, ClientError> {
        let code = RequestCode::QUERY_TOPICS_BY_CONSUMER;
        let answer = self.call_with(addr, code, &GroupRequest { group: group.to_owned() }).await?;
        Ok(body(addr, code, &answer, TopicList::read)?.topic_list)
    }
}

/// Adds what another broker group knows; a client connected to both counts once.
fn merge(all: &mut ConsumerConnection, one: ConsumerConnection) {
    for connection in one.connection_set {
        if all.connection_set.iter().all(|known| known.client_id != connection.client_id) {
            all.connection_set.push(connection);
        }
    }
    all.subscription_table.extend(one.subscription_table);
}

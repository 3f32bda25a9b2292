//! Topics: made, changed, removed, looked at.

use protocol::command::admin::{
    CreateTopic, CreateTopics, GetTopicConfig, GroupList, TopicConfigWrapper, TopicRequest, TopicStatsTable,
};
use protocol::route::{TopicConfig, TopicList};
use protocol::{Command, RequestCode, names};

use super::{Admin, body};
use crate::error::ClientError;
use crate::message::check_topic;

impl Admin {
    /// Creates a topic in every broker group of a cluster, or changes it.
    ///
    /// # Errors
    /// The first failure; groups before it have done it.
    pub async fn create_topic(&self, cluster: &str, config: &TopicConfig) -> Result<(), ClientError> {
        for (_, addr) in self.leaders_of_cluster(cluster).await? {
            self.create_topic_at(&addr, config).await?;
        }
        Ok(())
    }

    /// Creates a topic in one broker group, or changes it.
    ///
    /// # Errors
    /// A bad name or permission, a node that refuses.
    pub async fn create_topic_at(&self, addr: &str, config: &TopicConfig) -> Result<(), ClientError> {
        check_topic(&config.topic_name)?;
        let attributes: Vec<String> =
            config.attributes.iter().map(|(key, value)| signed(key, value)).collect();
        let header = CreateTopic {
            topic: config.topic_name.clone(),
            default_topic: Some(names::AUTO_CREATE_TOPIC.to_owned()),
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            topic_filter_type: Some(config.topic_filter_type.name().to_owned()),
            topic_sys_flag: Some(config.topic_sys_flag),
            order: config.order,
            attributes: Some(attributes.join(",")),
        };
        self.call_with(addr, RequestCode::UPDATE_AND_CREATE_TOPIC, &header).await.map(drop)
    }

    /// Creates topics in one broker group, or changes them: all of them or none. Brokers before 5.3.2 do not know
    /// the request.
    ///
    /// # Errors
    /// A bad name, a node that refuses; code 3 if it does not know the request.
    pub async fn create_topics_at(&self, addr: &str, configs: &[TopicConfig]) -> Result<(), ClientError> {
        for config in configs {
            check_topic(&config.topic_name)?;
        }
        let mut list = CreateTopics { topic_config_list: configs.to_vec() };
        for config in &mut list.topic_config_list {
            let attributes = std::mem::take(&mut config.attributes);
            config.attributes = attributes.into_iter().map(|(key, value)| (with_sign(key), value)).collect();
        }
        let code = RequestCode::UPDATE_AND_CREATE_TOPIC_LIST;
        self.call(addr, Command::request(code).with_body(list.to_bytes())).await.map(drop)
    }

    /// Removes a topic with its messages from every broker group of a cluster and from all name servers.
    ///
    /// # Errors
    /// The first failure; what came before it is done.
    pub async fn delete_topic(&self, cluster: &str, topic: &str) -> Result<(), ClientError> {
        for (_, addr) in self.leaders_of_cluster(cluster).await? {
            self.delete_topic_at(&addr, topic).await?;
        }
        self.delete_topic_in_namesrv(topic, Some(cluster)).await?;
        self.delete_kv(names::ORDER_TOPIC_NAMESPACE, topic).await
    }

    /// Removes a topic with its messages from one broker group.
    ///
    /// # Errors
    /// If the node refuses.
    pub async fn delete_topic_at(&self, addr: &str, topic: &str) -> Result<(), ClientError> {
        let header = TopicRequest { topic: topic.to_owned() };
        self.call_with(addr, RequestCode::DELETE_TOPIC_IN_BROKER, &header).await.map(drop)
    }

    /// The ends of all queues of a topic, in all broker groups.
    ///
    /// # Errors
    /// If a leader cannot be asked.
    pub async fn topic_stats(&self, topic: &str) -> Result<TopicStatsTable, ClientError> {
        let mut all = TopicStatsTable::default();
        for (_, addr) in self.leaders_of_topic(topic).await? {
            let stats = self.topic_stats_at(&addr, topic).await?;
            all.offset_table.extend(stats.offset_table);
            all.topic_put_tps += stats.topic_put_tps;
        }
        Ok(all)
    }

    /// The ends of the queues of a topic at one node.
    ///
    /// # Errors
    /// If it refuses; code 17 if it does not know the topic.
    pub async fn topic_stats_at(&self, addr: &str, topic: &str) -> Result<TopicStatsTable, ClientError> {
        let code = RequestCode::GET_TOPIC_STATS_INFO;
        let answer = self.call_with(addr, code, &TopicRequest { topic: topic.to_owned() }).await?;
        body(addr, code, &answer, TopicStatsTable::read)
    }

    /// The configuration of a topic at one node.
    ///
    /// # Errors
    /// If it refuses; code 17 if it does not know the topic.
    pub async fn topic_config_at(&self, addr: &str, topic: &str) -> Result<TopicConfig, ClientError> {
        let code = RequestCode::GET_TOPIC_CONFIG;
        let header = GetTopicConfig { topic: topic.to_owned(), is_logical: true };
        let answer = self.call_with(addr, code, &header).await?;
        body(addr, code, &answer, TopicConfig::read)
    }

    /// All topics of one node.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn topic_configs_at(&self, addr: &str) -> Result<TopicConfigWrapper, ClientError> {
        let code = RequestCode::GET_ALL_TOPIC_CONFIG;
        let answer = self.call(addr, Command::request(code)).await?;
        body(addr, code, &answer, TopicConfigWrapper::read)
    }

    /// The topics that one node has for itself.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn system_topics_at(&self, addr: &str) -> Result<Vec<String>, ClientError> {
        let code = RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER;
        let answer = self.call(addr, Command::request(code)).await?;
        Ok(body(addr, code, &answer, TopicList::read)?.topic_list)
    }

    /// The consumer groups that subscribe a topic or have offsets of it.
    ///
    /// # Errors
    /// If a leader cannot be asked.
    pub async fn groups_of_topic(&self, topic: &str) -> Result<Vec<String>, ClientError> {
        let code = RequestCode::QUERY_TOPIC_CONSUME_BY_WHO;
        let mut groups = Vec::new();
        for (_, addr) in self.leaders_of_topic(topic).await? {
            let answer = self.call_with(&addr, code, &TopicRequest { topic: topic.to_owned() }).await?;
            groups.extend(body(&addr, code, &answer, GroupList::read)?.group_list);
        }
        groups.sort();
        groups.dedup();
        Ok(groups)
    }
}

/// Brokers want to be told whether an attribute is set or removed; what has a sign keeps it.
fn signed(key: &str, value: &str) -> String {
    if key.starts_with('-') { key.to_owned() } else { format!("+{}={value}", key.trim_start_matches('+')) }
}

/// The key of an attribute in a list; one without a sign is to be set.
fn with_sign(key: String) -> String {
    if key.starts_with(['+', '-']) { key } else { format!("+{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_say_whether_they_are_set_or_removed() {
        assert_eq!(signed("message.type", "FIFO"), "+message.type=FIFO");
        assert_eq!(signed("+message.type", "FIFO"), "+message.type=FIFO");
        assert_eq!(signed("-message.type", ""), "-message.type");
        assert_eq!(with_sign("message.type".to_owned()), "+message.type");
        assert_eq!(with_sign("-message.type".to_owned()), "-message.type");
    }
}

//! Messages looked up by where they are, and by what they are called.

use bytes::Bytes;
use protocol::command::admin::ConsumeMessageDirectly;
use protocol::command::query::{QueryConsumeQueue, QueryMessage, ViewMessage};
use protocol::message::id;
use protocol::route::BrokerData;
use protocol::{Command, RequestCode, ResponseCode};

use super::Admin;
use crate::error::ClientError;
use crate::received::ReceivedMessage;
use crate::transport::bad_answer;

pub use protocol::message::id::IdError;

/// When a message was stored, in milliseconds since the epoch, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Not before.
    pub from_ms: i64,
    /// Not after.
    pub to_ms: i64,
}

impl TimeRange {
    /// Any time.
    pub const ALL: Self = Self { from_ms: 0, to_ms: i64::MAX };
}

/// What a message is looked up by.
enum Key<'a> {
    /// One of its keys.
    Own(&'a str),
    /// Its unique key.
    Unique(&'a str),
}

impl Admin {
    /// The message at a commitlog offset of one node.
    ///
    /// # Errors
    /// Code 1 if none begins there.
    pub async fn view_message_at(
        &self,
        addr: &str,
        commitlog_offset: i64,
    ) -> Result<ReceivedMessage, ClientError> {
        let code = RequestCode::VIEW_MESSAGE_BY_ID;
        let answer =
            self.call_with(addr, code, &ViewMessage { offset: commitlog_offset, topic: None }).await?;
        let messages = ReceivedMessage::all_of(&answer.body, "")
            .map_err(|error| bad_answer(addr, code, "message", error))?;
        messages.into_iter().next().ok_or_else(|| bad_answer(addr, code, "message", "there is none"))
    }

    /// The message of an offset message id, which names a node and a commitlog offset. If that node does not
    /// answer, or knows nothing of it, every other node of the cluster is asked: a broker group has the same
    /// message at the same offset on every node.
    ///
    /// # Errors
    /// [`ClientError::Id`] if `msg_id` is not such an id.
    pub async fn message_by_offset_id(&self, msg_id: &str) -> Result<ReceivedMessage, ClientError> {
        let (addr, offset) = id::parse_offset_message_id(msg_id)
            .map_err(|source| ClientError::Id { id: msg_id.to_owned(), source })?;
        let addr = addr.to_string();
        let error = match self.view_message_at(&addr, offset).await {
            Ok(message) => return Ok(message),
            Err(error) => error,
        };
        let group = self.group_of_node(&addr).await?;
        for other in
            group.iter().flat_map(|group| group.broker_addrs.values()).filter(|other| **other != addr)
        {
            if let Ok(message) = self.view_message_at(other, offset).await {
                return Ok(message);
            }
        }
        Err(error)
    }

    /// The broker group that a node belongs to. It may have left the route; with one group there is no doubt which
    /// it belonged to.
    ///
    /// # Errors
    /// If no name server answers.
    pub async fn group_of_node(&self, addr: &str) -> Result<Option<BrokerData>, ClientError> {
        let mut groups = self.cluster_info().await?.broker_addr_table;
        let is_one = groups.len() == 1;
        let name = groups
            .iter()
            .find(|(_, group)| is_one || group.broker_addrs.values().any(|node| *node == addr))
            .map(|(name, _)| name.clone());
        Ok(name.and_then(|name| groups.remove(&name)))
    }

    /// Has one member of a consumer group consume a message that is stored, once more and at once, and returns what
    /// it says of that: JSON as Java's clients write it. No consumer offset moves.
    ///
    /// # Errors
    /// Code 1 if the member is not online, 207 if it does not answer the broker in time.
    pub async fn consume_directly(
        &self,
        group: &str,
        client_id: &str,
        message: &ReceivedMessage,
    ) -> Result<Bytes, ClientError> {
        let stored_at = message.store_host.to_string();
        // A broker group has the message at the same offset on every node, and a consumer is connected to them all
        // or to the leader only.
        let addr = match self.group_of_node(&stored_at).await? {
            Some(nodes) => nodes.leader_addr().map_or(stored_at, str::to_owned),
            None => stored_at,
        };
        let header = ConsumeMessageDirectly {
            consumer_group: group.to_owned(),
            client_id: Some(client_id.to_owned()),
            msg_id: Some(message.offset_msg_id()),
            topic: Some(message.topic.clone()),
            ..ConsumeMessageDirectly::default()
        };
        Ok(self.call_with(&addr, RequestCode::CONSUME_MESSAGE_DIRECTLY, &header).await?.body)
    }

    /// A look into a consume queue of one node: `count` units from `queue_offset` on, and whether the filter of
    /// `group` lets them pass. Returns JSON as brokers write it.
    ///
    /// # Errors
    /// Code 1 if there is no such queue.
    pub async fn consume_queue_at(
        &self,
        addr: &str,
        queue: (&str, i32),
        queue_offset: i64,
        count: i32,
        group: Option<&str>,
    ) -> Result<Bytes, ClientError> {
        let (topic, queue_id) = queue;
        let header = QueryConsumeQueue {
            topic: topic.to_owned(),
            queue_id,
            index: queue_offset,
            count,
            consumer_group: group.map(str::to_owned),
        };
        Ok(self.call_with(addr, RequestCode::QUERY_CONSUME_QUEUE, &header).await?.body)
    }

    /// Messages that have `key` among their keys, the oldest first, at most `messages_max` a broker group.
    ///
    /// # Errors
    /// If a leader cannot be asked. Finding nothing is not an error.
    pub async fn messages_by_key(
        &self,
        topic: &str,
        key: &str,
        messages_max: i32,
        range: TimeRange,
    ) -> Result<Vec<ReceivedMessage>, ClientError> {
        self.query(topic, &Key::Own(key), messages_max, range).await
    }

    /// Messages with this unique key: more than one if a send was repeated.
    ///
    /// # Errors
    /// If a leader cannot be asked. Finding nothing is not an error.
    pub async fn messages_by_unique_key(
        &self,
        topic: &str,
        unique_key: &str,
        range: TimeRange,
    ) -> Result<Vec<ReceivedMessage>, ClientError> {
        self.query(topic, &Key::Unique(unique_key), UNIQUE_MESSAGES_MAX, range).await
    }

    async fn query(
        &self,
        topic: &str,
        key: &Key<'_>,
        messages_max: i32,
        range: TimeRange,
    ) -> Result<Vec<ReceivedMessage>, ClientError> {
        let code = RequestCode::QUERY_MESSAGE;
        let (text, is_unique_key) = match key {
            Key::Own(text) => (*text, false),
            Key::Unique(text) => (*text, true),
        };
        let header = QueryMessage {
            topic: topic.to_owned(),
            key: text.to_owned(),
            max_num: messages_max,
            begin_timestamp_ms: range.from_ms,
            end_timestamp_ms: range.to_ms,
            is_unique_key,
        };
        let mut found = Vec::new();
        for (broker_name, addr) in self.leaders_of_topic(topic).await? {
            let answer = self.core.transport.answer(
                &addr,
                Command::request(code).with_header(&header),
                self.core.config.call_timeout,
            );
            let answer = answer.await?;
            match answer.code {
                ResponseCode::SUCCESS => {
                    let messages = ReceivedMessage::all_of(&answer.body, &broker_name)
                        .map_err(|error| bad_answer(&addr, code, "messages", error))?;
                    found.extend(messages.into_iter().filter(|message| is_meant(message, key)));
                }
                ResponseCode::QUERY_NOT_FOUND => {}
                _ => return Err(crate::transport::refused(&addr, code, &answer)),
            }
        }
        found.sort_by_key(|message| (message.store_timestamp_ms, message.commitlog_offset));
        Ok(found)
    }
}

/// Brokers answer as many as this to a question for a unique key. Java: `defaultQueryMaxNum`.
const UNIQUE_MESSAGES_MAX: i32 = 32;

/// Whether a message found by the hash of a key really has it.
fn is_meant(message: &ReceivedMessage, key: &Key<'_>) -> bool {
    match key {
        Key::Own(key) => message.keys().any(|one| one == *key),
        Key::Unique(key) => message.msg_id() == *key,
    }
}

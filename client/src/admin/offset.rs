//! How far groups have come, and moving them.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::command::admin::{ConsumeStats, GetConsumeStats};
use protocol::command::offset::{ResetOffset, ResetOffsetBody};
use protocol::{RequestCode, names};

use super::{Admin, body};
use crate::error::ClientError;
use crate::queue::MessageQueue;

/// Time to store one offset.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Where a reset leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// Behind the last message.
    End,
    /// To the first message stored at this time or later, in milliseconds since the epoch.
    Time(i64),
    /// One queue to one offset.
    Offset {
        /// The queue's number.
        queue_id: i32,
        /// The next message to consume.
        offset: i64,
    },
}

impl Admin {
    /// How far a consumer group has come in each queue of `topic`, or of all its topics.
    ///
    /// # Errors
    /// If a leader cannot be asked.
    pub async fn consume_stats(&self, group: &str, topic: Option<&str>) -> Result<ConsumeStats, ClientError> {
        // The group's retry topic stands for where the group is known; it may be missing for groups that never had
        // a push consumer.
        let retry_topic = names::retry_topic(group);
        let leaders = match (self.leaders_of_topic(&retry_topic).await, topic) {
            (Err(ClientError::NoRoute { .. }), Some(topic)) => self.leaders_of_topic(topic).await?,
            (leaders, _) => leaders?,
        };
        let mut all = ConsumeStats::default();
        for (_, addr) in leaders {
            let stats = self.consume_stats_at(&addr, group, topic).await?;
            all.consume_tps += stats.consume_tps;
            all.offset_table.extend(stats.offset_table);
        }
        Ok(all)
    }

    /// The same as one node knows it.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn consume_stats_at(
        &self,
        addr: &str,
        group: &str,
        topic: Option<&str>,
    ) -> Result<ConsumeStats, ClientError> {
        let code = RequestCode::GET_CONSUME_STATS;
        let header = GetConsumeStats {
            consumer_group: group.to_owned(),
            topic: topic.map(str::to_owned),
            topic_list: None,
        };
        let answer = self.call_with(addr, code, &header).await?;
        body(addr, code, &answer, ConsumeStats::read)
    }

    /// Moves a consumer group, members online or not: they go on from there with their next pull. Returns the new
    /// offset of each queue. With `is_force` also forward; brokers before 5.2 otherwise only move back.
    ///
    /// # Errors
    /// The first failure; broker groups before it have done it.
    pub async fn reset_offset(
        &self,
        topic: &str,
        group: &str,
        to: ResetTo,
        is_force: bool,
    ) -> Result<BTreeMap<MessageQueue, i64>, ClientError> {
        let mut offsets = BTreeMap::new();
        for (_, addr) in self.leaders_of_topic(topic).await? {
            offsets.extend(self.reset_offset_at(&addr, topic, group, to, is_force).await?);
        }
        Ok(offsets)
    }

    /// The same in one broker group.
    ///
    /// # Errors
    /// If the node refuses: code 17 or 26 if it does not know the topic or the group, 1 for an offset out of range.
    pub async fn reset_offset_at(
        &self,
        addr: &str,
        topic: &str,
        group: &str,
        to: ResetTo,
        is_force: bool,
    ) -> Result<BTreeMap<MessageQueue, i64>, ClientError> {
        let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
        let (timestamp_ms, queue_id, offset) = match to {
            ResetTo::End => (-1, None, None),
            ResetTo::Time(ms) => (ms, None, None),
            ResetTo::Offset { queue_id, offset } => (-1, Some(queue_id), Some(offset)),
        };
        let header = ResetOffset {
            topic: topic.to_owned(),
            group: group.to_owned(),
            timestamp_ms,
            is_force,
            queue_id: Some(queue_id.unwrap_or(-1)),
            offset: Some(offset.unwrap_or(-1)),
        };
        let answer = self.call_with(addr, code, &header).await?;
        let table = body(addr, code, &answer, ResetOffsetBody::read)?.offset_table;
        Ok(table.into_iter().map(|(queue, offset)| (queue.into(), offset)).collect())
    }

    /// Stores a consumer group's offset of one queue, as its members do. Members online store their own over it.
    ///
    /// # Errors
    /// If the leader could not be told.
    pub async fn store_offset(
        &self,
        group: &str,
        queue: &MessageQueue,
        offset: i64,
    ) -> Result<(), ClientError> {
        self.core.store_offset(group, queue, offset, STORE_PATIENCE).await
    }

    /// A consumer group's offset of one queue; `None` if none is stored.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn stored_offset(&self, group: &str, queue: &MessageQueue) -> Result<Option<i64>, ClientError> {
        self.core.stored_offset(group, queue).await
    }

    /// The end of a queue, exclusive.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.core.max_offset(queue).await
    }

    /// The first message of a queue that is still there.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.core.min_offset(queue).await
    }

    /// The first message stored at `timestamp_ms` or later; the end of the queue if there is none.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn offset_at(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64, ClientError> {
        self.core.offset_at(queue, timestamp_ms).await
    }

    /// When the first message of a queue was stored, milliseconds since the epoch; `None` if it is empty.
    ///
    /// # Errors
    /// If the leader could not be asked.
    pub async fn earliest_store_time(&self, queue: &MessageQueue) -> Result<Option<i64>, ClientError> {
        self.core.earliest_store_time(queue).await
    }
}

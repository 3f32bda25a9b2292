//! Questions and orders about one queue that every consumer has for its leader.

use std::time::Duration;

use protocol::{Command, RequestCode, ResponseCode};

use crate::core::{Core, answer_i64};
use crate::error::ClientError;
use crate::queue::MessageQueue;

impl Core {
    /// The consumer offset that the broker has for a group; `None` if it has none.
    pub(crate) async fn stored_offset(
        &self,
        group: &str,
        queue: &MessageQueue,
    ) -> Result<Option<i64>, ClientError> {
        let request = queue_request(RequestCode::QUERY_CONSUMER_OFFSET, queue).with("consumerGroup", group);
        match self.queue_number(queue, request, "offset").await {
            Ok(offset) => Ok(Some(offset).filter(|offset| *offset >= 0)),
            Err(error) if error.code() == Some(ResponseCode::QUERY_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a group's consumer offset.
    pub(crate) async fn store_offset(
        &self,
        group: &str,
        queue: &MessageQueue,
        offset: i64,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let request = queue_request(RequestCode::UPDATE_CONSUMER_OFFSET, queue)
            .with("consumerGroup", group)
            .with("commitOffset", offset);
        self.ask_leader(&queue.topic, &queue.broker_name, request, timeout).await.map(drop)
    }

    /// The end of a queue, exclusive.
    pub(crate) async fn max_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.queue_number(queue, queue_request(RequestCode::GET_MAX_OFFSET, queue), "offset").await
    }

    /// The first message of a queue that is still there.
    pub(crate) async fn min_offset(&self, queue: &MessageQueue) -> Result<i64, ClientError> {
        self.queue_number(queue, queue_request(RequestCode::GET_MIN_OFFSET, queue), "offset").await
    }

    /// The first message stored at `timestamp_ms` or later; the end of the queue if there is none.
    pub(crate) async fn offset_at(
        &self,
        queue: &MessageQueue,
        timestamp_ms: i64,
    ) -> Result<i64, ClientError> {
        let request = queue_request(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, queue)
            .with("timestamp", timestamp_ms)
            .with("boundaryType", "LOWER");
        self.queue_number(queue, request, "offset").await
    }

    /// When the first message of a queue was stored, milliseconds since the epoch; `None` if it is empty.
    pub(crate) async fn earliest_store_time(&self, queue: &MessageQueue) -> Result<Option<i64>, ClientError> {
        let request = queue_request(RequestCode::GET_EARLIEST_MSG_STORETIME, queue);
        let time = self.queue_number(queue, request, "timestamp").await?;
        Ok(Some(time).filter(|time| *time >= 0))
    }

    async fn queue_number(
        &self,
        queue: &MessageQueue,
        request: Command,
        field: &'static str,
    ) -> Result<i64, ClientError> {
        let code = request.code;
        let patience = self.config.call_timeout;
        let (node, answer) = self.ask_leader(&queue.topic, &queue.broker_name, request, patience).await?;
        answer_i64(&node, code, &answer, field)
    }
}

fn queue_request(code: i32, queue: &MessageQueue) -> Command {
    Command::request(code)
        .with("topic", &queue.topic)
        .with("queueId", queue.queue_id)
        .with("bname", &queue.broker_name)
}

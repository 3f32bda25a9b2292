//! Queues read by hand, from one end to the other. No consumer offset moves.

use anyhow::bail;
use client::{MessageQueue, PullConsumer, PullOptions, PullStatus, ReceivedMessage};

use super::period::Range;
use crate::context::Context;

/// The group that tools read as.
pub(super) const GROUP: &str = "TOOLS_CONSUMER";

/// One reading of queues, each from its beginning to where it ends now.
pub(super) struct Walk<'a> {
    /// The topic.
    pub(super) topic: &'a str,
    /// Tags, separated by two bars.
    pub(super) expression: &'a str,
    /// One broker group only, by name.
    pub(super) broker: Option<&'a str>,
    /// One queue of each broker group only.
    pub(super) queue_id: Option<i32>,
    /// Where to begin, in place of the beginning.
    pub(super) from: Option<i64>,
    /// When messages were stored.
    pub(super) range: Range,
    /// At most this many messages.
    pub(super) count_max: usize,
}

impl Walk<'_> {
    /// Shows every message to `see`.
    ///
    /// # Errors
    /// If there is no such queue, a pull fails, or `see` does.
    pub(super) async fn run(
        &self,
        context: &Context,
        mut see: impl FnMut(&ReceivedMessage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut consumer = PullConsumer::builder(GROUP, context.config()).start().await?;
        let done = self.all_queues(&consumer, &mut see).await;
        consumer.shutdown().await;
        done
    }

    async fn all_queues(
        &self,
        consumer: &PullConsumer,
        see: &mut impl FnMut(&ReceivedMessage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut queues = consumer.queues(self.topic).await?;
        queues.retain(|queue| {
            self.broker.is_none_or(|name| queue.broker_name == name)
                && self.queue_id.is_none_or(|id| queue.queue_id == id)
        });
        if queues.is_empty() {
            bail!("topic {} has no such queue to read from; topicRoute tells which it has", self.topic);
        }
        let mut left = self.count_max;
        for queue in &queues {
            left -= self.one_queue(consumer, queue, left, see).await?;
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn one_queue(
        &self,
        consumer: &PullConsumer,
        queue: &MessageQueue,
        count_max: usize,
        see: &mut impl FnMut(&ReceivedMessage) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let end = consumer.max_offset(queue).await?;
        let begin = match self.range.begin_ms {
            Some(ms) => consumer.offset_at(queue, ms).await?,
            None => consumer.min_offset(queue).await?,
        };
        let mut offset = self.from.unwrap_or(begin).max(begin);
        let options = PullOptions { expression: self.expression.to_owned(), ..PullOptions::default() };
        let mut count = 0;
        while offset < end {
            let pulled = consumer.pull(queue, offset, &options).await?;
            for message in &pulled.messages {
                let is_late = self.range.end_ms.is_some_and(|ms| message.store_timestamp_ms > ms);
                if count == count_max || is_late || message.queue_offset >= end {
                    return Ok(count);
                }
                see(message)?;
                count += 1;
            }
            if pulled.status == PullStatus::NoNewMessage || pulled.next_offset == offset {
                break;
            }
            offset = pulled.next_offset;
        }
        Ok(count)
    }
}

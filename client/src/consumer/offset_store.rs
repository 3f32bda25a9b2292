//! Storing how far the queues of a member are consumed: at the broker, or in the file of a broadcasting consumer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::assigned::Assigned;
use super::local_offsets::LocalOffsets;
use super::member::Member;
use crate::error::ClientError;
use crate::queue::MessageQueue;

/// Time to store the offset of one queue.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

impl Member {
    /// What is stored for a queue.
    pub(super) async fn stored_offset(&self, queue: &MessageQueue) -> Result<Option<i64>, ClientError> {
        match &self.local {
            Some(local) => Ok(load_locally(local).await?.get(queue).copied()),
            None => self.core.stored_offset(&self.group, queue).await,
        }
    }

    /// Stores how far a queue is consumed, for the last time.
    pub(super) async fn close_account(&self, assigned: &Assigned) {
        let consumed_to = assigned.process().consumed_to();
        let unstored = {
            let mut offsets = self.offsets();
            offsets.advance(&assigned.queue, consumed_to);
            offsets.remove(&assigned.queue)
        };
        if let Some(offset) = unstored {
            // It was told; there is no later round for this queue.
            let _ = self.store_offset(&assigned.queue, offset).await;
        }
    }

    /// Stores all offsets that have moved. The error is the first of those that could not be stored.
    pub(super) async fn store_offsets(self: &Arc<Self>) -> Result<(), ClientError> {
        if let Some(local) = &self.local {
            let table: Vec<_> =
                self.offsets().iter().map(|(queue, offset)| (queue.clone(), offset)).collect();
            return store_locally(local, table).await;
        }
        let mut stores = JoinSet::new();
        for (queue, offset) in self.offsets().unstored() {
            let member = self.clone();
            stores.spawn(async move { member.store_offset(&queue, offset).await });
        }
        let mut first_error = None;
        while let Some(stored) = stores.join_next().await {
            if let Ok(Err(error)) = stored {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Stores one offset. A failure is logged, and mended by the next round.
    pub(super) async fn store_offset(&self, queue: &MessageQueue, offset: i64) -> Result<(), ClientError> {
        if let Some(local) = &self.local {
            return store_locally(local, vec![(queue.clone(), offset)]).await;
        }
        let stored = self.core.store_offset(&self.group, queue, offset, STORE_PATIENCE).await;
        match &stored {
            Ok(()) => self.offsets().stored(queue, offset),
            Err(error) => {
                let queue = queue.to_string();
                tracing::warn!(
                    queue,
                    offset,
                    error = error as &dyn std::error::Error,
                    "consumer offset not stored"
                );
            }
        }
        stored
    }
}

async fn load_locally(local: &Arc<LocalOffsets>) -> Result<BTreeMap<MessageQueue, i64>, ClientError> {
    let local = local.clone();
    // An error here: the runtime is going down.
    tokio::task::spawn_blocking(move || local.load()).await.unwrap_or(Err(ClientError::Stopped))
}

async fn store_locally(
    local: &Arc<LocalOffsets>,
    offsets: Vec<(MessageQueue, i64)>,
) -> Result<(), ClientError> {
    let local = local.clone();
    let stored = tokio::task::spawn_blocking(move || local.store(offsets)).await;
    stored.unwrap_or(Err(ClientError::Stopped)).inspect_err(|error| {
        tracing::warn!(error = error as &dyn std::error::Error, "consumer offsets not stored");
    })
}

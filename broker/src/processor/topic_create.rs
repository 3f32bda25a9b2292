//! Making topics: committed first, then told to the name servers, then answered.

use std::time::Duration;

use crate::server::Broker;
use crate::submit::SubmitError;
use crate::tables::{Change, GroupConfig, TopicConfig};

/// How long an answer waits for the name servers to know a new topic: whoever asks for its route next should
/// find it, and a name server that is down should not hold anybody up.
const KNOWN_WITHIN: Duration = Duration::from_millis(500);

/// Creates those of `groups` and `topics` that do not exist, and waits a moment until name servers know the topics.
///
/// # Errors
/// As [`SubmitError`] says.
pub async fn create(
    broker: &Broker,
    topics: Vec<TopicConfig>,
    groups: Vec<GroupConfig>,
) -> Result<(), SubmitError> {
    let now_ms = broker.now_ms();
    if !groups.is_empty() {
        broker.submit(Change::PutGroups { groups, only_new: true, now_ms }).await?;
    }
    if !topics.is_empty() {
        broker.submit(Change::PutTopics { topics, only_new: true, now_ms }).await?;
        tell_name_servers(broker).await;
    }
    Ok(())
}

/// Waits a moment until the name servers that answer know the newest topics.
pub async fn tell_name_servers(broker: &Broker) {
    broker.registrar.refresh(KNOWN_WITHIN).await;
}

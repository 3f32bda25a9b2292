//! Making topics: committed first, then told to the name servers, then answered.

use std::time::Duration;

use crate::leader::submit::SubmitError;
use crate::node::Node;
use crate::state::{Change, GroupConfig, TopicConfig};

/// How long an answer waits for the name servers to know a new topic: whoever asks for its route next should
/// find it, and a name server that is down should not hold anybody up.
const KNOWN_WITHIN: Duration = Duration::from_millis(500);

/// Creates those of `groups` and `topics` that do not exist, and waits a moment until name servers know the topics.
///
/// # Errors
/// As [`SubmitError`] says.
pub async fn create(
    node: &Node,
    topics: Vec<TopicConfig>,
    groups: Vec<GroupConfig>,
) -> Result<(), SubmitError> {
    let are_topics_new = !topics.is_empty();
    for change in changes(node.now_ms(), topics, groups) {
        node.group.submit(change).await?;
    }
    if are_topics_new {
        tell_name_servers(node).await;
    }
    Ok(())
}

/// The changes that create those of `groups`, then of `topics`, that do not exist.
pub fn changes(
    now_ms: u64,
    topics: Vec<TopicConfig>,
    groups: Vec<GroupConfig>,
) -> impl Iterator<Item = Change> {
    let groups = (!groups.is_empty()).then_some(Change::PutGroups { groups, only_new: true, now_ms });
    let topics = (!topics.is_empty()).then_some(Change::PutTopics { topics, only_new: true, now_ms });
    groups.into_iter().chain(topics)
}

/// Waits a moment until the name servers that answer know the newest topics.
pub async fn tell_name_servers(node: &Node) {
    node.registrar.refresh(KNOWN_WITHIN).await;
}

//! Which messages of a topic a consumer wants, decided by tag.

use protocol::subscription::SubscriptionData;

use crate::error::ClientError;
use crate::received::ReceivedMessage;

/// A subscription: `*`, or tags separated by `||`.
///
/// Brokers filter by the hash of the tag; two tags may share one. The consumer looks again at the tag itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter(SubscriptionData);

impl Filter {
    /// Reads the expression of a subscription to `topic`.
    pub(crate) fn new(topic: &str, expression: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::Subscription {
            topic: topic.to_owned(),
            expression: expression.to_owned(),
            reason: reason.to_owned(),
        };
        let expression = expression.trim();
        let data = SubscriptionData::parse(topic, expression).map_err(|error| bad(&error.to_string()))?;
        if data.tags_set.is_empty() && data.expression() != protocol::subscription::ALL {
            return Err(bad("it names no tag")); // brokers would never deliver anything
        }
        Ok(Self(data))
    }

    /// The expression as it is sent.
    pub(crate) fn expression(&self) -> &str {
        self.0.expression()
    }

    /// Whether the consumer wants the message.
    pub(crate) fn passes(&self, message: &ReceivedMessage) -> bool {
        let tags = &self.0.tags_set;
        tags.is_empty() || message.tag().is_some_and(|tag| tags.iter().any(|wanted| wanted == tag))
    }

    /// The subscription as a heartbeat has it.
    pub(crate) fn data(&self, sub_version: i64) -> SubscriptionData {
        SubscriptionData { sub_version, ..self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::tagged;

    #[test]
    fn the_tag_itself_decides() {
        let filter = Filter::new("T", " TagA ||TagB|| ").unwrap();
        assert!(filter.passes(&tagged(0, "x", "TagA")));
        assert!(filter.passes(&tagged(0, "x", "TagB")));
        assert!(!filter.passes(&tagged(0, "x", "TagC")));
        assert!(!filter.passes(&tagged(0, "x", "")));
        // Two texts with one hash code.
        let collision = Filter::new("T", "Aa").unwrap();
        assert!(!collision.passes(&tagged(0, "x", "BB")));
    }

    #[test]
    fn a_star_and_nothing_stand_for_everything() {
        for expression in ["*", "", "  "] {
            assert!(Filter::new("T", expression).unwrap().passes(&tagged(0, "x", "")));
        }
        assert!(Filter::new("T", "||").is_err());
        assert!(Filter::new("T", " || ||").is_err());
    }

    #[test]
    fn a_heartbeat_carries_tags_and_their_hashes() {
        let data = Filter::new("T", "TagA").unwrap().data(7);
        assert_eq!(
            (data.code_set, data.tags_set, data.sub_version),
            (vec![2_598_919], vec!["TagA".to_owned()], 7)
        );
    }
}

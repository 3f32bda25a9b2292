//! A message to send: topic, body and properties, checked before it leaves.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::message::{PROPERTIES_BYTES_MAX, properties};

use crate::error::MessageError;

/// What a message may have as a body, in bytes; the default of every broker (`maxMessageSize`).
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A message to send.
///
/// ```
/// use client::Message;
/// let message = Message::new("TopicTest", "Hello").with_tag("TagA").with_keys(["order-1"]);
/// assert_eq!(message.tag(), Some("TagA"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub topic: String,
    /// What it says. Never empty.
    pub body: Bytes,
    /// A number of the application's own, stored as it is.
    pub flag: i32,
    /// By name. The system's own names are in [`protocol::message::properties`].
    pub properties: BTreeMap<String, String>,
}

impl Message {
    /// A message without tag, key or property.
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), body: body.into(), flag: 0, properties: BTreeMap::new() }
    }

    /// Sets the tag, by which consumers filter.
    #[must_use]
    pub fn with_tag(self, tag: impl Into<String>) -> Self {
        self.with_property(properties::TAGS, tag)
    }

    /// Sets the keys, by which the message can be looked up. A key with a blank in it counts as several.
    #[must_use]
    pub fn with_keys<I: IntoIterator<Item: AsRef<str>>>(self, keys: I) -> Self {
        let keys: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        self.with_property(properties::KEYS, keys.join(" "))
    }

    /// Sets a property. An empty value removes it: an empty one cannot be stored.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.properties.remove(&name);
        } else {
            self.properties.insert(name, value);
        }
        self
    }

    /// Delivers after the delay of `level`: 1 is a second, 18 two hours, by the broker's `messageDelayLevel`.
    #[must_use]
    pub fn with_delay_level(self, level: u32) -> Self {
        self.with_property(
            properties::DELAY_TIME_LEVEL,
            if level == 0 { String::new() } else { level.to_string() },
        )
    }

    /// Delivers at `epoch_ms`, milliseconds since the epoch. For brokers of RocketMQ 5; Trireme refuses it.
    #[must_use]
    pub fn with_delivery_at(self, epoch_ms: u64) -> Self {
        self.with_property(properties::TIMER_DELIVER_MS, epoch_ms.to_string())
    }

    /// Sets the application's own number.
    #[must_use]
    pub fn with_flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.property(properties::TAGS)
    }

    /// A property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The client's own id of the message, once it has one.
    pub fn unique_key(&self) -> Option<&str> {
        self.property(properties::UNIQ_KEY)
    }

    /// Checks what every broker would refuse, and returns the properties as they are sent.
    ///
    /// # Errors
    /// A bad topic, an empty body, one of more than `body_bytes_max`, properties that cannot be stored.
    pub(crate) fn check(&self, body_bytes_max: usize) -> Result<String, MessageError> {
        check_topic(&self.topic)?;
        if self.body.is_empty() {
            return Err(MessageError::EmptyBody { topic: self.topic.clone() });
        }
        if self.body.len() > body_bytes_max {
            return Err(MessageError::TooLarge { bytes: self.body.len(), limit: body_bytes_max });
        }
        encode_properties(&self.properties)
    }

    /// Why the message cannot be part of a batch to `topic`.
    pub(crate) fn unfit_for_batch(&self, topic: &str) -> Option<&'static str> {
        if self.topic != topic {
            Some("goes to another topic than the first")
        } else if self.topic.starts_with(protocol::names::RETRY_PREFIX) {
            Some("goes to a retry topic")
        } else if self.property(properties::DELAY_TIME_LEVEL).is_some()
            || self.property(properties::TIMER_DELIVER_MS).is_some()
        {
            Some("is delayed")
        } else {
            None
        }
    }
}

/// Checks the name of a topic by the rules of the brokers.
pub(crate) fn check_topic(topic: &str) -> Result<(), MessageError> {
    protocol::names::validate_topic(topic)
        .map_err(|error| MessageError::Name { name: topic.to_owned(), reason: error.to_string() })
}

/// Checks the name of a group by the rules of the brokers.
pub(crate) fn check_group(group: &str) -> Result<(), MessageError> {
    protocol::names::validate_group(group)
        .map_err(|error| MessageError::Name { name: group.to_owned(), reason: error.to_string() })
}

/// The properties as one text, checked: what the broker would drop or tear is an error here.
pub(crate) fn encode_properties(map: &BTreeMap<String, String>) -> Result<String, MessageError> {
    let bytes = map.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if bytes > PROPERTIES_BYTES_MAX {
        return Err(MessageError::PropertiesTooLarge { bytes, limit: PROPERTIES_BYTES_MAX });
    }
    for (name, value) in map {
        let bad = |reason| MessageError::Property { name: name.clone(), reason };
        if name.is_empty() || value.is_empty() {
            return Err(bad("the name or the value is empty"));
        }
        if [name, value]
            .iter()
            .any(|part| part.contains([properties::NAME_VALUE_SEPARATOR, properties::PROPERTY_SEPARATOR]))
        {
            return Err(bad("it holds U+0001 or U+0002, which separate properties"));
        }
    }
    Ok(properties::to_text(map.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_written_with_their_separators() {
        let message = Message::new("T", "x").with_tag("TagA").with_keys(["a", "b"]);
        assert_eq!(message.check(10).unwrap(), "KEYS\u{1}a b\u{2}TAGS\u{1}TagA\u{2}");
    }

    #[test]
    fn what_brokers_refuse_is_refused_before_it_is_sent() {
        let check = |message: Message| message.check(4).unwrap_err();
        assert!(matches!(check(Message::new("no blanks", "x")), MessageError::Name { .. }));
        assert!(matches!(check(Message::new("T", "")), MessageError::EmptyBody { .. }));
        assert_eq!(check(Message::new("T", "12345")), MessageError::TooLarge { bytes: 5, limit: 4 });
        let big = Message::new("T", "x").with_property("p", "v".repeat(32_765));
        assert!(matches!(check(big), MessageError::PropertiesTooLarge { bytes: 32_768, .. }));
        let odd = Message::new("T", "x").with_property("p", "a\u{2}b");
        assert!(matches!(check(odd), MessageError::Property { .. }));
    }

    #[test]
    fn an_empty_value_removes_a_property() {
        let message = Message::new("T", "x").with_delay_level(3).with_delay_level(0);
        assert!(message.properties.is_empty());
    }

    #[test]
    fn batches_hold_plain_messages_of_one_topic() {
        assert!(Message::new("T", "x").unfit_for_batch("T").is_none());
        assert!(Message::new("U", "x").unfit_for_batch("T").is_some());
        assert!(Message::new("T", "x").with_delay_level(1).unfit_for_batch("T").is_some());
        assert!(Message::new("%RETRY%g", "x").unfit_for_batch("%RETRY%g").is_some());
    }
}

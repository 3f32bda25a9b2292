//! What a consumer group wants of a topic. Source: Java's `FilterAPI` and `SubscriptionData`.

use thiserror::Error;

use crate::json::body::json_body;
use crate::message::java_hash_code;

/// Expression type: tags.
pub const TAG: &str = "TAG";
/// Expression type: SQL over properties.
pub const SQL92: &str = "SQL92";
/// The expression for everything.
pub const ALL: &str = "*";

/// Why a tag expression cannot be read. The message is Java's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("subString split error")]
pub struct SubscriptionError;

json_body! {
    /// One subscription, as it travels in a heartbeat.
    pub struct SubscriptionData {
        /// Legacy; a filter server decides.
        pub class_filter_mode: bool => "classFilterMode",
        /// The hash codes of the tags, as the client computed them. C++ clients send zeros: see
        /// [`SubscriptionData::tag_codes`].
        pub code_set: Vec<i32> => "codeSet",
        /// [`TAG`] or [`SQL92`].
        pub expression_type: String => "expressionType" = TAG.to_owned(),
        /// The expression as the application gave it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sub_string: Option<String> => "subString",
        /// Grows with each change, by the client's clock.
        pub sub_version: i64 => "subVersion",
        /// The tags; empty for everything.
        pub tags_set: Vec<String> => "tagsSet",
        /// The topic.
        pub topic: String => "topic",
    }
}

impl SubscriptionData {
    /// Reads a tag expression: `*` or nothing for everything, else tags separated by `||`.
    ///
    /// # Errors
    /// If it has separators only.
    pub fn parse(topic: &str, expression: &str) -> Result<Self, SubscriptionError> {
        let mut data = Self { topic: topic.to_owned(), ..Self::default() };
        if expression.is_empty() || expression == ALL {
            data.sub_string = Some(ALL.to_owned());
            return Ok(data);
        }
        // Java trims what is at most a space, and drops what is then empty; text of separators alone splits into
        // nothing, which is its one error.
        if expression.split("||").all(str::is_empty) {
            return Err(SubscriptionError);
        }
        for tag in expression.split("||").map(|tag| tag.trim_matches(|c| c <= ' ')) {
            if !tag.is_empty() && !data.tags_set.iter().any(|known| known == tag) {
                data.tags_set.push(tag.to_owned());
                data.code_set.push(java_hash_code(tag));
            }
        }
        data.sub_string = Some(expression.to_owned());
        Ok(data)
    }

    /// The expression, `*` if there is none.
    pub fn expression(&self) -> &str {
        self.sub_string.as_deref().filter(|text| !text.is_empty()).unwrap_or(ALL)
    }

    /// Whether the expression is one of tags. No type at all counts as one.
    pub fn is_tag_type(&self) -> bool {
        self.expression_type.is_empty() || self.expression_type == TAG
    }

    /// The hash codes of the tags, computed from the tags themselves; what the client sent only if it sent no tags
    /// and its expression has none.
    pub fn tag_codes(&self) -> Vec<i32> {
        if !self.tags_set.is_empty() {
            return self.tags_set.iter().map(|tag| java_hash_code(tag)).collect();
        }
        match Self::parse(&self.topic, self.expression()) {
            Ok(parsed) if !parsed.code_set.is_empty() => parsed.code_set,
            _ => self.code_set.clone(),
        }
    }

    /// Sets [`Self::code_set`] to [`Self::tag_codes`], for subscriptions that come from clients.
    #[must_use]
    pub fn with_tag_codes(mut self) -> Self {
        if self.is_tag_type() {
            self.code_set = self.tag_codes();
        }
        self
    }

    /// Whether a consume queue's tag hash passes. Two tags of one hash both pass; consumers look again.
    pub fn matches(&self, tag_hash: i64) -> bool {
        self.class_filter_mode || self.expression() == ALL || self.code_set.contains(&(tag_hash as i32))
    }
}

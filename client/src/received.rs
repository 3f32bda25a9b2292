//! A message as a consumer gets it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use protocol::message::{self, MessageView, UnitError, id, properties};

use crate::message::BODY_BYTES_MAX;
use crate::queue::MessageQueue;

/// A compressed body may become this big and no bigger.
const PLAIN_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// A message that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The application's topic; of a message that is delivered again the first one, not the retry topic.
    pub topic: String,
    /// The queue it was pulled from.
    pub queue: MessageQueue,
    /// Its place in that queue.
    pub queue_offset: i64,
    /// Its place in the commitlog.
    pub commitlog_offset: i64,
    /// What it says, decompressed; as it was stored if [`body_error`](Self::body_error) says so.
    pub body: Bytes,
    /// Why the body is raw: its system flag says that it is compressed, and it cannot be decompressed.
    pub body_error: Option<String>,
    /// By name, those of the system too.
    pub properties: BTreeMap<String, String>,
    /// The number its sender gave it.
    pub flag: i32,
    /// Bits of the system; see [`protocol::message::sys_flag`].
    pub sys_flag: i32,
    /// When its sender made it, milliseconds since the epoch by the sender's clock.
    pub born_timestamp_ms: i64,
    /// Who sent it.
    pub born_host: SocketAddr,
    /// When it was stored, milliseconds since the epoch by the leader's clock.
    pub store_timestamp_ms: i64,
    /// The node that took it.
    pub store_host: SocketAddr,
    /// How often it was delivered before and was not consumed.
    pub reconsume_times: i32,
    /// Bytes of the stored unit.
    pub stored_bytes: usize,
    /// Checksum of the stored body.
    pub body_crc: i32,
    /// Where the half message of its transaction lies.
    pub prepared_transaction_offset: i64,
}

impl ReceivedMessage {
    /// The sender's unique key; the offset message id if it has none.
    pub fn msg_id(&self) -> String {
        self.property(properties::UNIQ_KEY).map_or_else(|| self.offset_msg_id(), str::to_owned)
    }

    /// The broker's own id: where the message lies.
    pub fn offset_msg_id(&self) -> String {
        id::offset_message_id(self.store_host, self.commitlog_offset)
    }

    /// A property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.property(properties::TAGS)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.property(properties::KEYS).unwrap_or_default().split_whitespace()
    }

    /// Reads one stored unit, pulled from `broker_name`. A body that cannot be decompressed is handed over raw, with
    /// the reason: a message that nobody can get past would hold up its queue forever.
    pub(crate) fn of(view: &MessageView<'_>, broker_name: &str) -> Self {
        let (body, body_error) = match message::decompress(view.body, view.sys_flag, PLAIN_BYTES_MAX) {
            Ok(body) => (Bytes::copy_from_slice(&body), None),
            Err(error) => (Bytes::copy_from_slice(view.body), Some(error.to_string())),
        };
        let properties = properties::to_map(&view.properties);
        let is_retry = view.topic.starts_with(protocol::names::RETRY_PREFIX);
        let first_topic = properties.get(properties::RETRY_TOPIC).filter(|_| is_retry);
        Self {
            topic: first_topic.cloned().unwrap_or_else(|| view.topic.to_owned()),
            queue: MessageQueue::new(view.topic, broker_name, view.queue_id),
            queue_offset: view.queue_offset,
            commitlog_offset: view.physical_offset,
            body,
            body_error,
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp_ms: view.born_timestamp_ms,
            born_host: view.born_host,
            store_timestamp_ms: view.store_timestamp_ms,
            store_host: view.store_host,
            reconsume_times: view.reconsume_times,
            stored_bytes: view.unit_bytes(),
            body_crc: view.body_crc,
            prepared_transaction_offset: view.prepared_transaction_offset,
            properties,
        }
    }

    /// Reads stored units that stand one behind the other, as pull and query answers carry them.
    pub(crate) fn all_of(units: &[u8], broker_name: &str) -> Result<Vec<Self>, UnitError> {
        let mut messages = Vec::new();
        for unit in message::walk(units) {
            messages.push(Self::of(&message::parse(unit?)?, broker_name));
        }
        Ok(messages)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::BytesMut;
    use protocol::message::{UnitFields, encode_unit, seal_unit, sys_flag};

    use super::*;

    /// A message of topic `T`, queue 0.
    pub(crate) fn message(queue_offset: i64, body: &'static str) -> ReceivedMessage {
        tagged(queue_offset, body, "")
    }

    /// The same with a tag.
    pub(crate) fn tagged(queue_offset: i64, body: &'static str, tag: &str) -> ReceivedMessage {
        let unit = unit("T", body.as_bytes(), &format!("TAGS\u{1}{tag}\u{2}"), queue_offset, 0);
        ReceivedMessage::all_of(&unit, "b").unwrap().remove(0)
    }

    fn unit(topic: &str, body: &[u8], properties: &str, queue_offset: i64, sys_flag: i32) -> BytesMut {
        let host = "10.0.0.1:10911".parse().unwrap();
        let fields = UnitFields {
            topic,
            queue_id: 0,
            flag: 0,
            sys_flag,
            born_timestamp_ms: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties,
        };
        let mut unit = BytesMut::new();
        encode_unit(&fields, &mut unit).unwrap();
        seal_unit(&mut unit, queue_offset, 48, 2);
        unit
    }

    #[test]
    fn a_message_without_a_unique_key_goes_by_its_place() {
        assert_eq!(message(7, "x").msg_id(), "0A00000100002A9F0000000000000030");
        let unit = unit("T", b"x", "UNIQ_KEY\u{1}mine\u{2}", 0, 0);
        assert_eq!(ReceivedMessage::all_of(&unit, "b").unwrap()[0].msg_id(), "mine");
    }

    #[test]
    fn a_message_delivered_again_shows_its_first_topic() {
        let unit = unit("%RETRY%g", b"x", "RETRY_TOPIC\u{1}T\u{2}", 3, 0);
        let message = ReceivedMessage::all_of(&unit, "b").unwrap().remove(0);
        assert_eq!((message.topic.as_str(), message.queue.topic.as_str()), ("T", "%RETRY%g"));
    }

    #[test]
    fn compressed_bodies_come_out_plain() {
        let body = protocol::compression::deflate(&[b'a'; 900]);
        let unit = unit("T", &body, "", 0, sys_flag::COMPRESSED);
        assert_eq!(ReceivedMessage::all_of(&unit, "b").unwrap()[0].body, [b'a'; 900].as_slice());
    }

    /// S29: it is one message's fault, and no reason to stand still.
    #[test]
    fn a_plain_body_with_the_mark_of_a_compressed_one_is_handed_over_raw_and_the_rest_goes_on() {
        let mut units = unit("T", b"before", "", 0, 0);
        units.extend_from_slice(&unit("T", b"plain all the same", "", 1, sys_flag::COMPRESSED));
        units.extend_from_slice(&unit("T", b"after", "", 2, 0));
        let messages = ReceivedMessage::all_of(&units, "b").unwrap();
        let bodies: Vec<_> = messages.iter().map(|message| &message.body[..]).collect();
        assert_eq!(bodies, [&b"before"[..], b"plain all the same", b"after"]);
        assert_eq!(messages.iter().filter(|message| message.body_error.is_some()).count(), 1);
        assert!(messages[1].body_error.is_some());
    }

    #[test]
    fn a_torn_answer_is_an_error() {
        let unit = unit("T", b"x", "", 0, 0);
        assert!(ReceivedMessage::all_of(&unit[..unit.len() - 1], "b").is_err());
    }
}

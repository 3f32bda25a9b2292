//! From the application's message to what goes over the wire: id, properties, compression, batch body.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use protocol::message::batch::{self, BatchItem};
use protocol::message::properties;

use super::compress::Compression;
use crate::error::MessageError;
use crate::message::Message;

/// One send request but for its queue.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) topic: String,
    pub(crate) body: Bytes,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) properties: String,
    pub(crate) is_batch: bool,
    /// The unique key; those of all members of a batch, joined by commas.
    pub(crate) msg_id: String,
}

/// Makes one message ready. It gets `unique_key` unless it has one. A body is compressed from this many bytes on, if
/// that makes it smaller.
pub(crate) fn single(
    mut message: Message,
    unique_key: impl FnOnce() -> String,
    compression: Option<(Compression, usize)>,
    body_bytes_max: usize,
) -> Result<Prepared, MessageError> {
    let msg_id = message.properties.entry(properties::UNIQ_KEY.to_owned()).or_insert_with(unique_key).clone();
    message.properties.entry(properties::WAIT.to_owned()).or_insert_with(|| "true".to_owned());
    let properties = message.check(body_bytes_max)?;
    let compressed = compression
        .filter(|(_, from_bytes)| message.body.len() >= *from_bytes)
        .and_then(|(kind, _)| Some((kind.compress(&message.body)?, kind.sys_flag())));
    let (body, sys_flag) = compressed.unwrap_or((message.body, 0));
    Ok(Prepared {
        topic: message.topic,
        body,
        flag: message.flag,
        sys_flag,
        properties,
        is_batch: false,
        msg_id,
    })
}

/// Makes several messages of one topic ready to be stored together.
pub(crate) fn many(
    messages: Vec<Message>,
    mut unique_key: impl FnMut() -> String,
    body_bytes_max: usize,
) -> Result<Prepared, MessageError> {
    let topic = messages.first().ok_or(MessageError::EmptyBatch)?.topic.clone();
    let mut body = BytesMut::new();
    let mut ids = Vec::with_capacity(messages.len());
    for (index, mut message) in messages.into_iter().enumerate() {
        if let Some(reason) = message.unfit_for_batch(&topic) {
            return Err(MessageError::Batch { index, reason });
        }
        let id = message.properties.entry(properties::UNIQ_KEY.to_owned()).or_insert_with(&mut unique_key);
        ids.push(id.clone());
        let properties = message.check(body_bytes_max)?;
        let bytes = body.len() + batch::ITEM_BYTES_MIN + message.body.len() + properties.len();
        if bytes > body_bytes_max {
            return Err(MessageError::TooLarge { bytes, limit: body_bytes_max });
        }
        let item =
            BatchItem { flag: message.flag, body: &message.body, properties: Cow::Borrowed(&properties) };
        batch::encode(&item, &mut body).expect("body and properties were checked against tighter limits");
    }
    // The batch has a key of its own, which comes back as the transaction id.
    let properties =
        format!("{}\u{1}{}\u{2}{}\u{1}true\u{2}", properties::UNIQ_KEY, unique_key(), properties::WAIT);
    Ok(Prepared {
        topic,
        body: body.freeze(),
        flag: 0,
        sys_flag: 0,
        properties,
        is_batch: true,
        msg_id: ids.join(","),
    })
}

#[cfg(test)]
mod tests {
    use protocol::message::sys_flag;

    use super::*;

    const ZLIB_FROM_1: Option<(Compression, usize)> = Some((Compression::Zlib, 1));

    fn key() -> String {
        "0A00000100002A9F0000000000000030".to_owned()
    }

    #[test]
    fn a_message_gets_an_id_and_keeps_one_it_has() {
        let sent = single(Message::new("T", "x"), key, None, 100).unwrap();
        assert_eq!(sent.msg_id, key());
        assert!(sent.properties.contains(&key()));
        let own = Message::new("T", "x").with_property(properties::UNIQ_KEY, "mine");
        assert_eq!(single(own, key, None, 100).unwrap().msg_id, "mine");
    }

    #[test]
    fn a_big_body_is_compressed_if_that_helps() {
        let text = "a".repeat(5_000);
        let sent =
            single(Message::new("T", text.clone()), key, Some((Compression::Zlib, 4_096)), 10_000).unwrap();
        assert!(sent.body.len() < 100);
        assert_eq!(sent.sys_flag & sys_flag::COMPRESSED, sys_flag::COMPRESSED);
        let plain = protocol::message::decompress(&sent.body, sent.sys_flag, 10_000).unwrap();
        assert_eq!(&*plain, text.as_bytes());
        let small = single(Message::new("T", "abc"), key, ZLIB_FROM_1, 10_000).unwrap();
        assert_eq!((small.body.as_ref(), small.sys_flag), (b"abc".as_slice(), 0));
    }

    #[test]
    fn a_batch_is_one_body_and_has_the_ids_of_all() {
        let mut number = 0;
        let keys = || {
            number += 1;
            format!("k{number}")
        };
        let sent = many(vec![Message::new("T", "a"), Message::new("T", "b")], keys, 100).unwrap();
        assert_eq!(sent.msg_id, "k1,k2");
        assert!(sent.properties.contains("k3"));
        assert!(sent.is_batch);
    }

    #[test]
    fn unfit_batches_name_the_message() {
        let refuse = |messages| many(messages, key, 100).unwrap_err();
        assert_eq!(refuse(vec![]), MessageError::EmptyBatch);
        let mixed = vec![Message::new("T", "a"), Message::new("U", "b")];
        assert!(matches!(refuse(mixed), MessageError::Batch { index: 1, .. }));
        let big = vec![Message::new("T", "a".repeat(60)), Message::new("T", "b".repeat(60))];
        assert!(matches!(refuse(big), MessageError::TooLarge { limit: 100, .. }));
    }
}

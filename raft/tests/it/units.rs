//! Message units as the log seals them, made and read by hand: this crate has no word for them.

use bytes::{Buf, BytesMut};

const QUEUE_ID_AT: usize = 12;
const QUEUE_OFFSET_AT: usize = 20;
const COMMITLOG_OFFSET_AT: usize = 28;
const STORE_TIMESTAMP_AT: usize = 56;
const BODY_BYTES_AT: usize = 84;
const MAGIC: u32 = 0xDAA3_20A7;

pub struct Unit {
    pub topic: String,
    pub queue_id: u32,
    pub queue_offset: u64,
    pub commitlog_offset: u64,
    pub store_timestamp_ms: u64,
}

/// One unit without offsets. Layout: RocketMQ, `MessageDecoder`, version 1.
pub fn unit(topic: &str, queue_id: u32, body: &[u8]) -> BytesMut {
    let mut bytes = vec![0; BODY_BYTES_AT];
    bytes[4..8].copy_from_slice(&MAGIC.to_be_bytes());
    bytes[QUEUE_ID_AT..QUEUE_ID_AT + 4].copy_from_slice(&queue_id.to_be_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.push(topic.len() as u8);
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0, 0]);
    let unit_bytes = (bytes.len() as u32).to_be_bytes();
    bytes[..4].copy_from_slice(&unit_bytes);
    BytesMut::from(&bytes[..])
}

/// All units of a payload.
pub fn walk(mut payload: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    while payload.has_remaining() {
        let unit_bytes = (&payload[..4]).get_u32() as usize;
        let (unit, behind) = payload.split_at(unit_bytes);
        let body_bytes = (&unit[BODY_BYTES_AT..]).get_u32() as usize;
        let topic = &unit[BODY_BYTES_AT + 4 + body_bytes..];
        units.push(Unit {
            topic: String::from_utf8(topic[1..=topic[0] as usize].to_vec()).unwrap(),
            queue_id: (&unit[QUEUE_ID_AT..]).get_u32(),
            queue_offset: (&unit[QUEUE_OFFSET_AT..]).get_u64(),
            commitlog_offset: (&unit[COMMITLOG_OFFSET_AT..]).get_u64(),
            store_timestamp_ms: (&unit[STORE_TIMESTAMP_AT..]).get_u64(),
        });
        payload = behind;
    }
    units
}

//! Byte layout of one message unit. Big-endian. Source: Java's `MessageExtEncoder` and `MessageDecoder`.
//!
//! The offsets hold for IPv4 hosts; a born host that is IPv6 moves everything behind it by [`V6_EXTRA_BYTES`].

/// First word of a unit's magic, version 1: one byte for the length of the topic.
pub(crate) const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Version 2: two bytes for the length of the topic.
pub(crate) const MAGIC_V2: u32 = 0xDAA3_20AB;

pub(crate) const SIZE_AT: usize = 0; // the whole unit, bytes
pub(crate) const MAGIC_AT: usize = SIZE_AT + size_of::<i32>();
pub(crate) const BODY_CRC_AT: usize = MAGIC_AT + size_of::<u32>(); // CRC-32 & 0x7FFFFFFF of the stored body
pub(crate) const QUEUE_ID_AT: usize = BODY_CRC_AT + size_of::<i32>();
pub(crate) const FLAG_AT: usize = QUEUE_ID_AT + size_of::<i32>();
/// Where a unit has its queue offset, an `i64`.
pub const QUEUE_OFFSET_AT: usize = FLAG_AT + size_of::<i32>();
/// Where a unit has its commitlog offset, an `i64`.
pub const PHYSICAL_OFFSET_AT: usize = QUEUE_OFFSET_AT + size_of::<i64>();
/// Where a unit has its system flag, an `i32`.
pub const SYS_FLAG_AT: usize = PHYSICAL_OFFSET_AT + size_of::<i64>();
pub(crate) const BORN_TIMESTAMP_AT: usize = SYS_FLAG_AT + size_of::<i32>();
pub(crate) const BORN_HOST_AT: usize = BORN_TIMESTAMP_AT + size_of::<i64>(); // address, then port as i32
/// Where a unit has its store timestamp, an `i64`: [`V6_EXTRA_BYTES`] later when its born host is IPv6.
pub const STORE_TIMESTAMP_AT: usize = BORN_HOST_AT + V4_HOST_BYTES;
pub(crate) const STORE_HOST_AT: usize = STORE_TIMESTAMP_AT + size_of::<i64>();
pub(crate) const RECONSUME_TIMES_AT: usize = STORE_HOST_AT + V4_HOST_BYTES;
pub(crate) const PREPARED_TRANSACTION_OFFSET_AT: usize = RECONSUME_TIMES_AT + size_of::<i32>();
pub(crate) const BODY_SIZE_AT: usize = PREPARED_TRANSACTION_OFFSET_AT + size_of::<i64>();
pub(crate) const BODY_AT: usize = BODY_SIZE_AT + size_of::<i32>();
// Then the body, the topic's length (1 or 2 bytes) and the topic, the properties' length (i16) and the properties.

pub(crate) const V4_HOST_BYTES: usize = 4 + size_of::<i32>();
pub(crate) const V6_HOST_BYTES: usize = 16 + size_of::<i32>();
/// By how much an IPv6 host is longer than an IPv4 one.
pub const V6_EXTRA_BYTES: usize = V6_HOST_BYTES - V4_HOST_BYTES;

/// The shortest unit there can be: version 1, IPv4, no body, topic or properties.
pub const UNIT_BYTES_MIN: usize = BODY_AT + size_of::<u8>() + size_of::<i16>();
/// The longest topic of a version 1 unit, bytes. The field has 8 bits; clients read it as signed.
pub const V1_TOPIC_BYTES_MAX: usize = i8::MAX as usize;
/// The longest topic of a version 2 unit, bytes.
pub(crate) const V2_TOPIC_BYTES_MAX: usize = i16::MAX as usize;
/// The longest properties text of a unit, bytes.
pub const PROPERTIES_BYTES_MAX: usize = i16::MAX as usize;

const _: () = assert!(QUEUE_OFFSET_AT == 20);
const _: () = assert!(PHYSICAL_OFFSET_AT == 28);
const _: () = assert!(SYS_FLAG_AT == 36);
const _: () = assert!(STORE_TIMESTAMP_AT == 56);
const _: () = assert!(BODY_AT == 88);
const _: () = assert!(UNIT_BYTES_MIN == 91);
const _: () = assert!(V6_EXTRA_BYTES == 12);

//! The message: its stored layout, its properties, its ids.
//!
//! A *unit* is one message as the commitlog stores it and a pull answer carries it, byte for byte. This module
//! makes units, seals them (writes the three fields only the log knows), and reads them; where they lie is for
//! `store` to know.

pub mod batch;
mod codec;
mod decompress;
pub mod hash;
pub mod id;
mod layout;
pub mod properties;
mod property_names;
pub mod sys_flag;

pub use codec::{
    MessageView, UnitError, UnitFields, Version, Walk, encode_unit, parse, prepared_transaction_offset,
    seal_unit, unit_size, walk,
};
pub use decompress::{DecompressError, decompress};
pub use hash::{body_crc, java_hash_code, tag_hash};
pub use layout::{
    PHYSICAL_OFFSET_AT, PROPERTIES_BYTES_MAX, QUEUE_OFFSET_AT, STORE_TIMESTAMP_AT, SYS_FLAG_AT,
    UNIT_BYTES_MIN, V1_TOPIC_BYTES_MAX, V6_EXTRA_BYTES,
};

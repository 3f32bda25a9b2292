//! The body of a registration, plain and compressed.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::compression::{self, CompressionError};
use crate::json::body::json_body;
use crate::json::{JsonError, from_slice, to_bytes};
use crate::message::body_crc;
use crate::route::{DataVersion, TopicConfig, TopicConfigError};

use super::RegisterBroker;

/// The most bytes that a compressed body may have when inflated: some 300,000 topics.
pub const INFLATED_BYTES_MAX: usize = 32 << 20;

json_body! {
    /// What a broker registers.
    pub struct RegisterBrokerBody {
        /// Legacy.
        pub filter_server_list: Vec<String> => "filterServerList",
        /// Its topics.
        pub topic_config_serialize_wrapper: TopicConfigWrapper => "topicConfigSerializeWrapper",
    }

    /// A table of topics; also the answer to 21.
    pub struct TopicConfigWrapper {
        /// Which state of the table this is.
        pub data_version: DataVersion => "dataVersion",
        /// Static topics only.
        pub mapping_data_version: DataVersion => "mappingDataVersion",
        /// The topics by their names.
        pub topic_config_table: BTreeMap<String, TopicConfig> => "topicConfigTable",
        /// Static topics only; always written as empty.
        pub topic_queue_mapping_detail_map: BTreeMap<String, serde_json::Value> => "topicQueueMappingDetailMap",
        /// Static topics only; always written as empty.
        pub topic_queue_mapping_info_map: BTreeMap<String, serde_json::Value> => "topicQueueMappingInfoMap",
    }
}

/// Why the body of a registration cannot be read.
#[derive(Debug, Error)]
pub enum RegisterBodyError {
    /// The checksum of the header is not that of the body.
    #[error("body crc32 is {computed:#010x}, the header says {stored:#010x}")]
    Crc {
        /// What the header says.
        stored: i32,
        /// What the body has.
        computed: i32,
    },
    /// It is not such JSON, or a part of it is not.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It cannot be inflated.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A part of the compressed form ends early.
    #[error("{part} of a compressed registration needs {needed} bytes, {left} are left")]
    Truncated {
        /// The part.
        part: &'static str,
        /// The bytes it needs.
        needed: usize,
        /// The bytes that are there.
        left: usize,
    },
    /// A length or count of the compressed form is negative.
    #[error("length of the {part} of a compressed registration is negative: {length}")]
    NegativeLength {
        /// The part.
        part: &'static str,
        /// The length.
        length: i32,
    },
    /// A topic of the compressed form cannot be read.
    #[error(transparent)]
    Topic(#[from] TopicConfigError),
}

impl RegisterBrokerBody {
    /// Reads the body of a registration as its header says. No body is an empty table. The section on static topics
    /// at the end of a compressed body is not looked at.
    ///
    /// # Errors
    /// If the checksum differs, or the body cannot be read.
    pub fn decode(body: &[u8], header: &RegisterBroker) -> Result<Self, RegisterBodyError> {
        let stored = header.body_crc32.unwrap_or(0);
        let computed = body_crc(body);
        if stored != 0 && stored != computed {
            return Err(RegisterBodyError::Crc { stored, computed });
        }
        if body.is_empty() {
            return Ok(Self::default());
        }
        if !header.compressed {
            return Ok(Self::read(body)?);
        }
        Self::from_inflated(&compression::inflate(body, INFLATED_BYTES_MAX)?)
    }

    /// The body in the form that `compressed` asks for, and its checksum for the header.
    pub fn encode(&self, compressed: bool) -> (Bytes, i32) {
        let body =
            if compressed { Bytes::from(compression::deflate(&self.to_inflated())) } else { self.to_bytes() };
        let crc = body_crc(&body);
        (body, crc)
    }

    fn from_inflated(bytes: &[u8]) -> Result<Self, RegisterBodyError> {
        let mut parts = Parts(bytes);
        let mut body = Self::default();
        let wrapper = &mut body.topic_config_serialize_wrapper;
        wrapper.data_version = from_slice(parts.block("data version")?)?;
        let topics = parts.i32("topic count")?;
        if topics < 0 {
            return Err(RegisterBodyError::NegativeLength { part: "topic count", length: topics });
        }
        for _ in 0..topics {
            let topic = TopicConfig::from_text(&String::from_utf8_lossy(parts.block("topic")?))?;
            wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        body.filter_server_list = from_slice(parts.block("filter server list")?)?;
        Ok(body)
    }

    fn to_inflated(&self) -> BytesMut {
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut out = BytesMut::new();
        let mut put_block = |block: &[u8]| {
            out.put_i32(i32::try_from(block.len()).expect("one topic is far below 2 GiB"));
            out.put_slice(block);
        };
        put_block(&wrapper.data_version.to_bytes());
        let mut topics = BytesMut::new();
        for topic in wrapper.topic_config_table.values() {
            let text = topic.to_text();
            topics.put_i32(i32::try_from(text.len()).expect("one topic is far below 2 GiB"));
            topics.put_slice(text.as_bytes());
        }
        let count = i32::try_from(wrapper.topic_config_table.len()).expect("a broker has far less topics");
        out.put_i32(count);
        out.put_slice(&topics);
        let filters = to_bytes(&self.filter_server_list);
        out.put_i32(i32::try_from(filters.len()).expect("a list of addresses is far below 2 GiB"));
        out.put_slice(&filters);
        out.put_i32(0); // static topics
        out
    }
}

/// What is left to read of an inflated body.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, part: &'static str, needed: usize) -> Result<&'a [u8], RegisterBodyError> {
        let split = self.0.split_at_checked(needed);
        let (taken, rest) = split.ok_or(RegisterBodyError::Truncated { part, needed, left: self.0.len() })?;
        self.0 = rest;
        Ok(taken)
    }

    fn i32(&mut self, part: &'static str) -> Result<i32, RegisterBodyError> {
        let bytes = self.take(part, size_of::<i32>())?;
        Ok(i32::from_be_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    /// A length, and the bytes it announces.
    fn block(&mut self, part: &'static str) -> Result<&'a [u8], RegisterBodyError> {
        let length = self.i32(part)?;
        let needed =
            usize::try_from(length).map_err(|_| RegisterBodyError::NegativeLength { part, length })?;
        self.take(part, needed)
    }
}

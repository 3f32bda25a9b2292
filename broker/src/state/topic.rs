//! A topic's configuration as it is replicated.

use std::collections::BTreeMap;

use protocol::perm;
use serde::{Deserialize, Serialize};

/// Whether a message has one tag or several. Source: RocketMQ `TopicFilterType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterType {
    /// `SINGLE_TAG`.
    #[default]
    SingleTag,
    /// `MULTI_TAG`.
    MultiTag,
}

impl FilterType {
    /// The name that RocketMQ's JSON has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleTag => "SINGLE_TAG",
            Self::MultiTag => "MULTI_TAG",
        }
    }

    /// Reads RocketMQ's name; anything else is a single tag, as an absent value is.
    pub fn from_name(name: &str) -> Self {
        if name == "MULTI_TAG" { Self::MultiTag } else { Self::SingleTag }
    }
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfig {
    /// Its name.
    pub name: String,
    /// Queues that consumers read: ids below this number.
    pub read_queue_nums: i32,
    /// Queues that producers write: ids below this number.
    pub write_queue_nums: i32,
    /// Bits 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// One tag a message or several.
    pub filter_type: FilterType,
    /// Bit 0 unit, bit 1 has unit subscriptions.
    pub sys_flag: i32,
    /// Clients are told to keep queue order over all brokers.
    pub order: bool,
    /// Such as `message.type`, without the sign that requests carry.
    pub attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// A topic with `queue_nums` read and write queues and permission `perm`; everything else as by default.
    pub fn new(name: impl Into<String>, queue_nums: i32, perm: i32) -> Self {
        Self {
            name: name.into(),
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            perm,
            filter_type: FilterType::SingleTag,
            sys_flag: 0,
            order: false,
            attributes: BTreeMap::new(),
        }
    }

    /// Whether consumers may read it.
    pub fn is_readable(&self) -> bool {
        perm::is_readable(self.perm)
    }

    /// Whether producers may write it.
    pub fn is_writable(&self) -> bool {
        perm::is_writable(self.perm)
    }

    /// Whether it may serve as template for automatic creation.
    pub fn is_inherited(&self) -> bool {
        perm::is_inherited(self.perm)
    }
}

//! The topics that groups must not read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{SECTION_BYTES_MAX, Section, text};
use super::shared::Shared;

/// group -> topics that it must not read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Forbidden {
    pub(super) groups: Shared<BTreeMap<String, BTreeSet<String>>>,
}

impl Record for Forbidden {
    const KIND: u16 = 0x030c;
    const NAME: &'static str = "forbidden";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Forbidden {
    fn bytes(&self) -> u64 {
        let of_group = |(group, topics): (&String, &BTreeSet<String>)| {
            text(group) + topics.iter().map(|name| text(name)).sum::<u64>()
        };
        self.groups.iter().map(of_group).sum()
    }

    fn drop_topic(&mut self, topic: &str) {
        for topics in self.groups.values_mut() {
            topics.remove(topic);
        }
        self.groups.retain(|_, topics| !topics.is_empty());
    }
}

impl Forbidden {
    /// Says whether it was not so before.
    pub(super) fn set(&mut self, group: &str, topic: &str, readable: bool) -> bool {
        let topics = self.groups.entry(group.to_owned()).or_default();
        let changed = if readable { topics.remove(topic) } else { topics.insert(topic.to_owned()) };
        if topics.is_empty() {
            self.groups.remove(group);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().forbidden], &[]);
    }
}

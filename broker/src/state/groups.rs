//! The subscription groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{FIXED, SECTION_BYTES_MAX, Section, text, texts};
use super::shared::Shared;
use super::{GroupConfig, Outcome, Version};

/// All subscription groups, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Groups {
    pub(super) groups: Shared<BTreeMap<String, GroupConfig>>,
    /// Counts what is forbidden to groups too.
    pub(super) version: Version,
}

impl Record for Groups {
    const KIND: u16 = 0x0307;
    const NAME: &'static str = "groups";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Groups {
    fn bytes(&self) -> u64 {
        self.groups.values().map(size).sum()
    }
}

/// About how many bytes a group takes.
fn size(group: &GroupConfig) -> u64 {
    FIXED + 2 * text(&group.name) + text(&group.retry_policy) + texts(&group.attributes)
}

impl Groups {
    pub(super) fn put(&mut self, groups: &[GroupConfig], only_new: bool, now_ms: u64) -> Outcome {
        let mut changed = false;
        for group in groups {
            let known = self.groups.get(&group.name);
            if known == Some(group) || (only_new && known.is_some()) {
                continue;
            }
            self.groups.insert(group.name.clone(), group.clone());
            changed = true;
        }
        if changed {
            self.version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    /// Says whether there was such a group.
    pub(super) fn remove(&mut self, group: &str, now_ms: u64) -> bool {
        let changed = self.groups.remove(group).is_some();
        if changed {
            self.version.bump(now_ms);
        }
        changed
    }

    /// About how many bytes these would add.
    pub(super) fn growth(&self, groups: &[GroupConfig], only_new: bool) -> u64 {
        let known = groups.iter().map(|new| (new, self.groups.get(&new.name)));
        let taken = known.filter(|(_, known)| !only_new || known.is_none());
        taken.map(|(new, known)| size(new).saturating_sub(known.map_or(0, size))).sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().groups], &[]);
    }
}

//! Configurations by their names: what the tables of topics and of groups have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use super::{Outcome, Version};

/// A configuration that has a name.
pub(super) trait Named: Clone + PartialEq {
    fn name(&self) -> &str;

    /// About how many bytes it takes.
    fn bytes(&self) -> u64;
}

/// All of them, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Configs<T> {
    pub(super) by_name: Shared<BTreeMap<String, T>>,
    pub(super) version: Version,
}

impl<T> Default for Configs<T> {
    fn default() -> Self {
        Self { by_name: Shared::default(), version: Version::default() }
    }
}

impl<T: Named> Configs<T> {
    pub(super) fn put(&mut self, configs: &[T], only_new: bool, now_ms: u64) -> Outcome {
        let mut changed = false;
        for config in configs {
            let known = self.by_name.get(config.name());
            if known == Some(config) || (only_new && known.is_some()) {
                continue;
            }
            self.by_name.insert(config.name().to_owned(), config.clone());
            changed = true;
        }
        if changed {
            self.version.bump(now_ms);
        }
        Outcome::Done { changed }
    }

    /// Says whether there was one of that name.
    pub(super) fn remove(&mut self, name: &str, now_ms: u64) -> bool {
        let changed = self.by_name.remove(name).is_some();
        if changed {
            self.version.bump(now_ms);
        }
        changed
    }

    /// About how many bytes they take.
    pub(super) fn all_bytes(&self) -> u64 {
        self.by_name.values().map(T::bytes).sum()
    }

    /// About how many bytes these would add.
    pub(super) fn growth(&self, configs: &[T], only_new: bool) -> u64 {
        let known = configs.iter().map(|new| (new, self.by_name.get(new.name())));
        let taken = known.filter(|(_, known)| !only_new || known.is_none());
        taken.map(|(new, known)| new.bytes().saturating_sub(known.map_or(0, T::bytes))).sum()
    }
}

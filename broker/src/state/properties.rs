//! Properties set while the group runs: they count for every node, over what its file says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::section::{SECTION_BYTES_MAX, Section, texts};
use super::shared::Shared;

/// The property that every topic's permission is bounded by.
const PERMISSION: &str = "brokerPermission";

/// Name -> value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Properties {
    pub(super) properties: Shared<BTreeMap<String, String>>,
}

impl Record for Properties {
    const KIND: u16 = 0x030e;
    const NAME: &'static str = "properties";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for Properties {
    fn bytes(&self) -> u64 {
        texts(&*self.properties)
    }
}

/// What came of setting some.
pub(super) struct Set {
    /// Whether any has another value now.
    pub(super) changed: bool,
    /// Whether the broker's permission has.
    pub(super) changed_permission: bool,
}

impl Properties {
    pub(super) fn set(&mut self, properties: &BTreeMap<String, String>) -> Set {
        let permission = self.properties.get(PERMISSION).cloned();
        let mut changed = false;
        for (name, value) in properties {
            changed |= self.properties.insert(name.clone(), value.clone()).as_ref() != Some(value);
        }
        Set { changed, changed_permission: self.properties.get(PERMISSION) != permission.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().properties], &[]);
    }
}

//! The configuration in force: what the node was started with, and over it what was set while the group runs.
//!
//! Properties set by `mqadmin updateBrokerConfig` are replicated (`tables`), so they count on every node of the
//! group and over restarts and changes of the leader. Only [`CHANGEABLE`] ones may be set; what they mean is read by
//! the same code that reads the file, so a bad value is refused in the same words.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use settings::{Notice, Place};
use tracing::{info, warn};

use super::BrokerConfig;

/// Names that may be set while the node runs: each is looked up anew at every use.
pub const CHANGEABLE: [&str; 16] = [
    "autoCreateSubscriptionGroup",
    "autoCreateTopicEnable",
    "brokerPermission",
    "cleanFileForciblyEnable",
    "deleteWhen",
    "diskMaxUsedSpaceRatio",
    "fileReservedTime",
    "longPollingEnable",
    "maxMessageSize",
    "maxTransferBytesOnMessageInDisk",
    "maxTransferBytesOnMessageInMemory",
    "maxTransferCountOnMessageInDisk",
    "maxTransferCountOnMessageInMemory",
    "shortPollingTimeMills",
    "syncFlushTimeout",
    "traceOn",
];

/// What errors name as the place of a property that was set while the node runs.
const PLACE: &str = "updateBrokerConfig";

/// Why properties were not set. Nothing changes then.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// No such name.
    #[error("{key} is no known property{}", .nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?")))]
    Unknown {
        /// As written.
        key: String,
        /// The known name most like it.
        nearest: Option<String>,
    },
    /// Known, but only read at the start.
    #[error("{key} cannot be changed while the broker runs: set it in the broker's file and restart")]
    Fixed {
        /// Its name.
        key: String,
    },
    /// Values that are not allowed.
    #[error(transparent)]
    Refused(#[from] settings::Refusals),
}

/// The configuration in force. Shared; reading costs no lock.
pub struct LiveConfig {
    base: BrokerConfig,
    current: ArcSwap<BrokerConfig>,
}

impl LiveConfig {
    /// What the node was started with.
    pub fn new(base: BrokerConfig) -> Self {
        Self { current: ArcSwap::from_pointee(base.clone()), base }
    }

    /// The configuration in force now.
    pub fn current(&self) -> Guard<Arc<BrokerConfig>> {
        self.current.load()
    }

    /// Whether `wanted` may be set over what is in force, given what was set before.
    ///
    /// # Errors
    /// As [`SetError`] says.
    pub fn check(
        &self,
        before: &BTreeMap<String, String>,
        wanted: &BTreeMap<String, String>,
    ) -> Result<(), SetError> {
        if let Some(key) = wanted.keys().find(|key| !CHANGEABLE.contains(&key.as_str())) {
            let alone = BTreeMap::from([(key.clone(), String::new())]);
            let notices = if self.base.in_force().iter().any(|known| known.name == key) {
                Vec::new()
            } else {
                over(&self.base, &alone)?.notices
            };
            let unknown = notices.into_iter().find_map(|notice| match notice {
                Notice::Unknown { key: unknown, nearest, .. } if unknown == *key => Some(nearest),
                _ => None,
            });
            return Err(match unknown {
                Some(nearest) => SetError::Unknown { key: key.clone(), nearest },
                None => SetError::Fixed { key: key.clone() },
            });
        }
        let mut all = before.clone();
        all.extend(wanted.clone());
        over(&self.base, &all)?;
        Ok(())
    }

    /// Puts `properties` in force.
    pub fn refresh(&self, properties: &BTreeMap<String, String>) {
        match over(&self.base, properties) {
            Ok(config) => {
                for (name, value) in properties {
                    info!(name, value, "set by updateBrokerConfig");
                }
                self.current.store(Arc::new(config));
            }
            // They fitted the file as it was when they were set.
            Err(error) => warn!(%error, "properties set by updateBrokerConfig do not fit the file: left out"),
        }
    }
}

fn over(
    base: &BrokerConfig,
    properties: &BTreeMap<String, String>,
) -> Result<BrokerConfig, settings::Refusals> {
    let mut all = base.properties.clone();
    for (number, (key, value)) in properties.iter().enumerate() {
        all.set(key, value, Place::Line { file: PLACE.into(), line: number + 1 });
    }
    BrokerConfig::read(all, &base.machine)
}

#[cfg(test)]
mod tests {
    use settings::Properties;

    use super::super::Machine;
    use super::*;

    fn live(text: &str) -> LiveConfig {
        let properties = Properties::parse(text.as_bytes(), "broker.conf").unwrap();
        LiveConfig::new(BrokerConfig::read(properties, &Machine::loopback("/nowhere")).unwrap())
    }

    fn set(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_is_set_while_it_runs_wins_over_the_file() {
        let live = live("traceOn=true\nbrokerPermission=6");
        live.refresh(&set("brokerPermission", "4"));
        assert_eq!(live.current().identity.permission, 4);
        assert!(live.current().messages.trace_on);
        assert!(live.current().listing().contains("brokerPermission=4\n"));
        live.refresh(&BTreeMap::new());
        assert_eq!(live.current().identity.permission, 6);
    }

    #[test]
    fn a_refusal_says_why() {
        let live = live("");
        for (name, value, why) in [
            ("brokerPermission", "abc", "brokerPermission = \"abc\" is refused; allowed is 2 or 4 or 6"),
            ("brokerPermision", "4", "is no known property; did you mean brokerPermission?"),
            ("listenPort", "1", "listenPort cannot be changed while the broker runs"),
            ("messageDelayLevel", "1s", "messageDelayLevel cannot be changed while the broker runs"),
        ] {
            let error = live.check(&BTreeMap::new(), &set(name, value)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        live.check(&BTreeMap::new(), &set("fileReservedTime", "48")).unwrap();
    }

    #[test]
    fn every_changeable_name_is_known() {
        let config = live("");
        let current = config.current();
        for name in CHANGEABLE {
            assert!(current.in_force().iter().any(|one| one.name == name), "{name}");
        }
    }
}

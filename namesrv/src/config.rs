//! The name server's properties: RocketMQ's own names, and two of ours for HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::proof::RegisterSecret;
use settings::{InForce, Notice, Properties, Reader, Refusals, Vocabulary};

/// Everything a name server is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// `bindAddress` and `listenPort`: where clients and brokers connect. `0.0.0.0:9876`.
    pub listen: SocketAddr,
    /// `httpAddress` (as `bindAddress`) and `httpPort` (`listenPort` + 3).
    pub http: SocketAddr,
    /// Whether one of the two was set. If not, a name server whose HTTP port is taken starts without HTTP.
    pub http_is_wanted: bool,
    /// `kvConfigPath`: the file of the KV config. `$HOME/namesrv/kvConfig.json`.
    pub kv_config_path: PathBuf,
    /// `scanNotActiveBrokerInterval`: how often brokers that fell silent are looked for. 5,000 ms.
    pub scan_interval: Duration,
    /// `serverChannelMaxIdleTimeSeconds`: a connection without traffic for this long is closed. 120 s.
    pub idle_close: Duration,
    /// `registerSecret`, or the first line of the file `registerSecretFile`, our own names: a broker that cannot prove that
    /// it knows it is not registered. None: whoever reaches the port may say who leads.
    pub register_secret: Option<RegisterSecret>,
    /// What may be changed while it runs.
    pub switches: Switches,
    /// Every property with its value, sorted by name, for `mqadmin getNamesrvConfig` and `-p`.
    pub in_force: Vec<InForce>,
}

/// The switches that `mqadmin updateNamesrvConfig` may turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct Switches {
    /// `orderMessageEnable`: routes carry the order config of their topic. false.
    pub order_message_enable: bool,
    /// `returnOrderTopicConfigToBroker`: brokers learn the order config when they register. true.
    pub return_order_topic_config_to_broker: bool,
    /// `deleteTopicWithBrokerRegistration`: a leader's registration removes the topics it does not name. false.
    pub delete_topic_with_broker_registration: bool,
    /// `enableAllTopicList`: the list of all topics may be asked for. true.
    pub enable_all_topic_list: bool,
    /// `enableTopicList`: the lists of topics by cluster and by unit may be asked for. true.
    pub enable_topic_list: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            order_message_enable: false,
            return_order_topic_config_to_broker: true,
            delete_topic_with_broker_registration: false,
            enable_all_topic_list: true,
            enable_topic_list: true,
        }
    }
}

/// The names of [`Switches`], as the properties have them.
const SWITCH_NAMES: [&str; 5] = [
    "orderMessageEnable",
    "returnOrderTopicConfigToBroker",
    "deleteTopicWithBrokerRegistration",
    "enableAllTopicList",
    "enableTopicList",
];

impl Switches {
    fn by_name(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "orderMessageEnable" => Some(&mut self.order_message_enable),
            "returnOrderTopicConfigToBroker" => Some(&mut self.return_order_topic_config_to_broker),
            "deleteTopicWithBrokerRegistration" => Some(&mut self.delete_topic_with_broker_registration),
            "enableAllTopicList" => Some(&mut self.enable_all_topic_list),
            "enableTopicList" => Some(&mut self.enable_topic_list),
            _ => None,
        }
    }
}

/// Names of RocketMQ's name server that are known and change nothing here.
const VOCABULARY: Vocabulary = Vocabulary {
    aliases: &[],
    without_effect: &[
        "*ThreadPoolNums",
        "*ThreadPoolQueueCapacity",
        "clientCallbackExecutorThreads",
        "clusterTest",
        "configBlackList",
        "configStorePath",
        "enableControllerInNamesrv",
        "enableShutdownGracefully",
        "needWaitForService",
        "notifyMinBrokerIdChanged",
        "productEnvName",
        "rocketmqHome",
        "server*SemaphoreValue",
        "server*Threads",
        "serverNettyWorkerGroupEnable",
        "serverPooledByteBufAllocatorEnable",
        "serverSocket*",
        "shutdownWaitTimeSeconds",
        "supportActingMaster",
        "unRegisterBrokerQueueCapacity",
        "useEpollNativeSelector",
        "waitSecondsForService",
        "writeBuffer*WaterMark",
    ],
};

/// Names that `mqadmin updateNamesrvConfig` may not touch. RocketMQ: `configBlackList`.
const BLACK_LIST: [&str; 3] = ["configBlackList", "configStorePath", "kvConfigPath"];

impl Config {
    /// Reads the properties; `home` is what `$HOME` stands for. Also returns what the operator should know.
    ///
    /// # Errors
    /// Every value that cannot be, each with its place.
    pub fn read(properties: Properties, home: &str) -> Result<(Self, Vec<Notice>), Refusals> {
        let mut reader = Reader::new(properties, VOCABULARY);
        let any_address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let bind = reader.ip("bindAddress", any_address);
        let port = reader.integer("listenPort", 9876, 0..=65535, "") as u16;
        let http_is_wanted = reader.is_set("httpPort") || reader.is_set("httpAddress");
        let http_bind = reader.ip("httpAddress", bind);
        let http_port = reader.integer("httpPort", default_http_port(port).into(), 0..=65535, "") as u16;
        if http_bind == bind && http_port == port && port != 0 {
            reader.refuse(&["listenPort", "httpPort"], "the two need ports of their own");
        }
        let kv_config_path = reader.text("kvConfigPath", &format!("{home}/namesrv/kvConfig.json"));
        if kv_config_path.is_empty() {
            reader.refuse_value("kvConfigPath", "the path of a file");
        }
        let scan_ms = reader.integer("scanNotActiveBrokerInterval", 5_000, 1..=3_600_000, "ms");
        let idle_s = reader.integer("serverChannelMaxIdleTimeSeconds", 120, 1..=86_400, "s");
        let register_secret = reader.secret("registerSecret", "registerSecretFile").map(RegisterSecret::new);
        let mut switches = Switches::default();
        for name in SWITCH_NAMES {
            if let Some(switch) = switches.by_name(name) {
                *switch = reader.bool(name, *switch);
            }
        }
        let mut values = reader.finish()?;
        values.in_force.sort_by_key(|one| one.name);
        let config = Self {
            listen: SocketAddr::new(bind, port),
            http: SocketAddr::new(http_bind, http_port),
            http_is_wanted,
            kv_config_path: kv_config_path.into(),
            scan_interval: Duration::from_millis(scan_ms),
            idle_close: Duration::from_secs(idle_s),
            register_secret,
            switches,
            in_force: values.in_force,
        };
        Ok((config, values.notices))
    }
}

/// Beside the listening port, so that several name servers on one machine do not meet. 9877 and 9878 are
/// RocketMQ's controller.
fn default_http_port(listen_port: u16) -> u16 {
    if listen_port == 0 { 0 } else { listen_port.checked_add(3).unwrap_or(listen_port - 3) }
}

/// What was asked of [`Live::update`] and refused, with nothing changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// RocketMQ's text, which tools may know.
    #[error("Can not update config in black list.")]
    BlackListed,
    /// Known, and read only at start.
    #[error("{name} is read at start only: set it in the file and restart")]
    AtStartOnly {
        /// The property.
        name: String,
    },
    /// No such name.
    #[error("{name} is no known property")]
    Unknown {
        /// The property.
        name: String,
    },
    /// Not a property file.
    #[error("cannot read the properties: {0}")]
    Syntax(#[from] settings::SyntaxError),
}

/// The configuration of a name server that runs: the switches may change, the rest stays.
pub(crate) struct Live {
    in_force: Vec<InForce>,
    switches: [AtomicBool; SWITCH_NAMES.len()],
}

impl Live {
    pub fn new(config: &Config) -> Self {
        let mut switches = config.switches;
        let is_on = |name| switches.by_name(name).is_some_and(|switch| *switch);
        Self { in_force: config.in_force.clone(), switches: SWITCH_NAMES.map(is_on).map(AtomicBool::new) }
    }

    pub fn switches(&self) -> Switches {
        let mut switches = Switches::default();
        for (name, value) in SWITCH_NAMES.iter().zip(&self.switches) {
            if let Some(switch) = switches.by_name(name) {
                *switch = value.load(Ordering::Relaxed);
            }
        }
        switches
    }

    /// Takes over what `text` (a property file) sets, until the next start: all of it or nothing.
    pub fn update(&self, text: &[u8]) -> Result<(), UpdateError> {
        let properties = Properties::parse(text, "request")?;
        let mut changes = Vec::new();
        for entry in properties.entries() {
            let name = entry.key.as_str();
            if BLACK_LIST.contains(&name) {
                return Err(UpdateError::BlackListed);
            }
            if let Some(at) = SWITCH_NAMES.iter().position(|switch| *switch == name) {
                changes.push((at, entry.value.eq_ignore_ascii_case("true")));
            } else if self.in_force.iter().any(|one| one.name == name) {
                return Err(UpdateError::AtStartOnly { name: name.to_owned() });
            } else if !is_without_effect(name) {
                return Err(UpdateError::Unknown { name: name.to_owned() });
            }
        }
        for (at, value) in changes {
            self.switches[at].store(value, Ordering::Relaxed);
            tracing::info!(property = SWITCH_NAMES[at], value, "property changed");
        }
        Ok(())
    }

    /// All properties as the lines of a property file, sorted by name.
    pub fn text(&self) -> String {
        let mut switches = self.switches();
        let lines = self.in_force.iter().map(|one| match switches.by_name(one.name) {
            Some(switch) => format!("{}={switch}\n", one.name),
            None => format!("{}={}\n", one.name, one.value),
        });
        lines.collect()
    }
}

fn is_without_effect(name: &str) -> bool {
    VOCABULARY.without_effect.iter().any(|pattern| match pattern.split_once('*') {
        None => *pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Config, Vec<Notice>), Refusals> {
        Config::read(Properties::parse(text.as_bytes(), "namesrv.conf").unwrap(), "/h")
    }

    #[test]
    fn defaults_are_rocketmqs() {
        let (config, notices) = read("").unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:9876");
        assert_eq!(config.http.to_string(), "0.0.0.0:9879");
        assert!(!config.http_is_wanted);
        assert_eq!(config.kv_config_path.to_str(), Some("/h/namesrv/kvConfig.json"));
        assert_eq!(config.scan_interval, Duration::from_secs(5));
        assert_eq!(config.switches, Switches::default());
        assert!(notices.is_empty());
    }

    #[test]
    fn a_file_of_rocketmq_is_read_and_what_has_no_effect_is_said() {
        let text = "listenPort = 19876\nbindAddress=127.0.0.1\norderMessageEnable=TRUE\nhttpPort=8080\n\
                    serverWorkerThreads=8\nlistenport=1\nclusterTest=false";
        let (config, notices) = read(text).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:19876");
        assert_eq!(config.http.to_string(), "127.0.0.1:8080");
        assert!(config.http_is_wanted && config.switches.order_message_enable);
        let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
        let expected = [
            "namesrv.conf line 5: serverWorkerThreads is accepted and has no effect here",
            "namesrv.conf line 6: listenport is no known property and does nothing; did you mean listenPort?",
            "namesrv.conf line 7: clusterTest is accepted and has no effect here",
        ];
        assert_eq!(notices, expected);
    }

    #[test]
    fn bad_values_are_refused_all_at_once() {
        let text = "listenPort=98760\nbindAddress=nowhere\nscanNotActiveBrokerInterval=0";
        let refusals = read(text).unwrap_err();
        assert_eq!(refusals.refusals.len(), 3, "{refusals}");
        let refusals = read("listenPort=9876\nhttpPort=9876").unwrap_err();
        assert!(refusals.to_string().contains("ports of their own"), "{refusals}");
    }

    #[test]
    fn the_table_of_switches_has_all_of_them_once() {
        let mut switches = Switches::default();
        for name in SWITCH_NAMES {
            *switches.by_name(name).unwrap() ^= true;
        }
        let turned = |switch: bool, default: bool| switch != default;
        let (all, none) = (switches, Switches::default());
        assert!(turned(all.order_message_enable, none.order_message_enable));
        assert!(turned(all.return_order_topic_config_to_broker, none.return_order_topic_config_to_broker));
        assert!(turned(
            all.delete_topic_with_broker_registration,
            none.delete_topic_with_broker_registration
        ));
        assert!(turned(all.enable_all_topic_list, none.enable_all_topic_list));
        assert!(turned(all.enable_topic_list, none.enable_topic_list));
        assert!(!Live::new(&read("enableTopicList=false").unwrap().0).switches().enable_topic_list);
    }

    #[test]
    fn an_update_changes_switches_and_nothing_else() {
        let live = Live::new(&read("").unwrap().0);
        assert_eq!(live.update(b""), Ok(()));
        assert_eq!(live.update(b"clusterTest=false\norderMessageEnable=true"), Ok(()));
        assert!(live.switches().order_message_enable);
        assert!(live.text().contains("\norderMessageEnable=true\n"));
        assert_eq!(live.update(b"enableTopicList=false\nkvConfigPath=/x"), Err(UpdateError::BlackListed));
        assert!(live.switches().enable_topic_list, "all or nothing");
        let at_start = UpdateError::AtStartOnly { name: "listenPort".into() };
        assert_eq!(live.update(b"listenPort=1"), Err(at_start));
        assert_eq!(live.update(b"color=red"), Err(UpdateError::Unknown { name: "color".into() }));
    }
}

//! One node's configuration: RocketMQ's `broker.conf` with its own names, a few new ones of ours, and what follows
//! from them. Pure: files, environment and network are read by the caller and handed in.
//!
//! An unknown name is a warning; a bad value or an impossible combination is refused, and all of them are told at
//! once. Where RocketMQ's default would lose acknowledged messages, ours is the safe one (`flushDiskType`).

mod endpoint;
pub(crate) mod identity;
pub(crate) mod live;
pub(crate) mod machine;
pub(crate) mod messages;
pub(crate) mod network;
pub(crate) mod quorum;
pub(crate) mod storage;
mod vocabulary;

use std::fmt::Write as _;

use settings::{InForce, Notice, Properties, Reader, Refusals};

pub use identity::Identity;
pub(crate) use live::LiveConfig;
pub use machine::Machine;
pub use messages::Messages;
pub use network::Network;
pub use quorum::Quorum;
pub use storage::{FlushDiskType, Storage};

/// Everything a broker node is told at start. A few of its values may be set anew while it runs: `config/live.rs`.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Who this node is to clients and name servers.
    pub identity: Identity,
    /// Where it listens, and what it tells others to connect to.
    pub network: Network,
    /// The Raft group it belongs to.
    pub quorum: Quorum,
    /// Its files, and when they are flushed and deleted.
    pub storage: Storage,
    /// What it grants to producers and consumers.
    pub messages: Messages,
    /// What the operator should know; to be logged once at start.
    pub notices: Vec<Notice>,
    /// Every known name with its value in force, in the order of the documentation.
    in_force: Vec<InForce>,
    /// What it was read from, to be read again with something set over it.
    properties: Properties,
    machine: Machine,
}

impl BrokerConfig {
    /// Reads `properties` as set by file and command line; `machine` fills in what they leave open.
    ///
    /// # Errors
    /// All bad values and impossible combinations at once.
    pub fn read(mut properties: Properties, machine: &Machine) -> Result<Self, Refusals> {
        if let Some(addrs) = &machine.namesrv_addr {
            properties.set_fallback("namesrvAddr", addrs, settings::Place::Environment("NAMESRV_ADDR"));
        }
        let mut reader = Reader::new(properties.clone(), vocabulary::VOCABULARY);
        let identity = Identity::read(&mut reader, machine);
        let quorum = Quorum::read(&mut reader, &identity.broker_name);
        let network = Network::read(&mut reader, machine, &quorum);
        let storage = Storage::read(&mut reader, machine);
        let messages = Messages::read(&mut reader, storage.segment_bytes);
        vocabulary::read_security(&mut reader);
        let values = reader.finish()?;
        let (notices, in_force) = (values.notices, values.in_force);
        let machine = machine.clone();
        Ok(Self { identity, network, quorum, storage, messages, notices, in_force, properties, machine })
    }

    /// What this machine calls itself.
    pub fn host_name(&self) -> &str {
        &self.machine.host_name
    }

    /// Every name with its value in force.
    pub fn in_force(&self) -> &[InForce] {
        &self.in_force
    }

    /// All values in force as a property file, one a line (`mqbroker -p`, `mqadmin getBrokerConfig`).
    pub fn listing(&self) -> String {
        list(self.in_force.iter())
    }

    /// The values that tell one installation from another, as a property file (`mqbroker -m`).
    pub fn important_listing(&self) -> String {
        list(self.in_force.iter().filter(|one| vocabulary::IMPORTANT.contains(&one.name)))
    }
}

fn list<'a>(values: impl Iterator<Item = &'a InForce>) -> String {
    values.fold(String::new(), |mut text, one| {
        writeln!(text, "{one}").expect("a String takes all");
        text
    })
}

#[cfg(test)]
mod tests;

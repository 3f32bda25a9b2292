//! Facts about the machine that stand in where the properties are silent.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What the caller found out about the machine it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Default of `brokerName`.
    pub host_name: String,
    /// Default of `storePathRootDir` is `store` in it.
    pub home: PathBuf,
    /// Default of `brokerIP1`: the first local address that others can reach, or else the loopback.
    pub local_ip: IpAddr,
    /// `$NAMESRV_ADDR`, the default of `namesrvAddr`.
    pub namesrv_addr: Option<String>,
}

impl Machine {
    /// A machine without a network, for tests and for groups on one machine.
    pub fn loopback(home: impl Into<PathBuf>) -> Self {
        Self {
            host_name: "localhost".to_owned(),
            home: home.into(),
            local_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            namesrv_addr: None,
        }
    }
}

//! Where a node listens, and what it tells others to connect to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use protocol::proof::RegisterSecret;
use settings::Reader;

use super::endpoint::{Endpoint, HOST_AND_PORT};
use super::{Machine, Quorum};

/// Old clients send to this many ports below `listenPort` (RocketMQ's VIP channel).
const VIP_PORTS_BELOW: u16 = 2;
/// Our HTTP port is this many above `listenPort` unless set; 1 above is RocketMQ's HA port.
const HTTP_PORTS_ABOVE: u16 = 2;

/// Addresses and the rhythm of talking to name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// `namesrvAddr`, `host:port` each, `;`-separated: every one of them is registered with. Default
    /// `$NAMESRV_ADDR`; none at all is allowed, and then clients cannot find this broker.
    pub namesrv_addrs: Vec<String>,
    /// `bindAddress` with `listenPort`: where clients come in. Default `0.0.0.0:10911`.
    pub listen: SocketAddr,
    /// The same address two ports below, for clients with the VIP channel on.
    pub vip_listen: SocketAddr,
    /// `httpAddress` with `httpPort`, both our own names: status, health, metrics. Default `bindAddress` and
    /// `listenPort` + 2. `None` for port 0: no HTTP.
    pub http_listen: Option<SocketAddr>,
    /// `brokerIP1`: the host that clients are told. Default the first local address that is not the loopback.
    pub advertised_host: String,
    /// What stored messages and offset message ids name as their store: `brokerIP1` if it is an address, else the
    /// local address; with `listenPort`.
    pub store_host: SocketAddr,
    /// `brokerIP2` with `haListenPort`: registered because name servers demand it; nothing listens there.
    pub ha_addr: String,
    /// `registerNameServerPeriod`: milliseconds between full registrations, 10,000 to 60,000. Default 30,000.
    pub register_period_ms: u64,
    /// `registerSecret`, or the first line of the file `registerSecretFile`, our own names: proves to name servers that have
    /// the same that this broker may say who leads. Default none.
    pub register_secret: Option<RegisterSecret>,
    /// `brokerHeartbeatInterval`: milliseconds between light heartbeats to name servers. Default 1,000.
    pub heartbeat_interval_ms: u64,
    /// `serverChannelMaxIdleTimeSeconds`: a connection silent for so many seconds is closed. Default 120.
    pub idle_close_s: u64,
}

impl Network {
    pub(super) fn read(reader: &mut Reader, machine: &Machine, quorum: &Quorum) -> Self {
        let namesrv_addrs = read_namesrv_addrs(reader);
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let bind = reader.ip("bindAddress", any);
        let lowest = u64::from(VIP_PORTS_BELOW) + 1;
        let port = reader.integer("listenPort", 10911, lowest..=65535, "") as u16;
        let default_ip = machine.local_ip.to_string();
        let advertised_host = reader.text("brokerIP1", &default_ip);
        let ha_host = reader.text("brokerIP2", &default_ip);
        for (name, host) in [("brokerIP1", &advertised_host), ("brokerIP2", &ha_host)] {
            if host.parse::<IpAddr>().is_err() && Endpoint::parse(&format!("{host}:1")).is_none() {
                reader.refuse_value(name, "an address or a host name, without a port");
            }
        }
        let ha_default = u64::from(port.saturating_add(1));
        let ha_port = reader.integer("haListenPort", ha_default, 1..=65535, "") as u16;
        let http_default = u64::from(port.checked_add(HTTP_PORTS_ABOVE).unwrap_or(0));
        let http_port = reader.integer("httpPort", http_default, 0..=65535, "") as u16;
        let http_ip = reader.ip("httpAddress", bind);
        let store_ip = advertised_host.parse().unwrap_or(machine.local_ip);
        let network = Self {
            namesrv_addrs,
            listen: SocketAddr::new(bind, port),
            vip_listen: SocketAddr::new(bind, port.saturating_sub(VIP_PORTS_BELOW)),
            http_listen: (http_port > 0).then(|| SocketAddr::new(http_ip, http_port)),
            store_host: SocketAddr::new(store_ip, port),
            advertised_host,
            ha_addr: Endpoint { host: ha_host, port: ha_port }.to_string(),
            register_period_ms: read_register_period(reader),
            register_secret: reader.secret("registerSecret", "registerSecretFile").map(RegisterSecret::new),
            heartbeat_interval_ms: reader.integer("brokerHeartbeatInterval", 1_000, 100..=60_000, "ms"),
            idle_close_s: reader.integer("serverChannelMaxIdleTimeSeconds", 120, 1..=86_400, "s"),
        };
        reader.has_no_effect("brokerHeartbeatInterval");
        check_ports(reader, &network, quorum);
        network
    }

    /// What clients connect to: `brokerIP1:listenPort`.
    pub fn advertised_addr(&self) -> String {
        Endpoint { host: self.advertised_host.clone(), port: self.listen.port() }.to_string()
    }
}

fn read_namesrv_addrs(reader: &mut Reader) -> Vec<String> {
    let parse = |text: &str| {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Endpoint::parse(part).map(|addr| addr.to_string())).collect::<Option<Vec<_>>>()
    };
    let allowed = format!("{HOST_AND_PORT};{HOST_AND_PORT}");
    let addrs = reader.parsed("namesrvAddr", Vec::new(), &allowed, parse, |addrs| addrs.join(";"));
    if addrs.is_empty() {
        reader.warn(
            "namesrvAddr and $NAMESRV_ADDR are not set: no name server will tell clients of this broker",
        );
    }
    addrs
}

/// RocketMQ takes any number and moves it into its range; so do we, and say so.
fn read_register_period(reader: &mut Reader) -> u64 {
    const MS: std::ops::RangeInclusive<u64> = 10_000..=60_000;
    let written = reader.integer("registerNameServerPeriod", 30_000, 0..=u64::from(u32::MAX), "ms");
    let period = written.clamp(*MS.start(), *MS.end());
    if period != written {
        reader.warn(format!("registerNameServerPeriod = {written} ms counts as {period} ms, as in RocketMQ"));
        reader.derive("registerNameServerPeriod", period.to_string());
    }
    period
}

/// A node's own listeners must not take each other's port.
fn check_ports(reader: &mut Reader, network: &Network, quorum: &Quorum) {
    let listeners = [
        ("listenPort", &["listenPort"][..], Some(network.listen)),
        ("listenPort - 2 for old clients", &["listenPort"], Some(network.vip_listen)),
        ("httpPort", &["httpPort", "listenPort"], network.http_listen),
        (
            "the own port in dLegerPeers",
            &["dLegerPeers", "dLegerSelfId"],
            quorum.is_group.then_some(quorum.listen),
        ),
    ];
    for (at, (what, names, addr)) in listeners.iter().enumerate() {
        for (other_what, other_names, other_addr) in &listeners[..at] {
            if let (Some(addr), Some(other)) = (addr, other_addr)
                && addr.port() == other.port()
                && (addr.ip() == other.ip() || addr.ip().is_unspecified() || other.ip().is_unspecified())
            {
                let mut names = [*other_names, *names].concat();
                names.dedup();
                reader.refuse(&names, format!("{other_what} and {what} are both port {}", addr.port()));
            }
        }
    }
}

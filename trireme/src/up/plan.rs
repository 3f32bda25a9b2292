//! What `trireme up` starts, decided before anything is: addresses, files, property files, command lines.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::bail;
use broker::BrokerConfig;
use broker::config::Machine;
use settings::{Notice, Properties};

use crate::cli::UpArgs;
use crate::machine;

/// Ports before `--port-offset`; those of clients are RocketMQ's fast-try. All lie below 32768, where the ports of
/// outgoing connections begin, any of which could be taken at any moment.
const NAMESRV_PORT: u16 = 9876;
const NAMESRV_HTTP_PORT: u16 = 9879;
const CLIENT_PORT: u16 = 30911;
const CLIENT_PORTS_APART: u16 = 10;
/// Above the port for clients; 2 below it is the port for old clients.
const HTTP_PORTS_ABOVE: u16 = 2;
const PEER_PORTS_ABOVE: u16 = 4;
/// Smaller than RocketMQ's 1 GiB: each node allocates two of them in full, and this is often a laptop.
const SEGMENT_BYTES: u64 = 256 << 20;

/// A process to be started.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// `namesrv` or the node's id.
    pub name: String,
    /// The command line that starts it, alone as well.
    pub command: Vec<String>,
    /// Its property file.
    pub conf: PathBuf,
    /// What is in it.
    pub conf_text: String,
    /// Where its output goes.
    pub log: PathBuf,
    /// Every address it will listen on, with what for.
    pub listens: Vec<(&'static str, SocketAddr)>,
}

/// One broker node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// How to start it; its name is the node's id.
    pub process: Process,
    /// Where clients come in.
    pub remoting: SocketAddr,
    /// Where its peers do.
    pub raft: SocketAddr,
    /// Where its status is.
    pub http: SocketAddr,
    /// Its data.
    pub store: PathBuf,
}

/// Everything that will run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Absolute.
    pub dir: PathBuf,
    /// The name server's process.
    pub namesrv: Process,
    /// Where brokers and clients find it.
    pub namesrv_addr: SocketAddr,
    /// Its status.
    pub namesrv_http: SocketAddr,
    /// `brokerClusterName` in force.
    pub cluster: String,
    /// `brokerName` in force.
    pub group: String,
    /// Bytes of one segment in force.
    pub segment_bytes: u64,
    /// In the order of their ids.
    pub nodes: Vec<Node>,
}

impl Plan {
    /// Plans `node_count` nodes below `dir`, which is absolute, with `exe` as the program. The second part is what
    /// the operator should know.
    ///
    /// # Errors
    /// A `--set` that is not understood, is refused by a broker, or would move what this plan decides.
    pub(crate) fn new(
        args: &UpArgs,
        dir: &Path,
        exe: &Path,
        node_count: u16,
    ) -> anyhow::Result<(Self, Vec<Notice>)> {
        let told = told_host(args.host, || machine::look().local_ip)?;
        // Where everything is on one machine and listens everywhere, peers need not.
        let peer_host = if args.host.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { args.host };
        let at = |port: u16| SocketAddr::new(told, port + args.port_offset);
        let bound = |addr: SocketAddr| SocketAddr::new(args.host, addr.port());
        let (namesrv_addr, namesrv_http) = (at(NAMESRV_PORT), at(NAMESRV_HTTP_PORT));
        let namesrv = Process {
            name: "namesrv".to_owned(),
            command: command(exe, "namesrv", &dir.join("conf/namesrv.conf")),
            conf: dir.join("conf/namesrv.conf"),
            conf_text: namesrv_conf(bound(namesrv_addr), bound(namesrv_http), &dir.join("namesrv")),
            log: dir.join("logs/namesrv.log"),
            listens: vec![("name server", bound(namesrv_addr)), ("name server, HTTP", bound(namesrv_http))],
        };
        let peer_at = |k| at(CLIENT_PORT + CLIENT_PORTS_APART * k + PEER_PORTS_ABOVE).port();
        let peers: Vec<_> = (0..node_count).map(|k| (k, SocketAddr::new(peer_host, peer_at(k)))).collect();
        let peer_list: Vec<_> = peers.iter().map(|(k, addr)| format!("n{k}-{addr}")).collect();
        let mut nodes = Vec::new();
        let mut in_force = None;
        for (k, raft) in peers {
            let remoting = at(CLIENT_PORT + CLIENT_PORTS_APART * k);
            let http = SocketAddr::new(told, remoting.port() + HTTP_PORTS_ABOVE);
            let vip = SocketAddr::new(told, remoting.port() - HTTP_PORTS_ABOVE);
            let (id, store) = (format!("n{k}"), dir.join(format!("n{k}")));
            let conf = dir.join(format!("conf/broker-{id}.conf"));
            let ours =
                broker_conf(&id, args.host, remoting, http, &store, namesrv_addr, &peer_list.join(";"));
            let config = check(&ours, &args.set, told)?;
            let process = Process {
                command: command(exe, "broker", &conf),
                conf,
                conf_text: with_set(ours, &args.set),
                log: dir.join(format!("logs/{id}.log")),
                listens: vec![
                    ("clients", bound(remoting)),
                    ("old clients", bound(vip)),
                    ("peers", raft),
                    ("HTTP", bound(http)),
                ],
                name: id,
            };
            let node = Node { process, remoting, raft, http, store };
            if !agrees(&config, &node, args.host, namesrv_addr, node_count) {
                bail!(
                    "--set must not change addresses, ports, peers and store paths, which trireme up decides; \
                     use --port-offset, --host and --dir"
                );
            }
            nodes.push(node);
            in_force = Some(config);
        }
        let config = in_force.expect("a group has at least one node");
        let plan = Self {
            dir: dir.to_owned(),
            namesrv,
            namesrv_addr,
            namesrv_http,
            cluster: config.identity.cluster,
            group: config.identity.broker_name,
            segment_bytes: config.storage.segment_bytes,
            nodes,
        };
        Ok((plan, config.notices))
    }

    /// The name server first, then the nodes.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.namesrv).chain(self.nodes.iter().map(|node| &node.process))
    }
}

/// What clients are told to connect to: the address to listen on or, where that is every one, one of this machine.
fn told_host(host: IpAddr, local: impl FnOnce() -> IpAddr) -> anyhow::Result<IpAddr> {
    if !host.is_unspecified() {
        return Ok(host);
    }
    let local = local();
    if local.is_loopback() || local.is_unspecified() {
        bail!(
            "--host {host} listens on every address, but this machine has none that others could be told; name the one \
             they reach it by"
        );
    }
    Ok(local)
}

fn command(exe: &Path, role: &str, conf: &Path) -> Vec<String> {
    vec![exe.display().to_string(), role.to_owned(), "-c".to_owned(), conf.display().to_string()]
}

fn namesrv_conf(addr: SocketAddr, http: SocketAddr, store: &Path) -> String {
    format!(
        "# Written by trireme up at each start.\n\
         bindAddress = {}\n\
         listenPort = {}\n\
         httpAddress = {}\n\
         httpPort = {}\n\
         kvConfigPath = {}\n",
        addr.ip(),
        addr.port(),
        http.ip(),
        http.port(),
        escape(&store.join("kvConfig.json").display().to_string()),
    )
}

fn broker_conf(
    id: &str,
    bind: IpAddr,
    remoting: SocketAddr,
    http: SocketAddr,
    store: &Path,
    namesrv: SocketAddr,
    peers: &str,
) -> String {
    format!(
        "# Written by trireme up at each start; change it with --set key=value.\n\
         brokerClusterName = RaftCluster\n\
         brokerName = RaftNode00\n\
         namesrvAddr = {namesrv}\n\
         bindAddress = {bind}\n\
         brokerIP1 = {ip}\n\
         listenPort = {port}\n\
         httpAddress = {bind}\n\
         httpPort = {http_port}\n\
         storePathRootDir = {store}\n\
         mappedFileSizeCommitLog = {SEGMENT_BYTES}\n\
         enableDLegerCommitLog = true\n\
         dLegerPeers = {peers}\n\
         dLegerSelfId = {id}\n",
        ip = remoting.ip(),
        port = remoting.port(),
        http_port = http.port(),
        store = escape(&store.display().to_string()),
    )
}

/// What a broker would make of `ours` and `--set`, with the places in messages that the user knows.
fn check(ours: &str, set: &[String], host: IpAddr) -> anyhow::Result<BrokerConfig> {
    let mut properties = Properties::parse(ours.as_bytes(), "trireme up")?;
    for pair in set {
        properties.set_pair(pair).map_err(|error| anyhow::anyhow!("--set {error}"))?;
    }
    let machine = Machine { local_ip: host, ..Machine::loopback(".") };
    Ok(BrokerConfig::read(properties, &machine)?)
}

fn agrees(config: &BrokerConfig, node: &Node, host: IpAddr, namesrv: SocketAddr, node_count: u16) -> bool {
    let (network, quorum) = (&config.network, &config.quorum);
    network.listen == SocketAddr::new(host, node.remoting.port())
        && network.http_listen == Some(SocketAddr::new(host, node.http.port()))
        && network.advertised_addr() == node.remoting.to_string()
        && network.namesrv_addrs == [namesrv.to_string()]
        && quorum.is_group
        && quorum.self_id == node.process.name
        && quorum.members.len() == usize::from(node_count)
        && quorum.members.get(&quorum.node_id) == Some(&node.raft.to_string())
        && config.storage.root == node.store
        && config.storage.commitlog.starts_with(&node.store)
}

fn with_set(mut conf: String, set: &[String]) -> String {
    for pair in set {
        let (key, value) = pair.split_once('=').expect("pairs were checked before");
        let key: String = key.trim().chars().fold(String::new(), |mut key, c| {
            if " :=#!\t".contains(c) {
                key.push('\\');
            }
            key.push_str(&escape(c.encode_utf8(&mut [0; 4])));
            key
        });
        writeln!(conf, "{key} = {}", escape(value.trim())).expect("a String takes all");
    }
    conf
}

/// As a property file must have it, so that it stays one line and reads back the same.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: &[&str], node_count: u16) -> anyhow::Result<(Plan, Vec<Notice>)> {
        use clap::Parser;
        let args = ["trireme", "up"].iter().chain(args);
        let crate::cli::Command::Up(args) = crate::cli::Cli::parse_from(args).command else { panic!() };
        Plan::new(&args, Path::new("/data"), Path::new("/bin/trireme"), node_count)
    }

    #[test]
    fn ports_are_those_of_fast_try_and_move_together() {
        for (offset, add) in [("0", 0), ("1000", 1_000)] {
            let (plan, notices) = plan(&["--port-offset", offset], 3).unwrap();
            assert_eq!(notices, []);
            assert_eq!(plan.namesrv_addr.port(), 9876 + add);
            let ports = |of: fn(&Node) -> SocketAddr| {
                plan.nodes.iter().map(|node| of(node).port()).collect::<Vec<_>>()
            };
            assert_eq!(ports(|node| node.remoting), [30911 + add, 30921 + add, 30931 + add]);
            assert_eq!(ports(|node| node.raft), [30915 + add, 30925 + add, 30935 + add]);
            assert_eq!(ports(|node| node.http), [30913 + add, 30923 + add, 30933 + add]);
            let mut all: Vec<_> =
                plan.processes().flat_map(|process| &process.listens).map(|(_, addr)| addr).collect();
            assert_eq!(all.len(), 2 + 3 * 4);
            assert!(all.iter().all(|addr| addr.port() < 32_768), "S30: outgoing connections take the others");
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 2 + 3 * 4, "two listeners share a port");
            assert_eq!((plan.cluster.as_str(), plan.group.as_str()), ("RaftCluster", "RaftNode00"));
        }
    }

    #[test]
    fn what_is_set_reaches_every_broker_and_reads_back_the_same() {
        let (plan, notices) =
            plan(&["--set", "maxMessageSize=1024", "--set", "color=C:\\red # x"], 3).unwrap();
        assert_eq!(notices.len(), 1);
        assert!(
            notices[0].to_string().starts_with("command line: color is no known property"),
            "{notices:?}"
        );
        for node in &plan.nodes {
            let properties = Properties::parse(node.process.conf_text.as_bytes(), "f").unwrap();
            assert_eq!(properties.get("color").unwrap().value, "C:\\red # x");
            let config = BrokerConfig::read(properties, &Machine::loopback("/")).unwrap();
            assert_eq!(config.messages.body_bytes_max, 1024);
            assert_eq!(config.quorum.listen, node.raft);
            assert_eq!(config.network.vip_listen.port(), node.remoting.port() - 2);
        }
        assert_eq!(
            plan.nodes[1].process.command,
            ["/bin/trireme", "broker", "-c", "/data/conf/broker-n1.conf"]
        );
    }

    #[test]
    fn what_cannot_be_set_is_refused_before_anything_starts() {
        for (set, said) in [
            ("flushDiskType=never", "command line: flushDiskType = \"never\" is refused"),
            ("listenPort=1234", "must not change"),
            ("dLedgerSelfId=n2", "must not change"),
            ("storePathRootDir=/elsewhere", "must not change"),
            ("enableDLegerCommitLog=false", "must not change"),
            ("nonsense", "expected key=value"),
        ] {
            let error = plan(&["--set", set], 3).unwrap_err().to_string();
            assert!(error.contains(said), "{set}: {error}");
        }
    }

    /// S26: clients were told to connect to 0.0.0.0.
    #[test]
    fn clients_are_told_an_address_that_they_can_reach() {
        let told = |host: &str, local: &str| {
            told_host(host.parse().unwrap(), || local.parse().unwrap()).map_err(|error| error.to_string())
        };
        let ip = |text: &str| Ok(text.parse::<IpAddr>().unwrap());
        assert_eq!(told("10.0.0.7", "10.0.0.8"), ip("10.0.0.7"));
        assert_eq!(told("0.0.0.0", "10.0.0.8"), ip("10.0.0.8"));
        assert_eq!(told("::", "10.0.0.8"), ip("10.0.0.8"));
        assert!(told("0.0.0.0", "127.0.0.1").unwrap_err().contains("name the one they reach it by"));
        let Ok((plan, notices)) = plan(&["--host", "0.0.0.0"], 3) else { return };
        assert_eq!(notices, []);
        for node in &plan.nodes {
            let properties = Properties::parse(node.process.conf_text.as_bytes(), "f").unwrap();
            let config = BrokerConfig::read(properties, &Machine::loopback("/")).unwrap();
            assert!(config.network.listen.ip().is_unspecified());
            assert_eq!(config.network.advertised_addr(), node.remoting.to_string());
            assert!(!node.remoting.ip().is_unspecified() && config.quorum.listen.ip().is_loopback());
        }
    }

    #[test]
    fn a_group_of_one_is_a_group_too() {
        let (plan, notices) = plan(&["--host", "::1"], 1).unwrap();
        assert_eq!(notices, []);
        assert_eq!(plan.nodes.len(), 1);
        assert!(plan.nodes[0].process.conf_text.contains("dLegerPeers = n0-[::1]:30915\n"));
    }
}

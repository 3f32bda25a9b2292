//! Facts about this machine and process that stand in where a property file is silent. Asked for once, at start.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;

use broker::config::Machine;

/// Looks around.
pub(crate) fn look() -> Machine {
    Machine {
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        home: home(),
        local_ip: local_ip(),
        namesrv_addr: std::env::var("NAMESRV_ADDR").ok().filter(|addrs| !addrs.trim().is_empty()),
    }
}

/// `$HOME`, or where we are.
pub(crate) fn home() -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The address by which others reach this machine: the one it would send from, else any that is not the loopback,
/// else the loopback.
fn local_ip() -> IpAddr {
    sends_from()
        .or_else(|| routed_here(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default()))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Asks the routing table. "Connecting" a datagram socket sends nothing; the address is one kept for documents.
fn sends_from() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// The first local address of Linux' routing trie, for a machine without a default route. There an address line
/// is followed by what it is: `|-- 10.0.0.7`, then `/32 host LOCAL`.
fn routed_here(fib_trie: &str) -> Option<IpAddr> {
    let lines: Vec<_> = fib_trie.lines().map(str::trim).collect();
    lines.windows(2).filter(|pair| pair[1].ends_with("host LOCAL")).find_map(|pair| {
        let ip: Ipv4Addr = pair[0].strip_prefix("|-- ")?.parse().ok()?;
        (!ip.is_loopback()).then_some(IpAddr::V4(ip))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routing_trie_names_local_addresses() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.7\n        /32 host LOCAL\n";
        assert_eq!(routed_here(trie), Some("10.0.0.7".parse().unwrap()));
        assert_eq!(routed_here(""), None);
    }
}

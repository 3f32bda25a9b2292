//! Ports for one group, out of a block that no other group of this machine takes meanwhile.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::{OsRng, RngSource};
use rand::Rng;

/// Below the range that the system gives out to outgoing connections, and clear of our default ports.
const FIRST_PORT: u16 = 17_000;
const BLOCKS: u16 = 100;
/// Ports in a block. The first one is its lock.
pub const BLOCK_PORTS: u16 = 128;
const _: () = assert!(FIRST_PORT as u32 + BLOCKS as u32 * BLOCK_PORTS as u32 <= 30_000);

/// A block of ports, ours until dropped.
///
/// The lock is a socket that listens on the first port: the system itself frees it when we die.
pub struct PortBlock {
    base: u16,
    _lock: TcpListener,
}

impl PortBlock {
    /// Takes a block all of whose ports are free now.
    ///
    /// # Errors
    /// `AddrInUse` if there is none left.
    pub fn claim() -> io::Result<Self> {
        let first = OsRng.rng("ports").random_range(0..BLOCKS);
        for step in 0..BLOCKS {
            let base = FIRST_PORT + (first + step) % BLOCKS * BLOCK_PORTS;
            let Ok(lock) = bind(base) else { continue };
            if (1..BLOCK_PORTS).all(|port| bind(base + port).is_ok()) {
                return Ok(Self { base, _lock: lock });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no block of free ports is left for a group"))
    }

    /// The port at a place in the block, from 1.
    ///
    /// # Panics
    /// If the block has no such place.
    pub fn port(&self, place: u16) -> u16 {
        assert!((1..BLOCK_PORTS).contains(&place), "place {place} in a block of {BLOCK_PORTS} ports");
        self.base + place
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_get_different_ports() {
        let (one, other) = (PortBlock::claim().unwrap(), PortBlock::claim().unwrap());
        assert_ne!(one.port(1), other.port(1));
        assert!(one.port(1).abs_diff(other.port(1)) >= BLOCK_PORTS);
    }
}

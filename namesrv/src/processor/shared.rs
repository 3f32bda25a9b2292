//! What the parts of a name server share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use platform::{Clock, Platform};
use remoting::{Connection, LogLimit};

use super::proofs::Proofs;
use crate::config::{Config, Live};
use crate::kv_config::{KvConfig, WRITE_PERM_WIPED};
use crate::route_table::{Gone, RouteTable};

/// What the parts of a name server share.
pub(crate) struct Shared {
    table: RwLock<RouteTable>,
    pub kv: KvConfig,
    pub live: Live,
    clock: Arc<dyn Clock>,
    /// Open connections by id: a broker that fell silent loses its own.
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// For the lines about registrations that are refused: whoever sends them can send many.
    pub refusals: LogLimit,
    /// Of brokers that must prove the register secret; `None` where there is none.
    pub(super) proofs: Option<Proofs>,
}

impl Shared {
    pub fn new(config: &Config, kv: KvConfig, platform: &Platform) -> Self {
        let wiped = kv.list(WRITE_PERM_WIPED).unwrap_or_default().into_keys();
        let table = RwLock::new(RouteTable::new(wiped));
        let proofs = config.register_secret.clone().map(|secret| Proofs::new(secret, platform));
        Self {
            table,
            kv,
            live: Live::new(config),
            clock: platform.clock.clone(),
            connections: Mutex::default(),
            refusals: LogLimit::default(),
            proofs,
        }
    }

    /// The clock that the table's times are of.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// For reading. The table asserts before it changes anything, so one that somebody panicked over is sound.
    pub fn table(&self) -> RwLockReadGuard<'_, RouteTable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For changing.
    pub fn table_mut(&self) -> RwLockWriteGuard<'_, RouteTable> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a connection, if it is still open.
    pub fn close(&self, connection: u64) {
        let connection = self.open_connections().get(&connection).cloned();
        if let Some(connection) = connection {
            connection.close();
        }
    }

    pub fn open_connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of brokers that left the routes.
pub(crate) fn log_gone(gone: &[Gone], why: &str) {
    for Gone { group, id, addr, .. } in gone {
        tracing::info!(group, broker_id = id, addr, why, "broker removed from the routes");
    }
}

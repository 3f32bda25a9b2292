//! Asks for registrations, and tells when name servers know.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

/// So many challenges are remembered: far more than there are name servers.
const CHALLENGES_MAX: usize = 64;

/// Asks for registrations and follows them.
pub struct Registrar {
    /// Counts up with every reason to register.
    pub(super) wanted: watch::Sender<u64>,
    /// For each name server, the count that its last answered registration included; `u64::MAX` while it does
    /// not answer, so that nobody waits for it.
    pub(super) done: Vec<watch::Sender<u64>>,
    /// What name servers ask to be proved, by connection.
    challenges: Mutex<HashMap<u64, String>>,
}

impl Registrar {
    /// For `name_servers` of them.
    pub fn new(name_servers: usize) -> Self {
        Self {
            wanted: watch::Sender::new(1),
            done: (0..name_servers).map(|_| watch::Sender::new(0)).collect(),
            challenges: Mutex::default(),
        }
    }

    /// What the name server at the other end of a connection asks to be proved.
    pub(super) fn challenge_of(&self, connection: u64) -> Option<String> {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(&connection).cloned()
    }

    /// Remembers it.
    pub(super) fn learn(&self, connection: u64, challenge: &str) {
        let mut challenges = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        if challenges.len() > CHALLENGES_MAX {
            challenges.clear(); // of connections long closed; what is still wanted is asked for again
        }
        challenges.insert(connection, challenge.to_owned());
    }

    /// Registers everywhere now.
    pub fn now(&self) -> u64 {
        let mut count = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            count = *wanted;
        });
        count
    }

    /// Registers everywhere now, and waits up to `within` until the name servers that answer know.
    pub async fn refresh(&self, within: Duration) {
        let count = self.now();
        let all_done = async {
            for done in &self.done {
                // An error says that the task is gone: nothing to wait for.
                let _ = done.subscribe().wait_for(|done| *done >= count).await;
            }
        };
        if tokio::time::timeout(within, all_done).await.is_err() {
            debug!(?within, "not every name server has answered a registration in time");
        }
    }
}

//! What happened in a simulation, as one number: equal runs have equal traces.

use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes in events. Clones share it.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hash: Fnv,
    events: u64,
}

/// FNV-1a: stable over builds, which std's hasher is not.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Trace {
    /// Something happened to `what`, with these bytes.
    pub fn note(&self, what: &str, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.events += 1;
        state.hash.write(what.as_bytes());
        state.hash.write(bytes);
        // Where two runs of one seed part ways, this shows it first.
        tracing::trace!(
            event = state.events,
            hash = format_args!("{:016x}", state.hash.finish()),
            bytes = bytes.len(),
            "{what}"
        );
    }

    /// The number, and how many events it is made of.
    pub fn digest(&self) -> (u64, u64) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.hash.finish(), state.events)
    }
}

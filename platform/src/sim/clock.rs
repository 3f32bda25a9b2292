//! A node's clocks in simulated time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// Follows the time of the runtime it was made in; its wall clock may be wrong.
pub struct SimClock {
    start: Instant,
    wall_ms_at_start: AtomicU64,
}

impl SimClock {
    /// Its wall clock shows `wall_ms` now. Must be made and read inside a runtime whose time is paused.
    pub fn at(wall_ms: u64) -> Self {
        Self { start: Instant::now(), wall_ms_at_start: AtomicU64::new(wall_ms) }
    }

    /// Makes the wall clock jump; the monotonic one goes on.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        let since_start = self.monotonic().as_millis() as u64;
        self.wall_ms_at_start.store(wall_ms.saturating_sub(since_start), Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms_at_start.load(Ordering::Relaxed) + self.monotonic().as_millis() as u64
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

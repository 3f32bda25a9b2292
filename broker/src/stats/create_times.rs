//! How long it took to make or change topics and groups by command.

use std::time::Duration;

use platform::{Counts, Histogram};

/// Bounds, milliseconds. Source: RocketMQ `BrokerMetricsManager`.
const TIMES_MS: [u64; 5] = [10, 100, 1_000, 3_000, 5_000];

/// The times, by outcome and kind.
pub struct CreateTimes([[Histogram; 2]; 2]);

impl Default for CreateTimes {
    fn default() -> Self {
        Self([(); 2].map(|()| [(); 2].map(|()| Histogram::new(&TIMES_MS))))
    }
}

impl CreateTimes {
    /// Counts one command.
    pub fn record(&self, has_succeeded: bool, is_system: bool, took: Duration) {
        self.0[usize::from(has_succeeded)][usize::from(is_system)].record(took.as_millis() as u64);
    }

    /// Whether they succeeded, whether it was about something of the system's own, and how long they took.
    pub fn rows(&self) -> impl Iterator<Item = (bool, bool, Counts)> {
        [(true, false), (true, true), (false, false), (false, true)]
            .into_iter()
            .map(|(ok, system)| (ok, system, self.0[usize::from(ok)][usize::from(system)].counts()))
    }
}

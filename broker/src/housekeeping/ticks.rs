//! The time between two looks of a task.

use std::time::Duration;

use tokio::sync::watch;

/// Ticks every period until shutdown.
pub struct Ticks {
    interval: tokio::time::Interval,
    shutdown: watch::Receiver<bool>,
}

impl Ticks {
    /// Every `period`, the first at once.
    pub fn new(period: Duration, shutdown: watch::Receiver<bool>) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { interval, shutdown }
    }

    /// Waits for the next tick; `false` at shutdown.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interval.tick() => true,
            _ = self.shutdown.wait_for(|stop| *stop) => false,
        }
    }
}

//! Looks for brokers that fell silent. Those whose connection closed are gone already.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::processor::{Shared, log_gone};

/// Removes silent brokers from the routes every `period`, and closes their connections, until told to stop.
pub(crate) async fn watch(shared: Arc<Shared>, period: Duration, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = ticks.tick() => scan(&shared),
        }
    }
}

fn scan(shared: &Shared) {
    let gone = shared.table_mut().expire(shared.now());
    log_gone(&gone, "silent for too long");
    for broker in gone {
        shared.close(broker.connection);
    }
}

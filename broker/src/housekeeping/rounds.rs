//! What is done every ten seconds, in order: clock, flush, preferred leader, rates, silent clients, retention.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::housekeeping::clock_watch::ClockWatch;
use crate::housekeeping::prefer_leader::prefer_leader;
use crate::housekeeping::retention::expire;
use crate::housekeeping::silent_clients::drop_silent_clients;
use crate::housekeeping::ticks::Ticks;
use crate::housekeeping::write_out::flush;
use crate::local_time;
use crate::node::Node;
use crate::stats::SAMPLE_SECS;

/// How often clients and retention are looked at. Source: RocketMQ `cleanResourceInterval`.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// Consume queues and key index are flushed every so many rounds: about once a minute.
const FLUSH_ROUNDS: u32 = 6;

/// Counters, silent clients, retention.
pub async fn keep(node: Arc<Node>, shutdown: watch::Receiver<bool>) {
    debug_assert_eq!(HOUSEKEEPING.as_secs(), SAMPLE_SECS);
    let mut ticks = Ticks::new(HOUSEKEEPING, shutdown);
    let mut rounds = 0_u32;
    let mut clock = ClockWatch::new(node.now_ms(), node.monotonic());
    while ticks.next().await {
        watch_clock(&node, &mut clock);
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(FLUSH_ROUNDS) {
            flush(&node).await;
        }
        prefer_leader(&node).await;
        node.stats.sample(node.monotonic().as_secs(), local_time::date(node.now_ms()));
        drop_silent_clients(&node);
        if let Err(error) = expire(&node, false).await {
            warn!(error, "old segments not dropped");
        }
    }
}

/// Nothing is old by a clock that jumped.
fn watch_clock(node: &Node, clock: &mut ClockWatch) {
    let jumped_ms = clock.look(node.now_ms(), node.monotonic()).unwrap_or(0);
    let before_ms = node.clock_jumped_ms.swap(jumped_ms, Ordering::Relaxed);
    if (before_ms == 0) != (jumped_ms == 0) {
        if jumped_ms == 0 {
            info!("the wall clock is believed again: old segments are dropped");
        } else {
            error!(
                jumped_ms,
                "the wall clock has jumped: no segment is dropped for its age until it is right again"
            );
        }
    }
}

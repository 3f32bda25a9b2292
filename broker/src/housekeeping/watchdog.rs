//! Gives the lead up when the broker's runtime stands still while Raft, on a thread of its own, keeps the lead.
//!
//! Heartbeats then go on, so no follower would ever ask for votes, and no client would be answered: the group would
//! be out of service for as long as it lasts. The broker's runtime moves a counter; a thread of its own looks at it. It
//! counts its own looks and not the time, so that a process that was paused as a whole, or a machine, is not
//! mistaken for one that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use raft::{NodeId, PeerView, View};
use tracing::{error, info, warn};

use crate::node::Node;
use raft::node_name;

/// How often the runtime moves the counter, and how often it is looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// So many looks in a row without a move are a hang: one second.
const MISSED_MAX: u32 = 10;
/// How long one attempt to hand the lead over may take.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);
/// A peer not heard of for so long, in milliseconds, is not asked to lead.
const PEER_SILENT_MS: u64 = 500;

/// The thread that looks; dropped, it ends.
pub(crate) struct Watchdog {
    /// Its end ends the thread.
    _stop: mpsc::Sender<()>,
}

impl Watchdog {
    /// Watches the runtime it is called from, for `node`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn start(node: &Node) -> std::io::Result<Self> {
        let (raft, group) = (node.group.raft.clone(), node.group.name().to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Self::watch(&tokio::runtime::Handle::current(), move |silent| {
            step_down(&runtime, &raft, &group, silent);
        })
    }

    /// Calls `hangs` whenever `runtime` has not moved for a second, and again after each further one.
    fn watch(
        runtime: &tokio::runtime::Handle,
        mut hangs: impl FnMut(Duration) + Send + 'static,
    ) -> std::io::Result<Self> {
        let beats = Arc::new(AtomicU64::new(0));
        let beating = runtime.spawn(beat(Arc::clone(&beats)));
        let (stop, stopped) = mpsc::channel();
        std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut pulse = Pulse::default();
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if let Some(silent) = pulse.look(beats.load(Ordering::Relaxed)) {
                    hangs(silent);
                }
            }
            beating.abort();
        })?;
        Ok(Self { _stop: stop })
    }
}

async fn beat(beats: Arc<AtomicU64>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        beats.fetch_add(1, Ordering::Relaxed);
    }
}

/// What was seen of the counter.
#[derive(Default)]
struct Pulse {
    beats: u64,
    missed: u32,
}

impl Pulse {
    /// One look. Since when there was no beat, once a second, while there is none.
    fn look(&mut self, beats: u64) -> Option<Duration> {
        if beats != self.beats {
            *self = Self { beats, missed: 0 };
            return None;
        }
        self.missed = self.missed.saturating_add(1);
        self.missed.is_multiple_of(MISSED_MAX).then(|| PERIOD * self.missed)
    }
}

/// Hands the lead to whoever can take it, from this thread: the broker's runtime is of no use now.
fn step_down(runtime: &tokio::runtime::Runtime, raft: &raft::Node, group: &str, silent: Duration) {
    let view = raft.view();
    let (me, silent_ms) = (node_name(raft.id()), silent.as_millis() as u64);
    if !view.is_leader() {
        return warn!(group, node = me, silent_ms, "the broker stands still; another node leads");
    }
    let Some(to) = successor(&view) else {
        return error!(
            group,
            node = me,
            silent_ms,
            "the broker stands still, and no other node is there to take the lead"
        );
    };
    error!(group, node = me, silent_ms, to = node_name(to), "the broker stands still: giving the lead up");
    match runtime.block_on(raft.transfer_leader(to, HAND_OVER_WITHIN)) {
        Ok(()) => info!(group, node = me, to = node_name(to), "lead given up"),
        Err(error) => warn!(group, node = me, to = node_name(to), %error, "lead not given up, trying again"),
    }
}

/// The peer that lacks the least of those that may lead next.
pub(crate) fn successor(view: &View) -> Option<NodeId> {
    let there = view.peers.iter().filter(|peer| is_there(view, peer));
    there.max_by_key(|peer| peer.matched_index).map(|peer| peer.id)
}

/// Whether this peer may lead next: it votes, and was heard of just now.
pub(crate) fn is_there(view: &View, peer: &PeerView) -> bool {
    view.voters.contains(&peer.id) && peer.last_contact_ms.is_some_and(|ms| ms < PEER_SILENT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_looks_without_a_beat_count() {
        let mut pulse = Pulse::default();
        let looks: Vec<_> =
            (0..25).map(|_| pulse.look(0)).filter_map(|silent| silent.map(|d| d.as_millis())).collect();
        assert_eq!(looks, [1_000, 2_000]);
        assert_eq!(pulse.look(7), None);
        assert!((0..9).all(|_| pulse.look(7).is_none()), "it starts from the last beat");
        assert!(pulse.look(7).is_some());
    }

    /// S23: a runtime whose threads all wait for something is told of, one that works is not.
    #[test]
    fn a_runtime_that_hangs_is_told_and_one_that_works_is_not() {
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (hanging, working) = (runtime().unwrap(), runtime().unwrap());
        let (told, hangs) = mpsc::channel();
        let dog = Watchdog::watch(hanging.handle(), move |silent| {
            let _ = told.send(silent); // the test may be over
        })
        .unwrap();
        let (false_alarm, alarms) = mpsc::channel();
        let other = Watchdog::watch(working.handle(), move |silent| {
            let _ = false_alarm.send(silent); // the test may be over
        })
        .unwrap();
        let (let_go, stuck) = mpsc::channel::<()>();
        hanging.spawn(async move { stuck.recv().is_ok() });
        let silent = hangs.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(silent, Duration::from_secs(1));
        drop(let_go);
        assert_eq!(alarms.try_recv().ok(), None);
        drop((dog, other));
    }
}

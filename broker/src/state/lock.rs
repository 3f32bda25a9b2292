//! Queue locks for ordered consumption: one client of a group holds a queue until its lease runs out.
//!
//! They are replicated, so that a new leader does not hand a queue to a second client while the first still
//! works on it. Time is the proposing leader's wall clock, carried in the change; a lock never expires earlier
//! than its lease after the last renewal as long as the wall clocks of the nodes agree to within that lease.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::LockedQueue;
use super::section::{SECTION_BYTES_MAX, Section};
use super::shared::Shared;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lock {
    client_id: String,
    expires_ms: u64,
}

/// The queue locks as they are replicated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct QueueLocks {
    pub(super) locks: Shared<Locks>,
}

impl Record for QueueLocks {
    const KIND: u16 = 0x030a;
    const NAME: &'static str = "queue-locks";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for QueueLocks {
    fn bytes(&self) -> u64 {
        self.locks.bytes()
    }

    fn drop_topic(&mut self, topic: &str) {
        self.locks.drop_topic(topic);
    }
}

/// All queue locks: group -> queue -> holder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Locks(BTreeMap<String, BTreeMap<LockedQueue, Lock>>);

impl Locks {
    /// Gives `client_id` each of `queues` that is free, expired or its own, and returns those it holds now.
    pub(super) fn lock(
        &mut self,
        group: &str,
        client_id: &str,
        queues: &[LockedQueue],
        now_ms: u64,
        lease_ms: u64,
    ) -> Vec<LockedQueue> {
        // Those of groups that nobody asks for any more would stay forever.
        self.0.retain(|name, locks| name == group || locks.values().any(|lock| now_ms < lock.expires_ms));
        let locks = self.0.entry(group.to_owned()).or_default();
        locks.retain(|_, lock| now_ms < lock.expires_ms);
        let expires_ms = now_ms.saturating_add(lease_ms);
        // S8: taken under a clock that was ahead, it would hold for longer than any lease.
        for lock in locks.values_mut() {
            lock.expires_ms = lock.expires_ms.min(expires_ms);
        }
        let mut held = Vec::new();
        for queue in queues {
            if locks.get(queue).is_some_and(|lock| lock.client_id != client_id) {
                continue;
            }
            let lock = Lock { client_id: client_id.to_owned(), expires_ms };
            locks.insert(queue.clone(), lock);
            held.push(queue.clone());
        }
        if locks.is_empty() {
            self.0.remove(group);
        }
        held
    }

    /// Takes the locks on `queues` from `client_id`; those of others stay. Says whether any was its own.
    pub(super) fn unlock(&mut self, group: &str, client_id: &str, queues: &[LockedQueue]) -> bool {
        let Some(locks) = self.0.get_mut(group) else { return false };
        let before = locks.len();
        locks.retain(|queue, lock| lock.client_id != client_id || !queues.contains(queue));
        let changed = locks.len() != before;
        if locks.is_empty() {
            self.0.remove(group);
        }
        changed
    }

    /// Whether some client of `group` holds a queue: the group consumes in order.
    pub(super) fn is_any_held(&self, group: &str, now_ms: u64) -> bool {
        self.0.get(group).is_some_and(|locks| locks.values().any(|lock| now_ms < lock.expires_ms))
    }

    /// About how many bytes they take.
    fn bytes(&self) -> u64 {
        let of_lock = |(queue, lock): (&LockedQueue, &Lock)| {
            queue.topic.len() + queue.broker_name.len() + lock.client_id.len() + 64
        };
        let groups =
            self.0.iter().map(|(group, locks)| group.len() + 16 + locks.iter().map(of_lock).sum::<usize>());
        groups.sum::<usize>() as u64
    }

    pub(super) fn drop_group(&mut self, group: &str) {
        self.0.remove(group);
    }

    fn drop_topic(&mut self, topic: &str) {
        for locks in self.0.values_mut() {
            locks.retain(|queue, _| queue.topic != topic);
        }
        self.0.retain(|_, locks| !locks.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().locks], &[]);
    }
}

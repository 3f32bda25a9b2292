//! Pulls that wait for a message: which queue each waits on, when to look again, when to give up.
//!
//! Pure bookkeeping over a payload `P` (the held request); time is passed in. Whoever takes a pull out answers
//! it. A pull is woken after its message is visible to readers, never before; a pull that parks looks at the
//! queue once more afterwards, so that a message between its look and its parking does not go unseen.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Which pulls a message is for.
pub trait Wants {
    /// Whether a message with this tag hash could be for it.
    fn wants(&self, tag_hash: i64) -> bool;
}

struct Held<P> {
    deadline: Duration,
    /// The queue offset it waits for: a queue whose end is above holds something new.
    queue_offset: i64,
    pull: P,
}

type ByQueue<P> = HashMap<String, HashMap<i32, Vec<Held<P>>>>;

/// All held pulls of one node.
pub struct LongPolls<P> {
    held: Mutex<ByQueue<P>>,
    /// How many are held: lets the apply path skip the lock when nobody waits.
    count: AtomicUsize,
    /// At most this many are held at once.
    held_max: usize,
}

impl<P: Wants> LongPolls<P> {
    /// Holds at most `held_max` pulls.
    pub fn new(held_max: usize) -> Self {
        Self { held: Mutex::new(HashMap::new()), count: AtomicUsize::new(0), held_max }
    }

    /// Holds a pull until a message above `queue_offset` is for it, or until `deadline` (monotonic time).
    ///
    /// # Errors
    /// Gives the pull back when as many as allowed are held already.
    pub fn park(
        &self,
        topic: &str,
        queue_id: i32,
        queue_offset: i64,
        deadline: Duration,
        pull: P,
    ) -> Result<(), P> {
        let mut held = self.lock();
        if self.count.load(Ordering::Relaxed) >= self.held_max {
            return Err(pull);
        }
        // Counted before it can be seen: the apply path may only skip the lock when there is nothing to find.
        self.count.fetch_add(1, Ordering::SeqCst);
        if !held.contains_key(topic) {
            held.insert(topic.to_owned(), HashMap::new());
        }
        let queues = held.get_mut(topic).expect("inserted above");
        queues.entry(queue_id).or_default().push(Held { deadline, queue_offset, pull });
        Ok(())
    }

    /// Takes out the pulls that a message at `queue_offset` with `tag_hash` is for.
    pub fn arrived(&self, topic: &str, queue_id: i32, queue_offset: i64, tag_hash: i64) -> Vec<P> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let mut held = self.lock();
        let Some(waiting) = held.get_mut(topic).and_then(|queues| queues.get_mut(&queue_id)) else {
            return Vec::new();
        };
        self.take(waiting, |held| queue_offset >= held.queue_offset && held.pull.wants(tag_hash))
    }

    /// Takes out every pull of a queue whose end (exclusive) lies above what the pull waits for.
    pub fn passed(&self, topic: &str, queue_id: i32, queue_end: i64) -> Vec<P> {
        let mut held = self.lock();
        let Some(waiting) = held.get_mut(topic).and_then(|queues| queues.get_mut(&queue_id)) else {
            return Vec::new();
        };
        self.take(waiting, |held| queue_end > held.queue_offset)
    }

    /// Takes out the pulls whose deadline has come.
    pub fn expired(&self, now: Duration) -> Vec<P> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let mut held = self.lock();
        let mut expired = Vec::new();
        for queues in held.values_mut() {
            for waiting in queues.values_mut() {
                expired.extend(self.take(waiting, |held| held.deadline <= now));
            }
            queues.retain(|_, waiting| !waiting.is_empty());
        }
        held.retain(|_, queues| !queues.is_empty());
        expired
    }

    /// Takes out all pulls: the node stops leading, or stops.
    pub fn drain(&self) -> Vec<P> {
        let drained: Vec<P> = std::mem::take(&mut *self.lock())
            .into_values()
            .flat_map(HashMap::into_values)
            .flatten()
            .map(|held| held.pull)
            .collect();
        self.count.fetch_sub(drained.len(), Ordering::SeqCst);
        drained
    }

    /// How many pulls are held.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether none is held: if so, none that parks later can have missed a message visible before this call.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    fn take(&self, waiting: &mut Vec<Held<P>>, is_due: impl Fn(&Held<P>) -> bool) -> Vec<P> {
        let due: Vec<P> = waiting.extract_if(.., |held| is_due(held)).map(|held| held.pull).collect();
        self.count.fetch_sub(due.len(), Ordering::SeqCst);
        due
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ByQueue<P>> {
        self.held.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Pull(u32, Option<i64>);

    impl Wants for Pull {
        fn wants(&self, tag_hash: i64) -> bool {
            self.1.is_none_or(|tag| tag == tag_hash)
        }
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_message_wakes_those_it_is_for_and_nobody_else() {
        let polls = LongPolls::new(10);
        polls.park("T", 0, 5, secs(15), Pull(1, None)).unwrap();
        polls.park("T", 0, 5, secs(15), Pull(2, Some(7))).unwrap();
        polls.park("T", 1, 5, secs(15), Pull(3, None)).unwrap();
        assert_eq!(polls.arrived("T", 0, 5, 8), [Pull(1, None)]);
        assert_eq!(polls.arrived("T", 0, 6, 7), [Pull(2, Some(7))]);
        assert_eq!(polls.arrived("U", 0, 6, 7), []);
        assert_eq!(polls.len(), 1);
    }

    #[test]
    fn a_message_below_what_a_pull_waits_for_does_not_wake_it() {
        let polls = LongPolls::new(10);
        polls.park("T", 0, 5, secs(15), Pull(1, None)).unwrap();
        assert_eq!(polls.arrived("T", 0, 4, 0), []);
        assert_eq!(polls.passed("T", 0, 5), []);
        assert_eq!(polls.passed("T", 0, 6), [Pull(1, None)]);
        assert!(polls.is_empty());
    }

    #[test]
    fn a_pull_expires_at_its_deadline() {
        let polls = LongPolls::new(10);
        polls.park("T", 0, 5, secs(15), Pull(1, None)).unwrap();
        polls.park("T", 0, 5, secs(20), Pull(2, None)).unwrap();
        assert_eq!(polls.expired(secs(14)), []);
        assert_eq!(polls.expired(secs(15)), [Pull(1, None)]);
        assert_eq!(polls.drain(), [Pull(2, None)]);
        assert!(polls.is_empty());
    }

    #[test]
    fn more_than_the_bound_are_given_back() {
        let polls = LongPolls::new(1);
        polls.park("T", 0, 5, secs(15), Pull(1, None)).unwrap();
        assert_eq!(polls.park("T", 0, 5, secs(15), Pull(2, None)), Err(Pull(2, None)));
        assert_eq!(polls.len(), 1);
    }
}

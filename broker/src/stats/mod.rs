//! Counters of what this node took in and gave out, and their rates over the last minutes, hours and day.
//!
//! A counter is an atomic; a sampler (one call every 10 s) remembers where each stood. Time is passed in.

mod counter;
mod create_times;
mod days;
mod put_times;
pub mod rpc_times;
mod topic_in;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::civil::Date;

pub use counter::{Counter, Rate, SAMPLE_SECS};
use counter::{FINE_A_COARSE, FINE_A_MINUTE};
pub use create_times::CreateTimes;
pub use days::{Days, Totals};
pub use put_times::PutTimes;
pub use topic_in::{MessageType, TopicIn};

/// Names of RocketMQ's statistics (`Stats` in `common`).
pub mod name {
    /// Messages put, by topic.
    pub const TOPIC_PUT_NUMS: &str = "TOPIC_PUT_NUMS";
    /// Bytes put, by topic.
    pub const TOPIC_PUT_SIZE: &str = "TOPIC_PUT_SIZE";
    /// Messages got, by `topic@group`.
    pub const GROUP_GET_NUMS: &str = "GROUP_GET_NUMS";
    /// Bytes got, by `topic@group`.
    pub const GROUP_GET_SIZE: &str = "GROUP_GET_SIZE";
    /// Messages sent back, by `topic@group`.
    pub const SNDBCK_PUT_NUMS: &str = "SNDBCK_PUT_NUMS";
    /// Delayed messages that could not be delivered, by level.
    pub const DELAY_SET_ASIDE_NUMS: &str = "DELAY_SET_ASIDE_NUMS";
    /// Messages put, by cluster.
    pub const BROKER_PUT_NUMS: &str = "BROKER_PUT_NUMS";
    /// Messages got, by cluster.
    pub const BROKER_GET_NUMS: &str = "BROKER_GET_NUMS";
}

/// All counters of a node, by statistic and key, and what is counted of the node as a whole.
#[derive(Default)]
pub struct Stats {
    counters: RwLock<HashMap<&'static str, HashMap<String, Arc<Counter>>>>,
    /// What came in by topic; a send looks here once, and counts in atomics.
    topics_in: RwLock<HashMap<String, Arc<TopicIn>>>,
    samples: AtomicU64,
    /// Looks into a queue that found messages.
    pub found: Counter,
    /// Looks that found none.
    pub missed: Counter,
    /// Times of puts.
    pub put_times: PutTimes,
    /// Times of commands that make topics.
    pub topic_creates: CreateTimes,
    /// Times of commands that make subscription groups.
    pub group_creates: CreateTimes,
    /// Elections that this node won.
    pub elections_won: AtomicU64,
    longest_look_ms: AtomicU64,
    days: Mutex<Days>,
}

impl Stats {
    /// Counts one look into a queue.
    pub fn looked(&self, has_found: bool, took: Duration) {
        let counter = if has_found { &self.found } else { &self.missed };
        counter.add(1);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.longest_look_ms.fetch_max(took_ms, Ordering::Relaxed);
    }

    /// The longest look into a queue since the start.
    pub fn longest_look_ms(&self) -> u64 {
        self.longest_look_ms.load(Ordering::Relaxed)
    }

    /// What had been counted when the last two days began.
    pub fn days(&self) -> Days {
        *self.days.lock().expect("nothing panics while it holds this lock")
    }

    /// The counter of `key`, made at the first call.
    pub fn counter(&self, name: &'static str, key: &str) -> Arc<Counter> {
        if let Some(counter) = self.find(name, key) {
            return counter;
        }
        let mut counters = self.counters.write().expect("nothing panics while it holds this lock");
        Arc::clone(counters.entry(name).or_default().entry(key.to_owned()).or_default())
    }

    /// What came in for a topic, made at the first call.
    pub fn topic_in(&self, topic: &str) -> Arc<TopicIn> {
        let known =
            self.topics_in.read().expect("nothing panics while it holds this lock").get(topic).cloned();
        known.unwrap_or_else(|| {
            let messages = self.counter(name::TOPIC_PUT_NUMS, topic);
            let made = Arc::new(TopicIn::new(messages, self.counter(name::TOPIC_PUT_SIZE, topic)));
            let mut topics = self.topics_in.write().expect("nothing panics while it holds this lock");
            Arc::clone(topics.entry(topic.to_owned()).or_insert(made))
        })
    }

    /// What came in for each topic, sorted by name.
    pub fn topics_in(&self) -> Vec<(String, Arc<TopicIn>)> {
        let topics = self.topics_in.read().expect("nothing panics while it holds this lock");
        let mut topics: Vec<_> =
            topics.iter().map(|(name, topic)| (name.clone(), Arc::clone(topic))).collect();
        topics.sort_by(|one, other| one.0.cmp(&other.0));
        topics
    }

    /// The counter of `key`, if anything was ever counted.
    pub fn find(&self, name: &str, key: &str) -> Option<Arc<Counter>> {
        let counters = self.counters.read().expect("nothing panics while it holds this lock");
        counters.get(name)?.get(key).map(Arc::clone)
    }

    /// A statistic by its keys, sorted.
    pub fn by_key(&self, name: &str) -> Vec<(String, u64)> {
        let counters = self.counters.read().expect("nothing panics while it holds this lock");
        let keys = counters.get(name).into_iter().flatten();
        let mut keys: Vec<_> = keys.map(|(key, counter)| (key.clone(), counter.total())).collect();
        keys.sort();
        keys
    }

    /// The sum of a statistic over all its keys.
    pub fn total(&self, name: &str) -> u64 {
        let counters = self.counters.read().expect("nothing panics while it holds this lock");
        counters.get(name).into_iter().flat_map(HashMap::values).map(|counter| counter.total()).sum()
    }

    /// Forgets a topic: it was deleted.
    pub fn forget_topic(&self, topic: &str) {
        self.topics_in.write().expect("nothing panics while it holds this lock").remove(topic);
        let mut counters = self.counters.write().expect("nothing panics while it holds this lock");
        for keys in counters.values_mut() {
            keys.retain(|key, _| key != topic && key.split_once('@').is_none_or(|(of, _)| of != topic));
        }
    }

    /// Remembers where every counter stands; to be called every [`SAMPLE_SECS`], with the time since the start and
    /// today's date.
    pub fn sample(&self, now_secs: u64, today: Date) {
        let now = Totals { put: self.total(name::BROKER_PUT_NUMS), got: self.total(name::BROKER_GET_NUMS) };
        self.days.lock().expect("nothing panics while it holds this lock").look(today, now);
        let samples = self.samples.fetch_add(1, Ordering::Relaxed);
        if samples.is_multiple_of(FINE_A_MINUTE) {
            self.put_times.turn();
        }
        let coarse = samples.is_multiple_of(FINE_A_COARSE);
        for counter in [&self.found, &self.missed] {
            counter.sample(now_secs, coarse);
        }
        let counters = self.counters.read().expect("nothing panics while it holds this lock");
        for counter in counters.values().flat_map(HashMap::values) {
            counter.sample(now_secs, coarse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = jiff::civil::date(2026, 11, 21);

    #[test]
    fn a_rate_is_what_was_counted_over_the_time_it_took() {
        let stats = Stats::default();
        let counter = stats.counter(name::TOPIC_PUT_NUMS, "T");
        for at in 0..20 {
            stats.sample(at * SAMPLE_SECS, TODAY);
            counter.add(50);
        }
        let minute = counter.rates().minute;
        assert_eq!(minute.sum, 300);
        assert!((minute.per_second - 5.0).abs() < 1e-9, "{minute:?}");
        assert_eq!(counter.total(), 1_000);
        assert_eq!(counter.last(600).sum, 950);
        assert_eq!(counter.rates().hour.sum, 950);
    }

    #[test]
    fn what_a_new_counter_counted_before_its_first_sample_counts() {
        let stats = Stats::default();
        stats.sample(10, TODAY);
        stats.counter(name::TOPIC_PUT_NUMS, "T").add(12);
        let counter = stats.counter(name::TOPIC_PUT_NUMS, "T");
        assert_eq!(counter.rates(), counter::Rates::default());
        stats.sample(20, TODAY);
        let rates = counter.rates();
        assert_eq!((rates.minute.sum, rates.hour.sum, rates.day.sum), (12, 12, 12));
        assert!((rates.minute.per_second - 1.2).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn what_was_never_counted_does_not_exist() {
        let stats = Stats::default();
        assert!(stats.find(name::TOPIC_PUT_NUMS, "T").is_none());
        stats.counter(name::GROUP_GET_NUMS, "T@CG").add(3);
        assert_eq!(stats.total(name::GROUP_GET_NUMS), 3);
        assert_eq!(stats.by_key(name::GROUP_GET_NUMS), [("T@CG".to_owned(), 3)]);
        stats.topic_in("T").took(MessageType::Normal, 1, 100);
        assert_eq!(stats.total(name::TOPIC_PUT_SIZE), 100);
        stats.forget_topic("T");
        assert!(stats.topics_in().is_empty());
        assert!(stats.find(name::GROUP_GET_NUMS, "T@CG").is_none());
    }
}

//! Everything that a consumer wants at one time. Pure.

use std::collections::BTreeMap;

use protocol::names;
use protocol::subscription::SubscriptionData;

use super::filter::Filter;

/// What a consumer wants of each topic, the retry topic of its group among them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subscriptions {
    filters: BTreeMap<String, Filter>,
    /// Grows with every change, and from one life of a consumer to the next: brokers keep the highest.
    version: i64,
}

impl Subscriptions {
    /// The first ones, as of `now_ms`.
    pub(super) fn new(filters: BTreeMap<String, Filter>, now_ms: i64) -> Self {
        Self { filters, version: now_ms }
    }

    /// The same with another filter for `topic`, or with the topic if it was not there.
    pub(super) fn with(&self, topic: String, filter: Filter, now_ms: i64) -> Self {
        let mut next = self.clone();
        next.filters.insert(topic, filter);
        next.version = now_ms.max(self.version + 1);
        next
    }

    /// The same without `topic`. The retry topic stays: what it holds is of this group alone.
    pub(super) fn without(&self, topic: &str, now_ms: i64) -> Self {
        let mut next = self.clone();
        if !topic.starts_with(names::RETRY_PREFIX) && next.filters.remove(topic).is_some() {
            next.version = now_ms.max(self.version + 1);
        }
        next
    }

    pub(super) fn filter(&self, topic: &str) -> Option<&Filter> {
        self.filters.get(topic)
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &String> {
        self.filters.keys()
    }

    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// As a heartbeat has them.
    pub(super) fn data(&self) -> Vec<SubscriptionData> {
        self.filters.values().map(|filter| filter.data(self.version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(topic: &str, expression: &str) -> Filter {
        Filter::new(topic, expression).unwrap()
    }

    #[test]
    fn every_change_has_a_higher_version_whatever_the_clock_says() {
        let first = Subscriptions::new(BTreeMap::from([("T".into(), filter("T", "*"))]), 100);
        let second = first.with("T".into(), filter("T", "TagA"), 100);
        let third = second.without("T", 50);
        assert_eq!([first.version(), second.version(), third.version()], [100, 101, 102]);
        assert_eq!(second.filter("T").unwrap().expression(), "TagA");
        assert_eq!(third.topics().count(), 0);
    }

    #[test]
    fn the_retry_topic_and_what_is_not_there_cannot_be_taken_away() {
        let all = Subscriptions::new(BTreeMap::from([("%RETRY%g".into(), filter("%RETRY%g", "*"))]), 100);
        assert_eq!(all.without("%RETRY%g", 200), all);
        assert_eq!(all.without("T", 200), all);
    }
}

//! How long clients' requests take from their arrival to the answer, by what was asked and what was answered.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use platform::{Clock, Counts, Histogram};
use protocol::code;

/// Bounds, microseconds; told in milliseconds. Source: RocketMQ `RemotingMetricsManager`.
const TIMES_US: [u64; 9] = [1_000, 3_000, 5_000, 7_000, 10_000, 100_000, 1_000_000, 2_000_000, 3_000_000];
/// Stands for every request code that does not exist: whoever makes codes up makes no series.
const OTHER: i32 = -1;

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    request: i32,
    response: i32,
    /// The request waited for a message.
    pub is_long_polling: bool,
    /// Nobody waits for the answer.
    pub is_oneway: bool,
}

impl Kind {
    /// The request code's name, in RocketMQ's form for metrics.
    pub fn request_name(&self) -> String {
        code::request_name(self.request).map_or_else(|| "other".to_owned(), str::to_lowercase)
    }

    /// The response code's name, in the same form.
    pub fn response_name(&self) -> String {
        code::response_name(self.response).map_or_else(|| self.response.to_string(), str::to_lowercase)
    }
}

/// The times of all requests that were answered.
pub struct RpcTimes {
    clock: Arc<dyn Clock>,
    /// A kind is made at its first request, and then looked up under the shared lock only. There are few: codes that do
    /// not exist share one.
    times: RwLock<BTreeMap<Kind, Histogram>>,
}

impl RpcTimes {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, times: RwLock::default() }
    }

    /// Takes the time of one request from now on.
    pub fn begin(self: &Arc<Self>, request: i32, is_oneway: bool) -> Running {
        let request = if code::request_name(request).is_some() { request } else { OTHER };
        let began = self.clock.monotonic();
        Running { times: Arc::clone(self), request, is_oneway, is_long_polling: false, began }
    }

    fn record(&self, kind: Kind, took: Duration) {
        let took_us = took.as_micros() as u64;
        if let Some(times) = self.times.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return times.record(took_us);
        }
        let mut times = self.times.write().unwrap_or_else(PoisonError::into_inner);
        times.entry(kind).or_insert_with(|| Histogram::new(&TIMES_US)).record(took_us);
    }

    /// All kinds that ever came, with their times in microseconds.
    pub fn rows(&self) -> Vec<(Kind, Counts)> {
        let times = self.times.read().unwrap_or_else(PoisonError::into_inner);
        times.iter().map(|(kind, times)| (*kind, times.counts())).collect()
    }
}

/// The time of a request that is not answered yet.
pub struct Running {
    times: Arc<RpcTimes>,
    request: i32,
    is_oneway: bool,
    is_long_polling: bool,
    began: Duration,
}

impl Running {
    /// It waits for a message.
    pub fn is_held(&mut self) {
        self.is_long_polling = true;
    }

    /// It is answered with `response`.
    pub fn ended(self, response: i32) {
        let Self { request, is_oneway, is_long_polling, .. } = self;
        let took = self.times.clock.monotonic().saturating_sub(self.began);
        self.times.record(Kind { request, response, is_long_polling, is_oneway }, took);
    }
}

#[cfg(test)]
mod tests {
    use platform::ManualClock;

    use super::*;

    #[test]
    fn requests_are_told_apart_and_made_up_codes_are_not() {
        let times = Arc::new(RpcTimes::new(Arc::new(ManualClock::default())));
        times.begin(10, false).ended(0);
        times.begin(10, false).ended(14);
        let mut pull = times.begin(11, false);
        pull.is_held();
        pull.ended(19);
        (20_000..20_100).for_each(|made_up| times.begin(made_up, true).ended(3));
        let told: Vec<_> = times
            .rows()
            .into_iter()
            .map(|(kind, counts)| {
                let names = (kind.request_name(), kind.response_name());
                (names.0, names.1, kind.is_long_polling, kind.is_oneway, counts.counts[0])
            })
            .collect();
        let row = |request: &str, response: &str, held, oneway, count| {
            (request.to_owned(), response.to_owned(), held, oneway, count)
        };
        assert_eq!(
            told,
            [
                row("other", "request_code_not_supported", false, true, 100),
                row("send_message", "success", false, false, 1),
                row("send_message", "service_not_available", false, false, 1),
                row("pull_message", "pull_not_found", true, false, 1),
            ]
        );
    }
}

//! How long messages take from their arrival to their acknowledgement, as RocketMQ's tools show it: thirteen buckets
//! of the last whole minute, and the longest since the start.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets in milliseconds, exclusive; what lasts longer has a bucket of its own.
const ENDS_MS: [u64; 28] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 700, 1_000, 2_000, 3_000,
    4_000, 5_000, 10_000,
];
const BUCKETS: usize = ENDS_MS.len() + 1;
const _: () = assert!(ENDS_MS[0] == 1, "the first bucket is RocketMQ's `<=0ms`");
/// RocketMQ's buckets: what they are called and where they end, exclusive.
const SHOWN: [(&str, u64); 13] = [
    ("<=0ms", 1),
    ("0~10ms", 10),
    ("10~50ms", 50),
    ("50~100ms", 100),
    ("100~200ms", 200),
    ("200~500ms", 500),
    ("500ms~1s", 1_000),
    ("1~2s", 2_000),
    ("2~3s", 3_000),
    ("3~4s", 4_000),
    ("4~5s", 5_000),
    ("5~10s", 10_000),
    ("10s~", u64::MAX),
];

/// The times of puts.
#[derive(Default)]
pub struct PutTimes {
    /// Of the minute that runs.
    running: [AtomicU64; BUCKETS],
    /// Of the last whole one.
    minute: Mutex<[u64; BUCKETS]>,
    longest_ms: AtomicU64,
}

impl PutTimes {
    /// Counts one put.
    pub fn record(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = ENDS_MS.partition_point(|end_ms| *end_ms <= took_ms);
        self.running[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest_ms.fetch_max(took_ms, Ordering::Relaxed);
    }

    /// Ends the running minute; to be called once a minute.
    pub fn turn(&self) {
        let counted = std::array::from_fn(|bucket| self.running[bucket].swap(0, Ordering::Relaxed));
        *self.minute.lock().expect("nothing panics while it holds this lock") = counted;
    }

    /// The longest since the start.
    pub fn longest_ms(&self) -> u64 {
        self.longest_ms.load(Ordering::Relaxed)
    }

    /// A time that so many of a thousand puts of the last minute did not exceed: the end of its bucket, 0 without
    /// puts.
    pub fn within_ms(&self, per_mille: u64) -> u64 {
        let minute = self.minute();
        let wanted = (minute.iter().sum::<u64>() * per_mille).div_ceil(1_000);
        let mut seen = 0;
        let bucket = minute.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        match bucket {
            // Below a millisecond, or nothing was put.
            Some(0) | None => 0,
            Some(bucket) => ENDS_MS.get(bucket).copied().unwrap_or_else(|| self.longest_ms()),
        }
    }

    /// The last minute in RocketMQ's buckets and words.
    pub fn shown(&self) -> String {
        let minute = self.minute();
        let mut text = String::new();
        let mut from = 0;
        for (name, end_ms) in SHOWN {
            let until = ENDS_MS.partition_point(|end| *end <= end_ms);
            let until = if end_ms == u64::MAX { BUCKETS } else { until };
            let count: u64 = minute[from..until].iter().sum();
            write!(text, "[{name}]:{count} ").expect("a String takes all");
            from = until;
        }
        text
    }

    fn minute(&self) -> [u64; BUCKETS] {
        *self.minute.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_shown_when_it_is_over() {
        let times = PutTimes::default();
        for took_ms in [0, 0, 3, 9, 10, 70, 12_000] {
            times.record(Duration::from_millis(took_ms));
        }
        assert!(times.shown().starts_with("[<=0ms]:0 [0~10ms]:0 "), "{}", times.shown());
        assert_eq!(times.within_ms(999), 0);
        times.turn();
        assert_eq!(
            times.shown(),
            "[<=0ms]:2 [0~10ms]:2 [10~50ms]:1 [50~100ms]:1 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 \
             [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:1 "
        );
        assert_eq!((times.within_ms(500), times.within_ms(990)), (10, 12_000));
        times.turn();
        assert_eq!((times.within_ms(990), times.longest_ms()), (0, 12_000));
    }
}

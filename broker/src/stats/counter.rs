//! One counter, and its rates over the last minutes, hours and day. Time is passed in.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often [`super::Stats::sample`] is to be called, in seconds.
pub const SAMPLE_SECS: u64 = 10;
/// Ten minutes of 10 s samples, as RocketMQ's longest rate has it.
const FINE_SAMPLES: usize = 61;
/// A day of samples, one every 10 minutes.
const COARSE_SAMPLES: usize = 145;
/// A coarse sample is taken with every so many fine ones.
pub(super) const FINE_A_COARSE: u64 = 60;
pub(super) const FINE_A_MINUTE: u64 = 60 / SAMPLE_SECS;

/// A sum over a stretch of time, and what it is a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// What was counted in the stretch.
    pub sum: u64,
    /// A second of it.
    pub per_second: f64,
}

/// The three stretches that tools ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// The last minute.
    pub minute: Rate,
    /// The last hour.
    pub hour: Rate,
    /// The last day.
    pub day: Rate,
}

#[derive(Default)]
struct Samples {
    /// (seconds, total), oldest first.
    fine: VecDeque<(u64, u64)>,
    coarse: VecDeque<(u64, u64)>,
}

/// One counter.
#[derive(Default)]
pub struct Counter {
    total: AtomicU64,
    samples: Mutex<Samples>,
}

impl Counter {
    /// Counts `by` more.
    pub fn add(&self, by: u64) {
        self.total.fetch_add(by, Ordering::Relaxed);
    }

    /// Counted since the node started.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Remembers where it stands.
    pub(super) fn sample(&self, now_secs: u64, coarse: bool) {
        let point = (now_secs, self.total());
        let mut samples = self.samples.lock().expect("nothing panics while it holds this lock");
        if samples.fine.is_empty() {
            // Nothing was counted before: at the sample before this one there was no counter yet.
            let before = (now_secs.saturating_sub(SAMPLE_SECS), 0);
            samples.fine.push_back(before);
            samples.coarse.push_back(before);
        }
        push(&mut samples.fine, point, FINE_SAMPLES);
        if coarse {
            push(&mut samples.coarse, point, COARSE_SAMPLES);
        }
    }

    /// What was counted in about the last `secs` seconds, up to the newest sample.
    pub fn last(&self, secs: u64) -> Rate {
        let samples = self.samples.lock().expect("nothing panics while it holds this lock");
        let Some(&(until, total)) = samples.fine.back() else { return Rate::default() };
        let series = if secs < SAMPLE_SECS * FINE_SAMPLES as u64 { &samples.fine } else { &samples.coarse };
        let from = until.saturating_sub(secs);
        let first = series.iter().find(|(at, _)| *at >= from).or(samples.fine.front());
        let &(at, before) = first.unwrap_or(&(until, total));
        let sum = total.saturating_sub(before);
        let per_second = if until > at { sum as f64 / (until - at) as f64 } else { 0.0 };
        Rate { sum, per_second }
    }

    /// The three stretches that tools ask for.
    pub fn rates(&self) -> Rates {
        Rates { minute: self.last(60), hour: self.last(3_600), day: self.last(86_400) }
    }
}

fn push(samples: &mut VecDeque<(u64, u64)>, point: (u64, u64), most: usize) {
    if samples.len() == most {
        samples.pop_front();
    }
    samples.push_back(point);
}

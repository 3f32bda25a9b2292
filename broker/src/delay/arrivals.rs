//! When the records of one delay level came to this node, by its own monotonic clock.
//!
//! A store time is some leader's wall clock, and wall clocks jump and differ from node to node. What this node saw
//! come in is timed by its monotonic clock instead: such a record is due when its delay has passed since then,
//! neither earlier nor later, whatever happens to wall clocks. Of what was there before this node looked, or came
//! while it was catching up, only the store time is known: its age counts, but never as more than the delay, and
//! never as less than nothing, so that it is due at the latest when the delay has passed since this node saw it.

use std::collections::VecDeque;
use std::time::Duration;

/// A node that has been level with its group for so long sees records as they are stored.
const LEVEL_FOR: Duration = Duration::from_secs(1);
/// A node that did not look for so long may have missed when a record came.
const LOOKS_APART_MAX: Duration = Duration::from_secs(1);
/// The delay divided by this is the time between two marks, where looks are closer: it bounds their number, and
/// what it makes a record late by.
const MARKS_A_DELAY: u32 = 4_096;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Since the process started.
    pub monotonic: Duration,
    /// Since the epoch.
    pub wall_ms: u64,
}

/// All records below `end` that no earlier mark covers were there at `at`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    end: u64,
    at: Moment,
    /// They came just before it. Otherwise they may be older.
    is_fresh: bool,
}

/// The arrivals of one level.
#[derive(Debug)]
pub struct Arrivals {
    delay: Duration,
    /// By `end`, ascending.
    marks: VecDeque<Mark>,
    last_look: Option<Duration>,
    level_since: Option<Duration>,
}

impl Arrivals {
    /// Of a level with this delay.
    pub fn new(delay: Duration) -> Self {
        Self { delay, marks: VecDeque::new(), last_look: None, level_since: None }
    }

    /// The level's queue ends at `end` now, and everything below `next` is delivered. `is_level`: this node has
    /// applied what its group has committed.
    pub fn look(&mut self, now: Moment, end: u64, next: u64, is_level: bool) {
        let was_away = self.last_look.is_none_or(|last| now.monotonic.saturating_sub(last) > LOOKS_APART_MAX);
        self.last_look = Some(now.monotonic);
        if !is_level || was_away {
            self.level_since = None;
        }
        let is_fresh = self.level_since.is_some_and(|since| now.monotonic.saturating_sub(since) >= LEVEL_FOR);
        if is_level {
            self.level_since.get_or_insert(now.monotonic);
        }
        while self.marks.front().is_some_and(|mark| mark.end <= next) {
            self.marks.pop_front();
        }
        // What is due needs no times of its own.
        while self.marks.get(1).is_some_and(|mark| mark.at.monotonic + self.delay <= now.monotonic) {
            self.marks.pop_front();
        }
        let (known, spacing) = (self.marks.back(), self.delay / MARKS_A_DELAY);
        let is_new = end > known.map_or(next, |mark| mark.end);
        let is_apart = known
            .is_none_or(|mark| mark.is_fresh != is_fresh || now.monotonic >= mark.at.monotonic + spacing);
        if is_new && is_apart {
            self.marks.push_back(Mark { end, at: now, is_fresh });
        }
    }

    /// Whether the record at `offset`, stored at `store_ms` by some leader's clock, is due. One that was not seen
    /// by [`Arrivals::look`] yet is not.
    pub fn is_due(&self, offset: u64, store_ms: i64, now: Duration) -> bool {
        let at = self.marks.partition_point(|mark| mark.end <= offset);
        let Some(mark) = self.marks.get(at) else { return false };
        let age_ms = if mark.is_fresh { 0 } else { (mark.at.wall_ms as i64).saturating_sub(store_ms).max(0) };
        let age = Duration::from_millis(age_ms as u64).min(self.delay);
        now >= (mark.at.monotonic + self.delay).saturating_sub(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(10);

    fn at(monotonic_s: u64, wall_s: u64) -> Moment {
        Moment { monotonic: Duration::from_secs(monotonic_s), wall_ms: wall_s * 1_000 }
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// A node that has looked once a second since 0 and was level with its group.
    fn level(wall_s: impl Fn(u64) -> u64) -> Arrivals {
        let mut arrivals = Arrivals::new(DELAY);
        for second in 0..=5 {
            arrivals.look(at(second, wall_s(second)), 0, 0, true);
        }
        arrivals
    }

    #[test]
    fn s8_a_record_seen_coming_is_due_after_its_delay_whatever_wall_clocks_do() {
        // The clock is set back by 600 s, and store times are 60 s ahead, and 1,000 s behind.
        for store_s in [5_000, 5_060, 4_000] {
            let mut arrivals = level(|second| 5_000 + second);
            arrivals.look(at(6, 4_406), 1, 0, true);
            assert!(!arrivals.is_due(0, store_s * 1_000, secs(15)), "early, stored at {store_s}");
            assert!(arrivals.is_due(0, store_s * 1_000, secs(16)), "late, stored at {store_s}");
            assert!(!arrivals.is_due(1, store_s * 1_000, secs(99)), "not seen yet");
        }
    }

    #[test]
    fn s8_what_was_there_before_is_due_by_its_store_time_and_at_the_latest_after_its_delay() {
        let mut arrivals = Arrivals::new(DELAY);
        arrivals.look(at(100, 5_000), 3, 0, true);
        let due = |store_s: i64, now_s| arrivals.is_due(2, store_s * 1_000, secs(now_s));
        assert!(due(4_000, 100), "long due");
        assert!(!due(4_997, 106) && due(4_997, 107), "3 s old");
        assert!(!due(5_600, 109) && due(5_600, 110), "stored by a clock that was ahead");
    }

    #[test]
    fn s8_a_node_that_catches_up_or_was_away_goes_by_store_times() {
        let mut arrivals = level(|second| 5_000 + second);
        arrivals.look(at(6, 5_006), 1, 0, false);
        assert!(arrivals.is_due(0, 4_990_000, secs(6)), "it was behind");
        arrivals.look(at(7, 5_007), 2, 0, true);
        assert!(arrivals.is_due(1, 4_990_000, secs(7)), "it has only just caught up");
        let mut arrivals = level(|second| 5_000 + second);
        arrivals.look(at(60, 5_060), 1, 0, true);
        assert!(arrivals.is_due(0, 5_010_000, secs(60)), "it was stopped for a minute");
    }

    #[test]
    fn marks_go_when_their_records_are_delivered_or_due_and_do_not_grow_without_bound() {
        let mut arrivals = level(|second| 5_000 + second);
        for n in 0..200_000_u64 {
            let now = Duration::from_secs(6) + Duration::from_millis(n);
            arrivals.look(Moment { monotonic: now, wall_ms: 0 }, n + 1, 0, true);
        }
        assert!(arrivals.marks.len() <= MARKS_A_DELAY as usize + 2, "{} marks", arrivals.marks.len());
        assert!(arrivals.is_due(0, i64::MAX, secs(206)) && !arrivals.is_due(199_000, 0, secs(206)));
        arrivals.look(at(207, 0), 200_000, 200_000, true);
        assert!(arrivals.marks.is_empty());
    }
}

//! Whether the wall clock may be asked how old something is.
//!
//! A clock that is set forward makes every message look old, and retention would delete what was acknowledged a minute
//! ago. It is held against the monotonic clock: one that jumped is not believed for a day, so that whoever set it can see
//! it and put it right.

use std::time::Duration;

/// A clock that moves by more than this against the monotonic one has jumped. Corrections of a running clock are far smaller.
const JUMP_MS: u64 = 600_000;
/// After this time a clock that stays where it jumped to is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// What was seen of the wall clock.
#[derive(Debug)]
pub struct ClockWatch {
    /// Wall time less monotonic time, in milliseconds, while it is believed.
    believed: i64,
    /// Where it jumped to, and when that was seen.
    jumped: Option<(i64, Duration)>,
}

impl ClockWatch {
    /// Believes the clock as it is.
    pub fn new(wall_ms: u64, monotonic: Duration) -> Self {
        Self { believed: offset(wall_ms, monotonic), jumped: None }
    }

    /// Looks at the clock. Returns by how many milliseconds it has jumped, if it is not to be believed.
    pub fn look(&mut self, wall_ms: u64, monotonic: Duration) -> Option<i64> {
        let now = offset(wall_ms, monotonic);
        if now.abs_diff(self.believed) <= JUMP_MS {
            (self.believed, self.jumped) = (now, None);
            return None;
        }
        match self.jumped {
            Some((to, since)) if now.abs_diff(to) <= JUMP_MS => {
                if monotonic.saturating_sub(since) >= BELIEVED_AFTER {
                    (self.believed, self.jumped) = (now, None);
                    return None;
                }
            }
            _ => self.jumped = Some((now, monotonic)),
        }
        Some(now.saturating_sub(self.believed))
    }
}

fn offset(wall_ms: u64, monotonic: Duration) -> i64 {
    let offset = i128::from(wall_ms) - monotonic.as_millis() as i128;
    offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed_for_a_day() {
        let at = |hours: u64| Duration::from_secs(hours * 3_600);
        let wall = |hours: u64| hours * 3_600_000;
        let mut watch = ClockWatch::new(wall(1_000), at(0));
        assert_eq!(watch.look(wall(1_001) + 5_000, at(1)), None, "it drifts");
        assert_eq!(watch.look(wall(1_102), at(2)), Some(100 * 3_600_000 - 5_000));
        assert_eq!(watch.look(wall(1_003), at(3)), None, "it was put right");
        assert!(watch.look(wall(1_104), at(4)).is_some());
        assert!(watch.look(wall(1_127), at(27)).is_some());
        assert_eq!(watch.look(wall(1_128), at(28)), None, "nobody minded for a day");
        assert_eq!(watch.look(wall(929), at(29)), Some(-(200 * 3_600_000)), "back is a jump too");
        assert!(watch.look(wall(1_500), at(40)).is_some(), "and from there elsewhere");
        assert!(watch.look(wall(1_520), at(60)).is_some(), "counts from the last jump");
        assert_eq!(watch.look(wall(1_524), at(64)), None);
    }

    #[test]
    fn no_clock_makes_it_panic() {
        let mut watch = ClockWatch::new(u64::MAX, Duration::MAX);
        assert_eq!(watch.look(0, Duration::MAX), None, "as far off as before");
        assert_eq!(watch.look(u64::MAX, Duration::ZERO), Some(i64::MAX));
    }
}

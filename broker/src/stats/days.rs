//! What had been counted when the day began: RocketMQ's tools show the difference to it. Days are UTC.

const DAY_MS: u64 = 86_400_000;

/// Messages put and got since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Put.
    pub put: u64,
    /// Got.
    pub got: u64,
}

/// The totals at the last two midnights; 0 where this node did not run then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    day: Option<u64>,
    /// When the day before this one began.
    pub yesterday: Totals,
    /// When this day began.
    pub today: Totals,
}

impl Days {
    /// Looks whether a new day has begun; to be called every few seconds.
    pub fn look(&mut self, wall_ms: u64, now: Totals) {
        let day = wall_ms / DAY_MS;
        match self.day {
            Some(known) if day > known => {
                // A machine that slept a day over: nothing was counted in it.
                self.yesterday = if day == known + 1 { self.today } else { now };
                self.today = now;
            }
            _ => {}
        }
        self.day = Some(day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mornings_move_at_midnight() {
        let mut days = Days::default();
        let at = |put| Totals { put, got: put * 2 };
        days.look(DAY_MS * 3 - 10_000, at(5));
        assert_eq!((days.yesterday, days.today), (at(0), at(0)));
        days.look(DAY_MS * 3, at(7));
        days.look(DAY_MS * 3 + 10_000, at(9));
        assert_eq!((days.yesterday, days.today), (at(0), at(7)));
        days.look(DAY_MS * 4, at(20));
        assert_eq!((days.yesterday, days.today), (at(7), at(20)));
        days.look(DAY_MS * 9, at(21));
        assert_eq!((days.yesterday, days.today), (at(21), at(21)));
    }
}

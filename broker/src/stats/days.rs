//! What had been counted when the day began: RocketMQ's tools show the difference to it.

use jiff::civil::Date;

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
    day: Option<Date>,
    /// When the day before this one began.
    pub yesterday: Totals,
    /// When this day began.
    pub today: Totals,
}

impl Days {
    /// Looks whether a new day has begun; to be called every few seconds. A clock that is set back begins none.
    pub fn look(&mut self, today: Date, now: Totals) {
        let Some(known) = self.day else {
            self.day = Some(today);
            return;
        };
        if today > known {
            // A machine that slept a day over: nothing was counted in it.
            let is_next = known.tomorrow().is_ok_and(|tomorrow| tomorrow == today);
            self.yesterday = if is_next { self.today } else { now };
            self.today = now;
            self.day = Some(today);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn mornings_move_at_midnight() {
        let mut days = Days::default();
        let at = |put| Totals { put, got: put * 2 };
        days.look(date(2026, 2, 27), at(5));
        assert_eq!((days.yesterday, days.today), (at(0), at(0)));
        days.look(date(2026, 2, 28), at(7));
        days.look(date(2026, 2, 28), at(9));
        assert_eq!((days.yesterday, days.today), (at(0), at(7)));
        days.look(date(2026, 3, 1), at(20));
        assert_eq!((days.yesterday, days.today), (at(7), at(20)));
        days.look(date(2026, 2, 28), at(21));
        assert_eq!((days.yesterday, days.today), (at(7), at(20)), "the clock was set back");
        days.look(date(2026, 3, 9), at(21));
        assert_eq!((days.yesterday, days.today), (at(21), at(21)));
    }
}

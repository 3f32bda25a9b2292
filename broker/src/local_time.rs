//! Hours, days and times as the machine's time zone has them: `deleteWhen`, the figures of today and yesterday, events.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The hour of the day, 0 to 23.
pub fn hour(wall_ms: u64) -> u8 {
    zoned(wall_ms, TimeZone::system()).hour() as u8
}

/// The day.
pub fn date(wall_ms: u64) -> Date {
    zoned(wall_ms, TimeZone::system()).date()
}

/// The time with its distance from UTC: `2026-11-30T23:41:05.123+08:00`.
pub fn written(wall_ms: u64) -> String {
    zoned(wall_ms, TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// A clock beyond the year 9999 stands at its end.
fn zoned(wall_ms: u64, zone: TimeZone) -> Zoned {
    let at = i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(Timestamp::MAX).to_zoned(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_are_those_of_the_zone() {
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        let at = zoned(1_700_000_000_123, shanghai);
        assert_eq!((at.hour(), at.date()), (6, jiff::civil::date(2023, 11, 15)));
        assert_eq!(zoned(1_700_000_000_123, TimeZone::UTC).hour(), 22);
        assert!(hour(u64::MAX) < 24);
        let written = written(1_700_000_000_123);
        assert!(
            written.contains(":20.123") && written.len() == "2023-11-15T06:13:20.123+08:00".len(),
            "{written}"
        );
        assert!((1969..=1970).contains(&date(0).year()));
    }
}

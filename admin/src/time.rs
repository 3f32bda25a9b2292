//! Points of time as operators write and read them: in the time zone of this machine, as RocketMQ's tools have it.

use anyhow::Context as _;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The time as text, `2026-11-21 11:23:02.123`.
pub(crate) fn text(epoch_ms: i64) -> String {
    text_in(&TimeZone::system(), epoch_ms)
}

/// The time, or nothing for one that never was.
pub(crate) fn text_or_nothing(epoch_ms: i64) -> String {
    if epoch_ms <= 0 { String::new() } else { text(epoch_ms) }
}

/// Reads what RocketMQ's tools take: `now`, milliseconds since the epoch, or `yyyy-MM-dd#HH:mm:ss:SSS`; also with a
/// blank or a `T` in the middle, and without the parts at the end. A `Z` behind it stands for UTC.
pub(crate) fn parse(text: &str, now_ms: i64) -> anyhow::Result<i64> {
    parse_in(&TimeZone::system(), text, now_ms)
}

fn text_in(zone: &TimeZone, epoch_ms: i64) -> String {
    match Timestamp::from_millisecond(epoch_ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        Err(_) => format!("{epoch_ms} ms"), // thousands of years off: a wrong number in a message
    }
}

fn parse_in(zone: &TimeZone, text: &str, now_ms: i64) -> anyhow::Result<i64> {
    if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("currentTimeMillis") {
        return Ok(now_ms);
    }
    if let Ok(epoch_ms) = text.parse() {
        return Ok(epoch_ms);
    }
    let (written, zone) = match text.strip_suffix('Z') {
        Some(written) => (written, TimeZone::UTC),
        None => (text, zone.clone()),
    };
    let at = date_time(written).and_then(|at| at.to_zoned(zone).ok()).with_context(|| {
        format!("{text:?} is not a time: now, milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS")
    })?;
    Ok(Zoned::timestamp(&at).as_millisecond())
}

fn date_time(text: &str) -> Option<DateTime> {
    let (date, rest) = text.split_once(['#', ' ', 'T', '_']).unwrap_or((text, ""));
    let [year, month, day] = numbers::<3>(date.split('-'))?;
    let [hour, minute, second, ms] =
        numbers::<4>(rest.split([':', '.', ',']).filter(|part| !part.is_empty()))?;
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    // A day of year 0 or so is a typing error, and so are three parts that are fewer.
    let is_whole = date.year() >= 1_970 && (0..1_000).contains(&ms);
    let small = |part: i16| i8::try_from(part).ok();
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, i32::from(ms) * 1_000_000).ok()?;
    is_whole.then(|| date.to_datetime(time))
}

/// Up to `N` numbers; 0 where there are fewer, nothing where there are more or one is not a number.
fn numbers<'a, const N: usize>(parts: impl Iterator<Item = &'a str>) -> Option<[i16; N]> {
    let mut found = [0; N];
    for (at, part) in parts.enumerate() {
        *found.get_mut(at)? = part.parse().ok()?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    #[test]
    fn what_is_written_is_read_again() {
        for zone in [TimeZone::UTC, shanghai()] {
            for epoch_ms in [0, 1_700_000_000_123, 1_709_251_199_999, 951_782_400_000] {
                let text = text_in(&zone, epoch_ms);
                assert_eq!(parse_in(&zone, &text, 0).unwrap(), epoch_ms, "{text}");
            }
        }
        assert_eq!(text_in(&TimeZone::UTC, 1_700_000_000_123), "2023-11-14 22:13:20.123");
        assert_eq!(text_in(&shanghai(), 1_700_000_000_123), "2023-11-15 06:13:20.123");
        assert_eq!(text(1_700_000_000_123), text_in(&TimeZone::system(), 1_700_000_000_123));
        assert_eq!(text_in(&TimeZone::UTC, i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn all_of_rocketmqs_forms_are_understood() {
        let parse = |text, now_ms| parse_in(&TimeZone::UTC, text, now_ms);
        assert_eq!(parse("now", 77).unwrap(), 77);
        assert_eq!(parse("1700000000123", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse("2023-11-14#22:13:20:123", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse_in(&shanghai(), "2023-11-15#06:13:20:123", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse_in(&shanghai(), "2023-11-14T22:13:20.123Z", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse("2023-11-14", 0).unwrap(), 1_699_920_000_000);
        for wrong in [
            "soon",
            "",
            "2023-13-01",
            "2023-02-30",
            "2023-11-14#25:00:00",
            "2023-11-14#01:02:03:1000",
            "2023-11",
            "2023-11-14#1:2:3:4:5",
        ] {
            assert!(parse(wrong, 0).is_err(), "{wrong}");
        }
    }
}

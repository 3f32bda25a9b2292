//! Points of time as operators write and read them. All are UTC.

use anyhow::{Context as _, bail};

const DAY_MS: i64 = 86_400_000;

/// The time as text, `2026-11-21 11:23:02.123`.
pub(crate) fn text(epoch_ms: i64) -> String {
    let (days, in_day) = (epoch_ms.div_euclid(DAY_MS), epoch_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days);
    let (seconds, ms) = (in_day / 1_000, in_day % 1_000);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{ms:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The time, or nothing for one that never was.
pub(crate) fn text_or_nothing(epoch_ms: i64) -> String {
    if epoch_ms <= 0 { String::new() } else { text(epoch_ms) }
}

/// Reads what RocketMQ's tools take: `now`, milliseconds since the epoch, or `yyyy-MM-dd#HH:mm:ss:SSS`; also with a
/// blank or a `T` in the middle, and without the parts at the end.
pub(crate) fn parse(text: &str, now_ms: i64) -> anyhow::Result<i64> {
    if text.eq_ignore_ascii_case("now") || text.eq_ignore_ascii_case("currentTimeMillis") {
        return Ok(now_ms);
    }
    if let Ok(epoch_ms) = text.parse() {
        return Ok(epoch_ms);
    }
    let wrong =
        || format!("{text:?} is no time: now, milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS in UTC");
    let (date, rest) = text.split_once(['#', ' ', 'T', '_']).unwrap_or((text, ""));
    let number = |part: &str| part.parse::<i64>().ok().with_context(wrong);
    let date: Vec<i64> = date.split('-').map(number).collect::<anyhow::Result<_>>()?;
    let rest: Vec<i64> = rest
        .trim_end_matches('Z')
        .split([':', '.', ','])
        .filter(|part| !part.is_empty())
        .map(number)
        .collect::<anyhow::Result<_>>()?;
    let [year, month, day] = date[..] else { bail!(wrong()) };
    let part = |index: usize| rest.get(index).copied().unwrap_or(0);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&part(0))
        && (0..60).contains(&part(1))
        && (0..60).contains(&part(2))
        && (0..1_000).contains(&part(3))
        && rest.len() <= 4;
    let days = days_of(year, month, day);
    if !in_range || civil(days) != (year, month, day) {
        bail!(wrong());
    }
    Ok(days * DAY_MS + part(0) * 3_600_000 + part(1) * 60_000 + part(2) * 1_000 + part(3))
}

/// Year, month and day of a number of days since 1970-01-01. Eras of 400 years begin in March, so that the leap day is
/// the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The reverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for epoch_ms in [0, 1_700_000_000_123, 1_709_251_199_999, 951_782_400_000, -1] {
            assert_eq!(parse(&text(epoch_ms), 0).unwrap(), epoch_ms, "{}", text(epoch_ms));
        }
        assert_eq!(text(1_700_000_000_123), "2023-11-14 22:13:20.123");
    }

    #[test]
    fn all_of_rocketmqs_forms_are_understood() {
        assert_eq!(parse("now", 77).unwrap(), 77);
        assert_eq!(parse("1700000000123", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse("2023-11-14#22:13:20:123", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(parse("2023-11-14", 0).unwrap(), 1_699_920_000_000);
        for wrong in
            ["soon", "2023-13-01", "2023-02-30", "2023-11-14#25:00:00", "2023-11", "2023-11-14#1:2:3:4:5"]
        {
            assert!(parse(wrong, 0).is_err(), "{wrong}");
        }
    }
}

//! Delay levels: the text of `messageDelayLevel`, such as `1s 5s 10s 30s 1m`.

use thiserror::Error;

/// The levels a broker has unless configured otherwise.
pub const DEFAULT_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// Why a text has no delay levels.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("delay level {level} is {text:?}, expected a number and one of s, m, h, d, separated by one space")]
pub struct DelayLevelError {
    /// Which level, from 1.
    pub level: usize,
    /// What stands there.
    pub text: String,
}

/// The delays of a text in milliseconds; level 1 is the first.
///
/// # Errors
/// At the first level that is not a time. Java stops there and keeps those before it.
pub fn parse_levels(text: &str) -> Result<Vec<i64>, DelayLevelError> {
    let level_of = |(index, text): (usize, &str)| {
        delay_ms(text).ok_or_else(|| DelayLevelError { level: index + 1, text: text.to_owned() })
    };
    text.split(' ').enumerate().map(level_of).collect()
}

fn delay_ms(text: &str) -> Option<i64> {
    let (unit_at, unit) = text.char_indices().next_back()?;
    let unit_ms = match unit {
        's' => 1000,
        'm' => 60 * 1000,
        'h' => 60 * 60 * 1000,
        'd' => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    text[..unit_at].parse::<i64>().ok()?.checked_mul(unit_ms)
}

//! Durations as scenarios write them: `500ms`, `15s`, `2m`, and with seeded jitter `15s+-5s`.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Deserializer};

/// A text that is not a duration as scenarios write them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Number and unit are not there.
    #[error("`{text}` is not a duration; write 500ms, 15s or 2m, with jitter 15s+-5s")]
    Duration {
        /// The text.
        text: String,
    },
    /// It could become negative.
    #[error("`{text}` varies by more than it lasts")]
    Jitter {
        /// The text.
        text: String,
    },
}

/// A duration and how far a drawn one may lie from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The middle.
    pub mean: Duration,
    /// At most this far from it, in both directions; never more than `mean`.
    pub jitter: Duration,
}

impl Span {
    /// Reads `15s` or `15s+-5s`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let (mean, jitter) = match text.split_once("+-") {
            Some((mean, jitter)) => (parse(mean)?, parse(jitter)?),
            None => (parse(text)?, Duration::ZERO),
        };
        if jitter > mean {
            return Err(SpanError::Jitter { text: text.to_owned() });
        }
        Ok(Self { mean, jitter })
    }

    /// A duration within the jitter, evenly.
    pub fn draw(&self, rng: &mut StdRng) -> Duration {
        let jitter_ms = self.jitter.as_millis() as u64;
        let low = self.mean.saturating_sub(self.jitter);
        low + Duration::from_millis(rng.random_range(0..=2 * jitter_ms))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// How far a clock jumps: `-600s`, `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// In milliseconds; negative for back.
    pub ms: i64,
}

impl<'de> Deserialize<'de> for Jump {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (back, length) = match text.strip_prefix('-') {
            Some(length) => (true, length),
            None => (false, text.as_str()),
        };
        let ms = parse(length).map_err(serde::de::Error::custom)?.as_millis() as i64;
        Ok(Self { ms: if back { -ms } else { ms } })
    }
}

fn parse(text: &str) -> Result<Duration, SpanError> {
    let text = text.trim();
    let refused = || SpanError::Duration { text: text.to_owned() };
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u32 = number.parse().map_err(|_| refused())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(60 * u64::from(number))),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{RngSource, SeededRng};

    #[test]
    fn spans_are_read_with_and_without_jitter() {
        let cases = [
            ("500ms", 500, 0),
            ("15s", 15_000, 0),
            ("15s+-5s", 15_000, 5_000),
            ("2m +- 500ms", 120_000, 500),
        ];
        for (text, mean, jitter) in cases {
            let expected = Span { mean: Duration::from_millis(mean), jitter: Duration::from_millis(jitter) };
            assert_eq!(Span::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "s", "15", "15 s+-", "1h", "-1s", "1s+-2s", "99999999999s"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_drawn_duration_stays_within_the_jitter_and_follows_the_seed() {
        let span = Span::parse("15s+-5s").unwrap();
        let draws = |seed| {
            let mut rng = SeededRng(seed).rng("span");
            (0..100).map(|_| span.draw(&mut rng)).collect::<Vec<_>>()
        };
        assert!(draws(1).iter().all(|drawn| (10..=20).contains(&drawn.as_secs())));
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}

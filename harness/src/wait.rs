//! Waiting for a condition: look again until a deadline, and then tell what was missing.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The deadline came first.
#[derive(Debug)]
pub struct WaitError {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub waited: Duration,
    /// What was seen last.
    pub last: String,
    /// Where the logs are.
    pub logs: PathBuf,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:.1} s for {}; last seen:\n{}logs: {}",
            self.waited.as_secs_f64(),
            self.what,
            self.last,
            self.logs.display()
        )
    }
}

impl std::error::Error for WaitError {}

/// Takes views until `condition` has an answer, for at most `within`.
///
/// # Errors
/// The deadline, with the last view.
pub async fn until<V: fmt::Display, T, F: Future<Output = V>>(
    what: &str,
    within: Duration,
    logs: PathBuf,
    mut take: impl FnMut() -> F,
    mut condition: impl FnMut(&V) -> Option<T>,
) -> Result<T, WaitError> {
    let start = Instant::now();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let view = take().await;
        if let Some(found) = condition(&view) {
            return Ok(found);
        }
        if start.elapsed() >= within {
            let (what, last) = (what.to_owned(), view.to_string());
            return Err(WaitError { what, waited: start.elapsed(), last, logs });
        }
    }
}

/// Asks again and again until there is an answer, for at most `within`.
///
/// # Panics
/// At the deadline, naming `what`.
pub async fn eventually<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < within, "waited {within:?} for {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_tells_what_was_missing_and_where_to_look() {
        let mut views = 0;
        let error = until(
            "seven",
            Duration::from_millis(70),
            "there".into(),
            || {
                views += 1;
                std::future::ready(format!("view {views}\n"))
            },
            |view| view.contains("seven").then_some(()),
        )
        .await
        .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("waited 0.1 s for seven; last seen:\nview "), "{text}");
        assert!(text.ends_with("logs: there"), "{text}");
    }
}

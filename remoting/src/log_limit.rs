//! Log lines that a peer can cause at will, held to one a second.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// Admits one line a second and counts the others.
#[derive(Default)]
pub struct LogLimit {
    state: Mutex<(Option<Instant>, u64)>,
}

impl LogLimit {
    /// `Some(suppressed)` if a line may be logged now, with the number of those that were not since the last.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().expect("nothing panics under this lock");
        if state.0.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_and_a_count_of_the_rest() {
        let (limit, start) = (LogLimit::default(), Instant::now());
        assert_eq!(limit.admit_at(start), Some(0));
        assert_eq!(limit.admit_at(start), None);
        assert_eq!(limit.admit_at(start + INTERVAL / 2), None);
        assert_eq!(limit.admit_at(start + INTERVAL), Some(2));
    }
}

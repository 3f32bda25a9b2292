//! Room in the replicated tables (S16): what would make them grow past their bound is refused before it is proposed.

use std::time::Duration;

/// The tables are measured again after this time.
const MEASURED_FOR: Duration = Duration::from_secs(1);

/// What is known of the tables' size. What was promised since they were measured last is counted twice for a while,
/// because some of it may not be in them yet.
#[derive(Debug, Default)]
pub struct Room {
    measured_at: Option<Duration>,
    bytes: u64,
    promised: [u64; 2],
}

impl Room {
    /// Promises `wanted` bytes, if they fit into `limit`; else says how many there are. `measure` tells how many the
    /// tables have now.
    ///
    /// # Errors
    /// With the bytes that there are.
    pub fn promise(
        &mut self,
        wanted: u64,
        limit: u64,
        now: Duration,
        measure: impl FnOnce() -> u64,
    ) -> Result<(), u64> {
        if wanted == 0 {
            return Ok(());
        }
        if self.measured_at.is_none_or(|at| now >= at + MEASURED_FOR) {
            self.measured_at = Some(now);
            self.bytes = measure();
            self.promised = [0, self.promised[0]];
        }
        let there = self.bytes + self.promised[0] + self.promised[1];
        if there + wanted > limit {
            return Err(there);
        }
        self.promised[0] += wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_counts_until_it_is_measured_for_sure() {
        let mut room = Room::default();
        let at = Duration::from_secs;
        assert_eq!(room.promise(0, 100, at(0), || unreachable!()), Ok(()));
        assert_eq!(room.promise(60, 100, at(1), || 10), Ok(()));
        assert_eq!(room.promise(60, 100, at(1), || unreachable!()), Err(70));
        assert_eq!(room.promise(30, 100, at(1), || unreachable!()), Ok(()));
        // None of it is in the tables yet.
        assert_eq!(room.promise(1, 100, at(2), || 10), Err(100));
        // The oldest is there now, or was never committed.
        assert_eq!(room.promise(1, 100, at(3), || 40), Ok(()));
        assert_eq!(room.promise(59, 100, at(4), || 40), Ok(()));
    }
}

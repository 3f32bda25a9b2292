//! Where the newest messages of a queue lie in the log, roughly, known without a look at a file.

use std::collections::VecDeque;

use crate::{CommitlogOffset, QueueOffset};

/// One place is noted for so many bytes of the log.
const STEP_BYTES: u64 = 1 << 20;
/// So many are kept: with their steps they reach further back than what anybody takes for fresh.
const KEPT: usize = 80;

/// Queue offsets and the places of their messages, both rising.
#[derive(Default)]
pub(super) struct Places(VecDeque<(u64, CommitlogOffset)>);

impl Places {
    /// Takes note of the message at `at`, if the last one noted lies far enough before it.
    pub(super) fn note(&mut self, at: u64, offset: CommitlogOffset) {
        if self.0.back().is_some_and(|(_, last)| last.0.saturating_add(STEP_BYTES) > offset.0) {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((at, offset));
    }

    /// Where the message at `at` does not lie before; `None` if only a file could tell.
    pub(super) fn not_before(&self, at: QueueOffset) -> Option<CommitlogOffset> {
        let behind = self.0.partition_point(|(noted, _)| *noted <= at.0);
        behind.checked_sub(1).map(|last| self.0[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_never_behind_the_message() {
        let mut places = Places::default();
        let offset = |at: u64| CommitlogOffset(at * 300_000);
        for at in 0..1_000 {
            places.note(at, offset(at));
        }
        let known: Vec<_> =
            (0..1_000).filter_map(|at| Some((at, places.not_before(QueueOffset(at))?))).collect();
        assert!(known.iter().all(|(at, place)| *place <= offset(*at)));
        assert!(known.iter().all(|(at, place)| place.0 + 2 * STEP_BYTES > offset(*at).0));
        assert_eq!(places.not_before(QueueOffset(0)), None, "long forgotten");
        assert_eq!(places.0.len(), KEPT);
        assert!(known.last().is_some_and(|(at, _)| *at == 999));
    }
}

//! How far the delay levels are delivered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::codec::Record;

use super::LevelDelivered;
use super::section::{ENTRY, SECTION_BYTES_MAX, Section};
use super::shared::Shared;

/// A delivery that does not follow what is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it delivers delayed message {from} of level {level} a second time; {next} is next")]
pub struct Misfit {
    /// Delay level, from 1.
    pub level: i32,
    /// Offset of the first record that it delivers, in the level's queue.
    pub from: i64,
    /// Offset of the record that is next.
    pub next: i64,
}

/// Delay level -> next offset of its schedule queue to deliver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DelayProgress {
    levels: Shared<BTreeMap<i32, i64>>,
}

impl Record for DelayProgress {
    const KIND: u16 = 0x030b;
    const NAME: &'static str = "delay-progress";
    const BYTES_MAX: usize = SECTION_BYTES_MAX;
}

impl Section for DelayProgress {
    fn bytes(&self) -> u64 {
        ENTRY * self.levels.len() as u64
    }
}

impl DelayProgress {
    pub(super) fn next(&self, level: i32) -> i64 {
        self.levels.get(&level).copied().unwrap_or(0)
    }

    /// Whether these may be delivered in this order now.
    ///
    /// # Errors
    /// With the first one that is delivered already.
    pub(super) fn check<'a>(
        &self,
        delivered: impl IntoIterator<Item = &'a LevelDelivered>,
    ) -> Result<(), Misfit> {
        let mut nexts = BTreeMap::new();
        for delivered in delivered {
            let (level, from) = (delivered.level, delivered.from);
            let next = nexts.entry(level).or_insert_with(|| self.next(level));
            if from < *next {
                return Err(Misfit { level, from, next: *next });
            }
            *next = delivered.end();
        }
        Ok(())
    }

    /// The level goes on behind the record at `offset`. Says whether that was not behind it yet.
    pub(super) fn delivered(&mut self, level: i32, offset: i64) -> bool {
        let next = self.levels.entry(level).or_insert(offset);
        let is_next = *next <= offset;
        *next = (*next).max(offset.saturating_add(1));
        is_next
    }
}

#[cfg(test)]
mod tests {
    use crate::state::tests::{filled, golden};

    #[test]
    fn its_bytes_stay_what_they_are() {
        golden(&[filled().delay_progress], &[]);
    }
}

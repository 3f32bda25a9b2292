//! The small facts the log keeps in slot files beside its segments.

use std::io;

use serde::{Deserialize, Serialize};

use super::FlushMode;
use crate::LogPoint;
use crate::codec::{self, Record};
use crate::slot::{ATOMIC_BYTES_MAX, SlotFile};

/// How far the log had come. Written at each commit without a sync, so it may lag, but never leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndsRecord {
    pub(super) committed: Option<LogPoint>,
    /// Below it everything was on disk before this was written. A damaged byte below it is not a torn tail.
    pub(super) flushed: u64,
}

impl Record for EndsRecord {
    const KIND: u16 = 0x0101;
    const NAME: &'static str = "log-ends";
    const BYTES_MAX: usize = ATOMIC_BYTES_MAX;
}

/// Where the log begins. Always synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PurgeRecord {
    pub(super) purged: Option<LogPoint>,
    /// Where the first entry that is not purged begins, or would begin.
    pub(super) min: u64,
    /// All segments are to be removed, for the log restarts empty at `min`: it was being done when this was
    /// written, and is to be done again if it is found.
    pub(super) is_resetting: bool,
}

impl Record for PurgeRecord {
    const KIND: u16 = 0x0102;
    const NAME: &'static str = "log-purge";
    const BYTES_MAX: usize = ATOMIC_BYTES_MAX;
}

/// How the last run ended. Always synced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) boot_id: String,
    /// All was flushed, and nothing was appended since.
    pub(super) is_clean: bool,
    pub(super) is_async: bool,
    /// Acknowledged entries may be missing, and the node has not caught up with a leader since.
    pub(super) maybe_forgot: bool,
    /// So that a start with another segment size is refused.
    pub(super) segment_bytes: u64,
}

impl Record for RunRecord {
    const KIND: u16 = 0x0103;
    const NAME: &'static str = "log-run";
    const BYTES_MAX: usize = ATOMIC_BYTES_MAX;
}

impl RunRecord {
    pub(super) fn begun(boot_id: String, flush: FlushMode, segment_bytes: u64, maybe_forgot: bool) -> Self {
        let is_async = matches!(flush, FlushMode::Async { .. });
        Self { boot_id, is_clean: false, is_async, maybe_forgot, segment_bytes }
    }
}

/// Reads the record of a slot file; `None` if none was ever written.
pub(super) fn read<R: Record>(slot: &SlotFile) -> io::Result<Option<R>> {
    if slot.value().is_empty() {
        return Ok(None);
    }
    Ok(Some(codec::decode(slot.value())?))
}

/// Replaces the record of a slot file.
pub(super) fn write<R: Record>(slot: &mut SlotFile, record: &R, sync: bool) -> io::Result<()> {
    slot.write(&codec::encode(record)?, sync)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden;

    #[test]
    fn their_bytes_stay_what_they_are() {
        let point = LogPoint { term: 3, log_index: 700 };
        golden(&[EndsRecord { committed: Some(point), flushed: 4096 }, EndsRecord::default()], &[]);
        golden(&[PurgeRecord { purged: Some(point), min: 1 << 30, is_resetting: true }], &[]);
        let async_flush = FlushMode::Async { interval_ms: 500 };
        golden(&[RunRecord::begun("a boot".into(), async_flush, 1 << 30, true)], &[]);
    }
}

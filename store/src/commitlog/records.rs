//! The small facts the log keeps in slot files beside its segments.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::FlushMode;
use crate::slot::{ATOMIC_BYTES_MAX, SlotFile};
use crate::{LogPoint, codec};

/// How far the log had come. Written at each commit without a sync, so it may lag, but never leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndsRecord {
    pub(super) committed: Option<LogPoint>,
    /// Below it everything was on disk before this was written. A damaged byte below it is no torn tail.
    pub(super) flushed: u64,
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

impl RunRecord {
    pub(super) fn begun(boot_id: String, flush: FlushMode, segment_bytes: u64, maybe_forgot: bool) -> Self {
        let is_async = matches!(flush, FlushMode::Async { .. });
        Self { boot_id, is_clean: false, is_async, maybe_forgot, segment_bytes }
    }
}

/// Reads the record of a slot file; `None` if none was ever written.
pub(super) fn read<T: DeserializeOwned>(slot: &SlotFile) -> io::Result<Option<T>> {
    if slot.value().is_empty() {
        return Ok(None);
    }
    let record = codec::decode(slot.value(), ATOMIC_BYTES_MAX as u64);
    record.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// Replaces the record of a slot file.
pub(super) fn write<T: Serialize>(slot: &mut SlotFile, record: &T, sync: bool) -> io::Result<()> {
    let bytes = codec::encode(record, ATOMIC_BYTES_MAX as u64).expect("a record fits its sector");
    slot.write(&bytes, sync)
}

//! Before the first segment is read: what the small records beside the log say of it.
//!
//! They are slot files, written in turn and each with a checksum, so a torn write of one leaves the value before it. What
//! is trusted of them, and why a crash cannot have made it say too much:
//!
//! | record | written by | trusted because |
//! |---|---|---|
//! | `purge` | `CommitLog::purge`, `restart_at` | it is synced before the first file that it gives up is removed |
//! | `ends` | `CommitLog::commit`, `truncate_at`, a start | it lags: `flushed` was on disk before it was written |
//! | `run` | a start, a fence, a clean stop | it is synced before anything is appended in that run |
//! | checkpoints | the checkpointer | the log below one is synced before the checkpoint has its name |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::Disk;

use super::super::evidence::Evidence;
use super::super::records::{self, EndsRecord, PurgeRecord, RunRecord};
use super::super::tail::wipe;
use super::super::{LogOptions, OpenError};
use super::io_at;
use crate::checkpoint::{Checkpoints, Keep};
use crate::segment::Segment;
use crate::slot::SlotFile;

/// What is known before the first segment is read.
pub(in crate::commitlog) struct Known {
    pub(super) disk: Arc<dyn Disk>,
    pub(in crate::commitlog) dir: PathBuf,
    pub(in crate::commitlog) segment_bytes: u64,
    pub(super) purge: PurgeRecord,
    pub(super) ends: EndsRecord,
    /// Everything below is on disk, says a checkpoint of our own.
    pub(in crate::commitlog) checkpointed: u64,
    /// The machine has not lost power since the last run, so the page cache is as it was.
    pub(in crate::commitlog) is_same_boot: bool,
    /// What is cut can be fetched again.
    pub(in crate::commitlog) has_peers: bool,
}

impl Known {
    pub(super) fn read(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        options: &LogOptions,
        checkpoints: &Checkpoints,
        [purge, ends, run]: [&SlotFile; 3],
    ) -> Result<Self, OpenError> {
        let run: Option<RunRecord> = records::read(run).map_err(io_at(run.path()))?;
        let own = checkpoints.list().into_iter().filter(|info| info.keep != Keep::Installed);
        Ok(Self {
            disk: Arc::clone(disk),
            dir: dir.to_path_buf(),
            segment_bytes: options.segment_bytes,
            purge: records::read(purge).map_err(io_at(purge.path()))?.unwrap_or_default(),
            ends: records::read(ends).map_err(io_at(ends.path()))?.unwrap_or_default(),
            checkpointed: own.map(|info| info.next_offset.0).max().unwrap_or(0),
            is_same_boot: run.is_some_and(|run| run.boot_id == disk.boot_id()),
            has_peers: options.has_peers,
        })
    }

    /// A restart behind a checkpoint was under way: there is no log. Ends what `CommitLog::restart_at` began: whichever of
    /// its steps the crash came between, its first record is found here, and the steps are done again.
    pub(super) fn finish_reset(
        &mut self,
        purge_slot: &mut SlotFile,
        ends_slot: &mut SlotFile,
    ) -> Result<(), OpenError> {
        if !self.purge.is_resetting {
            return Ok(());
        }
        wipe(&*self.disk, &self.dir).map_err(io_at(&self.dir))?;
        self.ends = EndsRecord { committed: self.purge.purged, flushed: self.purge.min };
        records::write(ends_slot, &self.ends, true).map_err(io_at(ends_slot.path()))?;
        self.purge.is_resetting = false;
        records::write(purge_slot, &self.purge, true).map_err(io_at(purge_slot.path()))
    }

    /// Below it everything was on disk, say the records of this log: `ends`, which may be older than the proof that the
    /// syncs of the segments took along.
    pub(in crate::commitlog) fn flushed(&self, evidence: Option<Evidence>) -> u64 {
        self.ends.flushed.max(evidence.map_or(0, |evidence| evidence.flushed))
    }

    pub(in crate::commitlog) fn open_segment(&self, base: u64) -> Result<Arc<Segment>, OpenError> {
        let opened = Segment::open(&*self.disk, &self.dir, base, self.segment_bytes);
        Ok(Arc::new(opened.map_err(io_at(&Segment::path_in(&self.dir, base)))?))
    }
}

//! Opening: finding the end of the log, and refusing to guess where something may have been committed.
//!
//! What lies behind the first bad entry is cut without a word only if it is a torn tail: bytes that were never
//! reported as durable, damaged by a loss of power. Anything else is a hole in what was on disk. In a log that other
//! nodes hold too it is kept as one, with all that is intact behind it ([`super::bridge`]), or, if it is not known what
//! is missing, the log is cut there and fenced, so that it is fetched again before it counts for anything. A log that
//! stands alone is refused, for a person to look at.
//!
//! Each stage is a type that is made from the one before, and in no other way; each check in it names the write that could
//! have torn what it looks at, or says that none could:
//!
//! | stage | made by | trusted from there on |
//! |---|---|---|
//! | [`Known`] | `Known::read` | the records beside the log; none of its segments |
//! | [`Scanned`](scanned::Scanned) | `Known::scan` | the entries that are listed; not why they end there |
//! | [`Settled`](settled::Settled) | `Scanned::settle` | the end, and that nothing lies behind it; not that all of it is on disk |
//! | [`State`](super::shared::State) | `Settled::into_state` | everything: entries may be read and appended |

mod known;
mod scanned;
mod settled;

use std::io;
use std::path::Path;
use std::sync::Arc;

use platform::{Disk, Platform};

use super::flush::Flusher;
use super::helper::Helper;
use super::records::{self, RunRecord};
use super::recount::Recount;
use super::seal::Sealer;
use super::shared::Shared;
use super::{CommitLog, LogOptions, LogReader, OpenError, Recovery};
use crate::LogPoint;
use crate::checkpoint::{Checkpoint, Checkpoints, Keep};
use crate::lock::DirLock;
use crate::slot::{SlotError, SlotFile};
pub(super) use known::Known;
pub(super) use scanned::Scanned;

const SEGMENT_BYTES_UNIT: u64 = 4096;
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

pub(super) fn open(
    platform: &Platform,
    options: LogOptions,
    checkpoints: &mut Checkpoints,
) -> Result<(CommitLog, Recovery), OpenError> {
    check_options(&options)?;
    let disk = Arc::clone(&platform.disk);
    let dir = options.dir.join("commitlog");
    let lock = DirLock::take(&*disk, &options.dir)?;
    disk.create_dir_all(&dir).and_then(|()| disk.sync_dir(&options.dir)).map_err(io_at(&dir))?;
    if let Some(parent) = options.dir.parent().filter(|parent| disk.exists(parent)) {
        disk.sync_dir(parent).map_err(io_at(parent))?;
    }

    let mut run_slot = SlotFile::open(&*disk, options.dir.join("run"))?;
    let run: Option<RunRecord> = records::read(&run_slot).map_err(io_at(run_slot.path()))?;
    check_segment_bytes(&dir, run.as_ref(), options.segment_bytes)?;
    let mut purge_slot = SlotFile::open(&*disk, options.dir.join("purge"))?;
    let (mut ends_slot, has_lost_ends) =
        open_ends(&*disk, &options.dir, || raise_fence(&mut run_slot, run.as_ref(), &options))?;
    let slots = [&purge_slot, &ends_slot, &run_slot];
    let has_lost_a_slot = has_lost_ends || slots.iter().any(|slot| slot.has_lost_a_slot());
    let mut known = Known::read(&disk, &dir, &options, checkpoints, slots)?;
    let boot_id = disk.boot_id();
    let has_lost_power =
        run.as_ref().is_some_and(|run| run.is_async && !run.is_clean && run.boot_id != boot_id);
    let mut maybe_forgot =
        has_lost_power || has_lost_a_slot || run.as_ref().is_some_and(|run| run.maybe_forgot);
    // Before anything is written that would hide why: another crash must not take the fence along.
    if maybe_forgot {
        raise_fence(&mut run_slot, run.as_ref(), &options)?;
    }
    known.finish_reset(&mut purge_slot, &mut ends_slot)?;

    let raise = || if maybe_forgot { Ok(()) } else { raise_fence(&mut run_slot, run.as_ref(), &options) };
    let mut settled = known.scan()?.settle(&known, raise)?;
    maybe_forgot |= settled.has_lost();
    let (cut_bytes, holes) = (settled.cut_bytes(), settled.take_holes());
    let (state, evidences) = settled.into_state(&known, &mut ends_slot)?;
    let flushed = state.appended;

    let shared = Arc::new(Shared::new(disk, dir, options.segment_bytes, state, flushed, evidences));
    let reader = LogReader { shared: Arc::clone(&shared) };
    for (offset, reason) in &holes {
        shared.note_damage(*offset, &reason.to_string());
    }
    let (base, ahead, has_shrunk) = choose_checkpoint(&reader, checkpoints)?;
    let (sealer, recount) = match &ahead {
        Some(ahead) => (Sealer::new(&ahead.seal), None), // the log restarts behind it
        None => Recount::behind(&reader, base.as_ref()).count_or_wait(&reader, options.has_peers)?,
    };
    let maybe_forgot = maybe_forgot || has_shrunk;
    let run = RunRecord::begun(boot_id, options.flush, options.segment_bytes, maybe_forgot);
    records::write(&mut run_slot, &run, true).map_err(io_at(run_slot.path()))?;

    let flusher = Flusher::start(&shared, &platform.clock, options.flush, options.helpers, &platform.tasks)
        .map_err(io_at(&options.dir))?;
    let helper = Helper::start(&shared, options.helpers, &platform.tasks).map_err(io_at(&options.dir))?;
    let clock = Arc::clone(&platform.clock);
    let mut log = CommitLog {
        shared,
        options,
        clock,
        sealer,
        recount,
        flusher,
        helper,
        ends_slot,
        purge_slot,
        run_slot,
        run,
        _lock: lock,
    };
    if let Some(base) = &base {
        log.commit(base.last.log_index).map_err(io_at(&log.options.dir))?; // only what is committed is in one
    }
    let mut checkpoint = base;
    if let Some(ahead) = ahead {
        log.follow(&ahead).map_err(io_at(&log.options.dir))?;
        checkpoint = Some(ahead);
    }
    let tail = Arc::clone(&crate::sync::read(&log.shared.state).tail().segment);
    log.prepare_next(&tail, reader.ends().appended.0);
    let recovery = Recovery {
        last: reader.last(),
        purged: reader.purged(),
        committed: reader.committed(),
        checkpoint,
        cut_bytes,
        maybe_forgot,
    };
    tracing::info!(dir = %log.options.dir.display(), ?recovery.last, ?recovery.committed, cut_bytes, maybe_forgot,
        "commitlog opened");
    Ok((log, recovery))
}

fn check_options(options: &LogOptions) -> Result<(), OpenError> {
    let bytes = options.segment_bytes;
    if bytes == 0 || bytes > SEGMENT_BYTES_MAX || !bytes.is_multiple_of(SEGMENT_BYTES_UNIT) {
        return Err(OpenError::BadSegmentBytes { bytes, unit: SEGMENT_BYTES_UNIT, limit: SEGMENT_BYTES_MAX });
    }
    Ok(())
}

fn check_segment_bytes(dir: &Path, run: Option<&RunRecord>, configured: u64) -> Result<(), OpenError> {
    match run {
        Some(run) if run.segment_bytes != configured => {
            Err(OpenError::SegmentBytes { path: dir.to_path_buf(), found: run.segment_bytes, configured })
        }
        _ => Ok(()),
    }
}

/// The ends on disk are a help, not a need: if both slots are damaged, recovery goes on without, and behind a fence.
fn open_ends(
    disk: &dyn Disk,
    dir: &Path,
    raise_fence: impl FnOnce() -> Result<(), OpenError>,
) -> Result<(SlotFile, bool), OpenError> {
    let path = dir.join("ends");
    match SlotFile::open(disk, &path) {
        Err(SlotError::Damaged { path }) => {
            tracing::error!(path = %path.display(), "the record of the log's ends is damaged and starts anew");
            raise_fence()?;
            disk.remove_file(&path).map_err(io_at(&path))?;
            Ok((SlotFile::open(disk, &path)?, true))
        }
        other => Ok((other?, false)),
    }
}

/// Makes the fence durable, and nothing else: what the last run said of boot and mode is still needed.
fn raise_fence(
    run_slot: &mut SlotFile,
    run: Option<&RunRecord>,
    options: &LogOptions,
) -> Result<(), OpenError> {
    let begun = || RunRecord::begun(String::new(), options.flush, options.segment_bytes, true);
    let raised = RunRecord { maybe_forgot: true, ..run.cloned().unwrap_or_else(begun) };
    if run.is_some_and(|run| run.maybe_forgot) && !run_slot.has_lost_a_slot() {
        return Ok(());
    }
    records::write(run_slot, &raised, true).map_err(io_at(run_slot.path()))
}

pub(super) fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_path_buf();
    move |source| OpenError::Io { path: path.clone(), source }
}

/// The checkpoint to go on from; one received from a leader that the log has yet to follow; and whether the log
/// ends before one of our own, which means that it has lost entries.
fn choose_checkpoint(
    reader: &LogReader,
    checkpoints: &mut Checkpoints,
) -> Result<(Option<Checkpoint>, Option<Checkpoint>, bool), OpenError> {
    let last = reader.last();
    let mut has_shrunk = false;
    for info in checkpoints.list().into_iter().rev() {
        let is_ahead = last.is_none_or(|last| last.log_index < info.last.log_index);
        if reader.point(info.last.log_index) == Some(info.last) {
            if let Some(checkpoint) = checkpoints.load(info.last)? {
                return Ok((Some(checkpoint), None, has_shrunk));
            }
        } else if info.keep == Keep::Installed && is_purgeable(reader, info.last) {
            if let Some(checkpoint) = checkpoints.load(info.last)? {
                return Ok((None, Some(checkpoint), has_shrunk));
            }
        } else if is_ahead {
            tracing::warn!(checkpoint = %info.last, ?last, "dropping a checkpoint that the log does not reach");
            has_shrunk |= info.keep != Keep::Installed;
            checkpoints.remove(info.last)?;
        } else if reader.purged().is_none_or(|purged| purged.log_index < info.last.log_index) {
            tracing::warn!(checkpoint = %info.last, "dropping a checkpoint of an entry that the log does not have");
            checkpoints.remove(info.last)?;
        }
    }
    Ok((None, None, has_shrunk))
}

/// Whether the log may restart behind `last`: nothing committed here contradicts it.
fn is_purgeable(reader: &LogReader, last: LogPoint) -> bool {
    reader.committed().is_none_or(|committed| committed.log_index < last.log_index)
}

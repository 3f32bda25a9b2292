//! Opening: finding the end of the log, and refusing to guess where something may have been committed.
//!
//! What lies behind the first bad entry is cut without a word only if it is a torn tail: bytes that were never
//! reported as durable, damaged by a loss of power. Anything else is a hole in what was on disk. A log that other
//! nodes hold too is cut there and fenced, so that it is fetched again before it counts for anything; one that stands
//! alone is refused, for a person to look at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, Platform};

use super::evidence::{Evidence, Evidences};
use super::flush::Flusher;
use super::helper::Helper;
use super::records::{self, EndsRecord, PurgeRecord, RunRecord};
use super::scan::{BadEntry, Before, Leftover, SegmentEnd, first_of, look_behind, scan_segment};
use super::seal::Sealer;
use super::shared::{Part, Shared, State};
use super::tail::wipe;
use super::{CommitLog, ENTRY_HEAD_BYTES, EntryKind, LogOptions, LogReader, OpenError, Recovery};
use crate::checkpoint::{Checkpoint, Checkpoints, Keep, SealState};
use crate::lock::DirLock;
use crate::log_index::{SegmentIndex, decode_sidecar, encode_sidecar, sidecar_path};
use crate::segment::{Segment, TRAILER_BYTES};
use crate::slot::{SlotError, SlotFile};
use crate::{CommitlogOffset, LogPoint};

const SEGMENT_BYTES_UNIT: u64 = 4096;
const SEGMENT_BYTES_MAX: u64 = 2 << 30;
/// After a kill the page cache is whole, so a lost entry can only be followed by its own batch.
const LOOK_BEHIND_BYTES: u64 = 64 << 20;
/// Entries are read in pieces of this size to count their queue offsets.
const OBSERVE_BYTES: u64 = 4 << 20;

/// What is known before the first segment is read.
struct Known {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    purge: PurgeRecord,
    ends: EndsRecord,
    /// Everything below is on disk, says a checkpoint of our own.
    checkpointed: u64,
    /// The machine has not lost power since the last run, so the page cache is as it was.
    is_same_boot: bool,
    /// What is cut can be fetched again.
    has_peers: bool,
}

/// The log as found on disk.
struct Scanned {
    parts: Vec<Part>,
    last: Option<LogPoint>,
    end: u64,
    /// Why the log does not go on at `end`.
    reason: BadEntry,
    /// Files behind the one with the end.
    behind: Vec<u64>,
    /// The newest proof of how far the log was on disk.
    evidence: Option<Evidence>,
}

/// What lies behind the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    Clean,
    /// What was never reported durable, damaged by a loss of power; up to this offset.
    Torn { until: u64 },
    /// What was on disk, and may have been acknowledged.
    Hole,
}

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

    let scanned = known.scan()?;
    let (evidence, evidences) = (scanned.evidence, Evidences::behind(scanned.evidence));
    let tail = known.judge_tail(&scanned)?;
    if tail == Tail::Hole && !maybe_forgot {
        maybe_forgot = true;
        raise_fence(&mut run_slot, run.as_ref(), &options)?;
    }
    let cut_bytes = known.cut_tail(&scanned, tail)?;
    let state = known.state(scanned)?;
    let flushed = state.appended;
    if evidence.is_some_and(|evidence| evidence.flushed > flushed) {
        let segment = &state.tail().segment;
        evidences.write(segment, || flushed).and_then(|()| segment.sync()).map_err(io_at(segment.path()))?;
    }
    let record = EndsRecord { committed: state.committed, flushed };
    records::write(&mut ends_slot, &record, true).map_err(io_at(ends_slot.path()))?;

    let shared = Arc::new(Shared::new(disk, dir, options.segment_bytes, state, flushed, evidences));
    let reader = LogReader { shared: Arc::clone(&shared) };
    let (base, ahead, has_shrunk) = choose_checkpoint(&reader, checkpoints)?;
    let sealer = match &ahead {
        Some(ahead) => Sealer::new(&ahead.seal), // the log restarts behind it
        None => count_units(&reader, base.as_ref())?,
    };
    let maybe_forgot = maybe_forgot || has_shrunk;
    let run = RunRecord::begun(boot_id, options.flush, options.segment_bytes, maybe_forgot);
    records::write(&mut run_slot, &run, true).map_err(io_at(run_slot.path()))?;

    let flusher = Flusher::start(&shared, &platform.clock, options.flush, options.helpers)
        .map_err(io_at(&options.dir))?;
    let helper = Helper::start(&shared, options.helpers).map_err(io_at(&options.dir))?;
    let clock = Arc::clone(&platform.clock);
    let mut log = CommitLog {
        shared,
        options,
        clock,
        sealer,
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

fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_path_buf();
    move |source| OpenError::Io { path: path.clone(), source }
}

impl Known {
    fn read(
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

    /// A restart behind a checkpoint was under way: there is no log.
    fn finish_reset(&mut self, purge_slot: &mut SlotFile, ends_slot: &mut SlotFile) -> Result<(), OpenError> {
        if !self.purge.is_resetting {
            return Ok(());
        }
        wipe(&*self.disk, &self.dir).map_err(io_at(&self.dir))?;
        self.ends = EndsRecord { committed: self.purge.purged, flushed: self.purge.min };
        records::write(ends_slot, &self.ends, true).map_err(io_at(ends_slot.path()))?;
        self.purge.is_resetting = false;
        records::write(purge_slot, &self.purge, true).map_err(io_at(purge_slot.path()))
    }

    /// Reads all segments up to the first bad entry.
    fn scan(&self) -> Result<Scanned, OpenError> {
        let bases = self.list_segments()?;
        let mut before = Before { last: self.purge.purged, is_purged: self.purge.purged.is_some() };
        let mut parts: Vec<Part> = Vec::new();
        let mut end = self.purge.min;
        let mut reason = BadEntry::Blank;
        let mut evidence = None;
        let mut next = 0;
        while let Some(base) = bases.get(next).copied() {
            if parts.last().is_some_and(|part| part.segment.limit() != base) {
                break; // a gap: what is behind it is looked at later
            }
            next += 1;
            let is_last = bases.get(next).is_none_or(|following| *following != base + self.segment_bytes);
            let segment = self.open_segment(base)?;
            evidence = evidence.max(evidence_of(&segment)?);
            let (index, segment_end) = self.scan_one(&segment, is_last, &mut before)?;
            if index.last().is_some() || parts.is_empty() {
                end = index.end();
            }
            let has_entries = index.last().is_some();
            match segment_end {
                SegmentEnd::Full => parts.push(Part { segment, index }),
                SegmentEnd::Bad { offset, reason: why } => {
                    // An empty segment behind a filler is no place to end: the filler goes, and it with it. But
                    // the log ends here if the one before is full to its last byte.
                    if has_entries || parts.is_empty() || end == base {
                        parts.push(Part { segment, index });
                    } else {
                        next -= 1;
                    }
                    assert!(offset >= end, "the log ends at {end}, and goes on until {offset}");
                    reason = why;
                    break;
                }
            }
        }
        for base in &bases[next..] {
            evidence = evidence.max(evidence_of(&self.open_segment(*base)?)?);
        }
        Ok(Scanned { parts, last: before.last, end, reason, behind: bases[next..].to_vec(), evidence })
    }

    /// The index of one segment: from its sidecar, or by reading it.
    fn scan_one(
        &self,
        segment: &Arc<Segment>,
        is_last: bool,
        before: &mut Before,
    ) -> Result<(SegmentIndex, SegmentEnd), OpenError> {
        let failed = io_at(segment.path());
        // Above the newest checkpoint everything is applied again, and so read in any case.
        let is_applied = segment.limit() <= self.checkpointed;
        if !is_last
            && is_applied
            && let Some(index) = self.read_sidecar(segment, before).map_err(&failed)?
        {
            *before = Before { last: index.last(), is_purged: false };
            return Ok((index, SegmentEnd::Full));
        }
        let mut index = SegmentIndex::new(segment.base().max(self.purge.min));
        let trusted = self.checkpointed.min(self.ends.flushed);
        let end = scan_segment(segment, &mut index, before, trusted).map_err(failed)?;
        Ok((index, end))
    }

    fn read_sidecar(&self, segment: &Segment, before: &Before) -> io::Result<Option<SegmentIndex>> {
        let path = sidecar_path(&self.dir, segment.base());
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let file = self.disk.open(&path, platform::OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let Some(index) = decode_sidecar(&bytes, segment.base()) else {
            tracing::warn!(path = %path.display(), "damaged sidecar, reading the segment instead");
            return Ok(None);
        };
        let (Some(first), Some(last)) = (index.first(), index.last()) else { return Ok(None) };
        let follows = match before.last {
            // The purge point may lie in the middle of this segment.
            Some(purged) if before.is_purged => first.log_index <= purged.log_index + 1 && purged <= last,
            _ => before.check(first).is_ok(),
        };
        Ok(follows.then_some(index))
    }

    fn open_segment(&self, base: u64) -> Result<Arc<Segment>, OpenError> {
        let opened = Segment::open(&*self.disk, &self.dir, base, self.segment_bytes);
        Ok(Arc::new(opened.map_err(io_at(&Segment::path_in(&self.dir, base)))?))
    }

    /// The bases of all segments that may hold entries, in order.
    fn list_segments(&self) -> Result<Vec<u64>, OpenError> {
        let mut bases = Vec::new();
        for path in self.disk.list(&self.dir).map_err(io_at(&self.dir))? {
            let Some(base) = segment_base(&path) else { continue };
            let file = self.disk.open(&path, platform::OpenMode::Read).map_err(io_at(&path))?;
            let found = file.len().map_err(io_at(&path))?;
            if !base.is_multiple_of(self.segment_bytes) || found > self.segment_bytes + TRAILER_BYTES {
                return Err(OpenError::SegmentBytes { path, found, configured: self.segment_bytes });
            }
            // Shorter: the power went off while it was made, before any entry. Purged: it was being removed.
            if found >= self.segment_bytes && base + self.segment_bytes > self.purge.min {
                bases.push(base);
            }
        }
        if let Some(first) = bases.first()
            && *first > self.purge.min
        {
            let missing = self.purge.min - self.purge.min % self.segment_bytes;
            return Err(OpenError::Missing { path: Segment::path_in(&self.dir, missing), following: *first });
        }
        Ok(bases)
    }

    /// Decides whether what is behind the end is a torn tail or a hole in what was on disk.
    fn judge_tail(&self, scanned: &Scanned) -> Result<Tail, OpenError> {
        let Scanned { end, reason, .. } = scanned;
        let proved = scanned.evidence.map_or(0, |evidence| evidence.flushed);
        let flushed = self.ends.flushed.max(proved);
        if *end < flushed {
            return self.hole(scanned, self.damaged_below(scanned, flushed));
        }
        let (leftover, later_segment) = self.look_behind(scanned)?;
        let is_clean = *reason == BadEntry::Blank && leftover.strays == 0 && later_segment.is_none();
        if is_clean {
            return Ok(Tail::Clean);
        }
        if let Some(later) = leftover.later.or(later_segment)
            && self.is_same_boot
        {
            let (path, at) = self.place_of_end(scanned);
            let (offset, reason) = (CommitlogOffset(*end), reason.clone());
            return self.hole(scanned, OpenError::DamagedBeforeLater { path, at, offset, later, reason });
        }
        if *end < self.checkpointed {
            return self.hole(scanned, self.damaged_below(scanned, self.checkpointed));
        }
        Ok(Tail::Torn { until: leftover.end })
    }

    /// What may have been acknowledged is missing: others have it, or nobody may go on.
    fn hole(&self, scanned: &Scanned, error: OpenError) -> Result<Tail, OpenError> {
        if !self.has_peers {
            return Err(error);
        }
        tracing::error!(
            last = ?scanned.last, end = scanned.end, %error,
            "the log is damaged: it is cut there, and what follows is fetched again from the other nodes"
        );
        Ok(Tail::Hole)
    }

    fn damaged_below(&self, scanned: &Scanned, flushed: u64) -> OpenError {
        let (path, at) = self.place_of_end(scanned);
        OpenError::DamagedBelowFlushed {
            path,
            at,
            offset: CommitlogOffset(scanned.end),
            flushed: CommitlogOffset(flushed),
            reason: scanned.reason.clone(),
        }
    }

    /// The file in which the log ends, and where in it.
    fn place_of_end(&self, scanned: &Scanned) -> (PathBuf, u64) {
        let end = scanned.end;
        let path = scanned.parts.last().map_or_else(
            || Segment::path_in(&self.dir, end - end % self.segment_bytes),
            |part| part.segment.path().to_path_buf(),
        );
        (path, end % self.segment_bytes)
    }

    /// Clears what lies behind the end, and returns its size.
    fn cut_tail(&self, scanned: &Scanned, tail: Tail) -> Result<u64, OpenError> {
        let Scanned { end, last, reason, .. } = scanned;
        let until = match tail {
            Tail::Clean => return Ok(0),
            Tail::Torn { until } => until,
            Tail::Hole => match scanned.parts.last() {
                Some(part) => {
                    let found = look_behind(&part.segment, *end, u64::MAX, *last);
                    found.map_err(io_at(part.segment.path()))?.end
                }
                None => *end,
            },
        };
        let (path, at) = self.place_of_end(scanned);
        if let Some(part) = scanned.parts.last() {
            clear(&part.segment, *end, until).map_err(io_at(&path))?;
        }
        let cut_bytes = until - end;
        if tail != Tail::Hole {
            tracing::warn!(path = %path.display(), at, ?last, cut_bytes, %reason, "cut a torn tail");
        }
        Ok(cut_bytes)
    }

    /// What lies behind the end, in its segment and in later ones.
    fn look_behind(&self, scanned: &Scanned) -> Result<(Leftover, Option<LogPoint>), OpenError> {
        let bytes_max = if self.is_same_boot { LOOK_BEHIND_BYTES } else { u64::MAX };
        let leftover = match scanned.parts.last() {
            Some(part) => look_behind(&part.segment, scanned.end, bytes_max, scanned.last)
                .map_err(io_at(part.segment.path()))?,
            None => Leftover { end: scanned.end, ..Leftover::default() },
        };
        for base in &scanned.behind {
            let segment = self.open_segment(*base)?;
            if let Some(later) = first_of(&segment, scanned.last).map_err(io_at(segment.path()))? {
                return Ok((leftover, Some(later)));
            }
        }
        Ok((leftover, None))
    }

    /// Makes the log that was found the log that is, with everything in it on disk.
    fn state(&self, scanned: Scanned) -> Result<State, OpenError> {
        let Scanned { mut parts, last, end, behind, evidence, .. } = scanned;
        let flushed = evidence.map_or(0, |evidence| evidence.flushed).max(self.ends.flushed);
        for path in self.disk.list(&self.dir).map_err(io_at(&self.dir))? {
            let base = segment_base(&path).or_else(|| segment_base(&path.with_extension("")));
            if base.is_some_and(|base| parts.iter().all(|part| part.segment.base() != base)) {
                self.disk.remove_file(&path).map_err(io_at(&path))?;
            }
        }
        tracing::debug!(?behind, "segments behind the end are gone");
        self.disk.sync_dir(&self.dir).map_err(io_at(&self.dir))?;
        if parts.is_empty() {
            let base = end - end % self.segment_bytes;
            let segment = Segment::create(&*self.disk, &self.dir, base, self.segment_bytes)
                .map_err(io_at(&Segment::path_in(&self.dir, base)))?;
            parts.push(Part { segment: Arc::new(segment), index: SegmentIndex::new(end) });
        }
        for part in &parts {
            let from = flushed.max(part.segment.base());
            rewrite(&part.segment, from, part.index.end()).map_err(io_at(part.segment.path()))?;
        }
        self.secure(&mut parts)?;
        let mut state = State {
            segments: parts.into(),
            purged: self.purge.purged,
            min: self.purge.min,
            committed: self.purge.purged,
            committed_end: self.purge.min,
            appended: end,
            last,
        };
        // What was saved as committed may lie beyond a torn tail.
        if let Some(committed) = self.ends.committed
            && let Some(last) = state.last_retained()
            && let Some(point) = state.point(committed.log_index.min(last.log_index))
            && state.committed.is_none_or(|purged| purged.log_index < point.log_index)
        {
            state.committed = Some(point);
            state.committed_end = end_of(&state, point.log_index).map_err(io_at(&self.dir))?;
        }
        Ok(state)
    }

    /// Syncs what may only be in the page cache, seals all segments but the last, and makes that one exact.
    fn secure(&self, parts: &mut [Part]) -> Result<(), OpenError> {
        let Some((tail, sealed)) = parts.split_last_mut() else { return Ok(()) };
        for part in sealed {
            let path = sidecar_path(&self.dir, part.segment.base());
            if self.disk.exists(&path) && !part.index.is_exact() {
                continue; // only written after a sync
            }
            part.segment.sync().map_err(io_at(part.segment.path()))?;
            part.index.seal();
            if part.index.first().is_some()
                && let Some(bytes) = encode_sidecar(part.segment.base(), &part.index)
            {
                let written = self.disk.open(&path, platform::OpenMode::Create).and_then(|file| {
                    file.set_len(bytes.len() as u64)?;
                    file.write_all_at(&[io::IoSlice::new(&bytes)], 0)
                });
                if let Err(error) = written {
                    tracing::warn!(path = %path.display(), %error, "no sidecar: the next start reads the segment");
                }
            }
        }
        tail.index = tail.index.exact(&tail.segment).map_err(io_at(tail.segment.path()))?;
        tail.segment.sync().map_err(io_at(tail.segment.path()))?;
        let sidecar = sidecar_path(&self.dir, tail.segment.base());
        if self.disk.exists(&sidecar) {
            self.disk.remove_file(&sidecar).map_err(io_at(&sidecar))?;
            self.disk.sync_dir(&self.dir).map_err(io_at(&self.dir))?;
        }
        Ok(())
    }
}

fn end_of(state: &State, log_index: u64) -> io::Result<u64> {
    let at = state.part_of(log_index).expect("a point of the log lies in a segment");
    let part = &state.segments[at];
    let mut start = part.index.start_of(log_index);
    loop {
        let head = crate::log_index::read_head(&part.segment, start.offset)?;
        if head.log_index >= log_index {
            return Ok(head.end().0);
        }
        start.offset = head.end().0;
    }
}

/// Writes the bytes of `from..until` once more, to be synced by the caller. A sync that failed leaves pages that look
/// written and are not on disk, and another sync would not write them.
fn rewrite(segment: &Segment, from: u64, until: u64) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 20];
    let mut at = from;
    while at < until {
        let piece = (until - at).min(bytes.len() as u64) as usize;
        segment.read(at, &mut bytes[..piece])?;
        segment.write(at, &[io::IoSlice::new(&bytes[..piece])])?;
        at += piece as u64;
    }
    Ok(())
}

/// Zeroes `from..until`, and the place of a header at `from` in any case, so that nothing there is taken up again.
fn clear(segment: &Segment, from: u64, until: u64) -> io::Result<()> {
    let zeroes = vec![0; 1 << 20];
    let until = until.max(from + ENTRY_HEAD_BYTES as u64).min(segment.limit());
    let mut at = from;
    while at < until {
        let bytes = (until - at).min(zeroes.len() as u64);
        segment.write(at, &[io::IoSlice::new(&zeroes[..bytes as usize])])?;
        at += bytes;
    }
    segment.sync()
}

fn segment_base(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let is_base = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_base.then(|| name.parse().ok()).flatten()
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

/// Counts queue offsets from the checkpoint to the end of the log.
fn count_units(reader: &LogReader, base: Option<&Checkpoint>) -> Result<Sealer, OpenError> {
    let empty = SealState::default();
    let mut sealer = Sealer::new(base.map_or(&empty, |base| &base.seal));
    let (Some(first), Some(last)) = (reader.first_index(), reader.last()) else { return Ok(sealer) };
    let mut next = base.map_or(first, |base| base.last.log_index + 1).max(first);
    while next <= last.log_index {
        let entries = reader.entries(next..last.log_index + 1, OBSERVE_BYTES)?;
        for entry in &entries {
            let log_index = entry.head.log_index;
            entry.verify().map_err(|source| OpenError::Entry { log_index, source })?;
            if entry.head.kind == EntryKind::Units {
                let at = entry.head.offset.0 + ENTRY_HEAD_BYTES as u64;
                sealer
                    .observe(log_index, &entry.payload(), at, entry.head.unit_count)
                    .map_err(|source| OpenError::Units { log_index, source })?;
            }
        }
        assert!(!entries.is_empty(), "entry {next} is in the index and cannot be read");
        next += entries.len() as u64;
    }
    if let Some(committed) = reader.committed() {
        sealer.settle(committed.log_index);
    }
    Ok(sealer)
}

/// What a segment tells of how far the log was synced.
fn evidence_of(segment: &Arc<Segment>) -> Result<Option<Evidence>, OpenError> {
    Evidence::read(segment).map_err(io_at(segment.path()))
}

//! Opening: finding the end of the log, and refusing to guess where something may have been committed.
//!
//! What lies behind the first bad entry is cut without a word only if it is a torn tail: bytes that were never
//! reported as durable, damaged by a loss of power. Anything else is a hole in what was on disk. In a log that other
//! nodes hold too it is kept as one, with all that is intact behind it ([`super::bridge`]), or, if it is not known what
//! is missing, the log is cut there and fenced, so that it is fetched again before it counts for anything. A log that
//! stands alone is refused, for a person to look at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platform::{Disk, Platform};

use super::bridge::{Around, Bridge};
use super::evidence::{Evidence, Evidences};
use super::flush::Flusher;
use super::helper::Helper;
use super::judge::Tail;
use super::records::{self, EndsRecord, PurgeRecord, RunRecord};
use super::recount::Recount;
use super::scan::{BadEntry, Before, SegmentEnd, first_of, scan_segment};
use super::seal::Sealer;
use super::shared::{Part, Shared, State};
use super::tail::wipe;
use super::{CommitLog, LogOptions, LogReader, OpenError, Recovery};
use crate::LogPoint;
use crate::checkpoint::{Checkpoint, Checkpoints, Keep};
use crate::lock::DirLock;
use crate::log_index::{SegmentIndex, decode_sidecar, encode_sidecar, sidecar_path};
use crate::segment::{Segment, TRAILER_BYTES};
use crate::slot::{SlotError, SlotFile};

const SEGMENT_BYTES_UNIT: u64 = 4096;
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// What is known before the first segment is read.
pub(super) struct Known {
    disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    purge: PurgeRecord,
    ends: EndsRecord,
    /// Everything below is on disk, says a checkpoint of our own.
    pub(super) checkpointed: u64,
    /// The machine has not lost power since the last run, so the page cache is as it was.
    pub(super) is_same_boot: bool,
    /// What is cut can be fetched again.
    pub(super) has_peers: bool,
}

/// The log as found on disk.
pub(super) struct Scanned {
    pub(super) parts: Vec<Part>,
    pub(super) last: Option<LogPoint>,
    pub(super) end: u64,
    /// Why the log does not go on at `end`.
    pub(super) reason: BadEntry,
    /// Files behind the one with the end.
    pub(super) behind: Vec<u64>,
    /// The newest proof of how far the log was on disk.
    pub(super) evidence: Option<Evidence>,
    /// Entries that cannot be read though others behind them can.
    holes: Holes,
}

/// Entries that keep their place in the log, and have to be fetched from another node: where each hole begins, and how it
/// showed.
type Holes = Vec<(u64, BadEntry)>;

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

    let mut scanned = known.scan()?;
    let holes = std::mem::take(&mut scanned.holes);
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
        let mut evidence = None;
        for base in &bases {
            evidence = evidence.max(evidence_of(&self.open_segment(*base)?)?);
        }
        let proved = self.flushed(evidence).max(self.checkpointed);
        let mut holes = Holes::default();
        let mut before = Before { last: self.purge.purged, is_purged: self.purge.purged.is_some() };
        let mut parts: Vec<Part> = Vec::new();
        let mut end = self.purge.min;
        let mut reason = BadEntry::Blank;
        let mut next = 0;
        while let Some(base) = bases.get(next).copied() {
            if parts.last().is_some_and(|part| part.segment.limit() != base) {
                break; // a gap: what is behind it is looked at later
            }
            next += 1;
            let is_last = bases.get(next).is_none_or(|following| *following != base + self.segment_bytes);
            let segment = self.open_segment(base)?;
            let following = bases.get(next).filter(|_| !is_last).copied();
            let (index, segment_end) = self.scan_one(&segment, following, &mut before, proved, &mut holes)?;
            if index.last().is_some() || parts.is_empty() {
                end = index.end();
            }
            let has_entries = index.last().is_some();
            match segment_end {
                SegmentEnd::Full => parts.push(Part { segment, index }),
                SegmentEnd::Bad { offset, reason: why } => {
                    // An empty segment behind a filler is not a place to end: the filler goes, and it with it. But
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
        let behind = bases[next..].to_vec();
        Ok(Scanned { parts, last: before.last, end, reason, behind, evidence, holes })
    }

    /// Below it everything was on disk, say the records of this log.
    pub(super) fn flushed(&self, evidence: Option<Evidence>) -> u64 {
        self.ends.flushed.max(evidence.map_or(0, |evidence| evidence.flushed))
    }

    /// The index of one segment: from its sidecar, or by reading it.
    fn scan_one(
        &self,
        segment: &Arc<Segment>,
        following: Option<u64>,
        before: &mut Before,
        proved: u64,
        holes: &mut Holes,
    ) -> Result<(SegmentIndex, SegmentEnd), OpenError> {
        let failed = io_at(segment.path());
        // Above the newest checkpoint everything is applied again, and so read in any case.
        let is_applied = segment.limit() <= self.checkpointed;
        if following.is_some()
            && is_applied
            && let Some(index) = self.read_sidecar(segment, before).map_err(&failed)?
        {
            *before = Before { last: index.last(), is_purged: false };
            return Ok((index, SegmentEnd::Full));
        }
        let mut index = SegmentIndex::new(segment.base().max(self.purge.min));
        let trusted = self.checkpointed.min(self.ends.flushed);
        loop {
            let end = scan_segment(segment, &mut index, before, trusted).map_err(&failed)?;
            let SegmentEnd::Bad { offset, reason } = &end else { return Ok((index, end)) };
            // Above what is proved to have been on disk, only a machine that has not lost power since proves anything.
            let bridge = if self.has_peers && (*offset < proved || self.is_same_boot) {
                self.bridge_at(segment, following, before, *offset, proved)?
            } else {
                None
            };
            let hole = match bridge {
                None => return Ok((index, end)),
                Some(Bridge::Healed(point)) => {
                    let at = offset - segment.base();
                    tracing::warn!(
                        path = %segment.path().display(), at, %point, %reason,
                        "the header of this entry was damaged: it is put right, and its checksum agrees"
                    );
                    continue;
                }
                Some(Bridge::Hole(hole)) => hole,
            };
            let last = LogPoint { log_index: hole.first.log_index + hole.count - 1, ..hole.first };
            tracing::error!(
                path = %segment.path().display(), at = offset - segment.base(), first_index = hole.first.log_index,
                last_index = last.log_index, %reason,
                "the log is damaged: these entries are fetched from another node, and nothing behind them is cut"
            );
            index.push_unread(hole.first, hole.count, *offset, hole.end);
            *before = Before { last: Some(last), is_purged: false };
            holes.push((*offset, reason.clone()));
        }
    }

    /// How the log goes on behind what is wrong at `offset`, if that is known.
    fn bridge_at(
        &self,
        segment: &Arc<Segment>,
        following: Option<u64>,
        before: &Before,
        offset: u64,
        proved: u64,
    ) -> Result<Option<Bridge>, OpenError> {
        let failed = io_at(segment.path());
        let next_segment = match following {
            Some(base) => first_of(&self.open_segment(base)?, before.last).map_err(&failed)?,
            None => None,
        };
        let is_torn_above = !self.is_same_boot;
        let around = Around { segment, offset, before, next_segment, proved, is_torn_above };
        around.bridge().map_err(&failed)
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

    pub(super) fn open_segment(&self, base: u64) -> Result<Arc<Segment>, OpenError> {
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
    if let (_, Some(end)) = part.index.known_place(log_index) {
        return Ok(end);
    }
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

/// What a segment tells of how far the log was synced.
fn evidence_of(segment: &Arc<Segment>) -> Result<Option<Evidence>, OpenError> {
    Evidence::read(segment).map_err(io_at(segment.path()))
}

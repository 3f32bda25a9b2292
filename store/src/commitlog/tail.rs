//! Moving the ends: truncation, purge, commit, and the restart behind a received checkpoint.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use platform::Disk;

use super::helper::Purged;
use super::layout::ENTRY_HEAD_BYTES;
use super::records::{self, EndsRecord, PurgeRecord};
use super::seal::Sealer;
use super::shared::{Part, State};
use super::{CommitLog, LogReader};
use crate::checkpoint::Checkpoint;
use crate::log_index::{SegmentIndex, sidecar_path};
use crate::segment::Segment;
use crate::{LogPoint, sync};

/// What a truncation takes away of one segment.
struct Cut {
    segment: Arc<Segment>,
    /// Where headers begin that must never be read again, oldest first.
    heads: Vec<u64>,
}

impl CommitLog {
    pub(super) fn truncate(&mut self, last_kept: Option<u64>) -> io::Result<()> {
        let Some(first_dropped) = self.first_behind(last_kept) else { return Ok(()) };
        // Everybody who waits for a flush is told before the bytes go, and the flusher holds none of them.
        let appended = self.appended();
        self.flusher.rest(appended)?;
        let reader = self.reader();
        let place = reader.begin_of(first_dropped).map_err(io::Error::other)?;
        let end = place.expect("an entry behind the kept ones exists");
        // The place of the first dropped entry may be the beginning of a segment; the log ends where the entry
        // before it does, so that a filler between them goes too.
        let end = self.end_before(first_dropped).unwrap_or(end);
        {
            let state = sync::read(&self.shared.state);
            assert!(
                state.committed_end <= end,
                "truncate to {end}, but committed to {}",
                state.committed_end
            );
            assert!(end <= state.appended, "truncate to {end}, but the log ends at {}", state.appended);
        }
        tracing::info!(first_dropped, end, appended, "truncating");
        self.truncate_at(first_dropped, end)
    }

    /// A crash between any two steps leaves a shorter log, or the old one:
    /// 1. The flushed end on disk goes back, and so does what is proved: what is above may be damaged from now on.
    /// 2. Sidecars that describe dropped entries go.
    /// 3. Headers are zeroed, the last one first, and synced: no later start can take a dropped entry up again
    ///    behind new ones of the same size. All of a header: the first bytes of a new one that was torn, of the
    ///    same size, would make up for those that are missing of an old one.
    fn truncate_at(&mut self, first_dropped: u64, end: u64) -> io::Result<()> {
        let committed = sync::read(&self.shared.state).committed;
        records::write(&mut self.ends_slot, &EndsRecord { committed, flushed: end }, true)?;
        let (cuts, removed) = self.cut_state(first_dropped, end)?;
        self.shared.flushed.store(end, Ordering::Release);
        if let Some(tail) = cuts.first() {
            self.shared.evidences.write(&tail.segment, || end)?;
            tail.segment.sync()?;
        }
        self.sealer.undo_from(first_dropped);
        let dir = self.shared.dir.clone();
        for cut in &cuts {
            let sidecar = sidecar_path(&dir, cut.segment.base());
            if self.shared.disk.exists(&sidecar) {
                self.shared.disk.remove_file(&sidecar)?;
            }
        }
        self.shared.disk.sync_dir(&dir)?;
        for cut in cuts.iter().rev() {
            for offset in cut.heads.iter().rev() {
                let bytes = (cut.segment.limit() - offset).min(ENTRY_HEAD_BYTES as u64) as usize;
                cut.segment.write(*offset, &[IoSlice::new(&[0; ENTRY_HEAD_BYTES][..bytes])])?;
            }
            cut.segment.sync()?;
        }
        self.shared.remove_segments(&removed);
        Ok(())
    }

    /// Takes the entries from `first_dropped` on out of readers' sight.
    fn cut_state(&mut self, first_dropped: u64, end: u64) -> io::Result<(Vec<Cut>, Vec<u64>)> {
        let mut state = sync::write(&self.shared.state);
        let tail_at = state.segments.iter().rposition(|part| part.segment.base() <= end).unwrap_or(0);
        let last_kept = first_dropped.checked_sub(1);
        let mut cuts = Vec::new();
        let parts = state.segments.len();
        for at in tail_at..parts {
            let part = &mut state.segments[at];
            let filler = part.index.end();
            part.index = part.index.exact(&part.segment)?;
            let base = part.segment.base();
            let mut heads = part.index.truncate(last_kept, end.max(base));
            if at + 1 < parts && filler < part.segment.limit() {
                heads.push(filler);
            }
            cuts.push(Cut { segment: Arc::clone(&part.segment), heads });
        }
        let removed = state.segments.drain(tail_at + 1..).map(|part| part.segment.base()).collect();
        sync::lock(&self.shared.last_stored_ms).retain(|base, _| base + self.shared.segment_bytes <= end);
        state.appended = end;
        state.last = state.point_before(first_dropped);
        Ok((cuts, removed))
    }

    /// The first entry behind `last_kept`; `None` if there is none.
    fn first_behind(&self, last_kept: Option<u64>) -> Option<u64> {
        let state = sync::read(&self.shared.state);
        let (first, last) = (state.first_index()?, state.last?);
        let first_dropped = last_kept.map_or(first, |kept| first.max(kept + 1));
        (first_dropped <= last.log_index).then_some(first_dropped)
    }

    /// Where the entry before `log_index` ends, if it is not purged.
    fn end_before(&self, log_index: u64) -> Option<u64> {
        let place = self.reader().position(log_index.checked_sub(1)?).ok().flatten()?;
        Some(place.offset.0 + u64::from(place.entry_bytes))
    }

    pub(super) fn purge(&mut self, upto: LogPoint) -> io::Result<()> {
        let reader = self.reader();
        if reader.purged().is_some_and(|purged| purged.log_index >= upto.log_index) {
            return Ok(());
        }
        let next = reader.begin_of(upto.log_index + 1).map_err(io::Error::other)?;
        let min = next.unwrap_or_else(|| self.appended());
        let record = PurgeRecord { purged: Some(upto), min, is_resetting: false };
        // The helper syncs it before it removes anything.
        records::write(&mut self.purge_slot, &record, false)?;
        let mut removed = Vec::new();
        {
            let mut state = sync::write(&self.shared.state);
            state.purged = Some(upto);
            state.min = min;
            state.committed_end = state.committed_end.max(min);
            if state.committed.is_none_or(|committed| committed.log_index < upto.log_index) {
                state.committed = Some(upto);
            }
            if state.last.is_none_or(|last| last.log_index < upto.log_index) {
                state.last = Some(upto);
            }
            while state.segments.len() > 1
                && state.segments[0].index.last().is_none_or(|last| last.log_index <= upto.log_index)
            {
                removed.extend(state.segments.pop_front().map(|part| part.segment.base()));
            }
            // An empty log goes on at any index.
            if let Some(tail) = state.segments.back_mut()
                && tail.index.last().is_some_and(|last| last.log_index <= upto.log_index)
            {
                tail.index = SegmentIndex::new(min);
            }
        }
        self.sealer.settle(upto.log_index);
        tracing::info!(%upto, min, segments = removed.len(), "purged");
        self.helper.purged(Purged { upto, record: self.purge_slot.file(), bases: removed });
        Ok(())
    }

    pub(super) fn commit(&mut self, log_index: u64) -> io::Result<()> {
        let reader = self.reader();
        let Some(last) = sync::read(&self.shared.state).last_retained() else { return Ok(()) };
        let log_index = log_index.min(last.log_index);
        if reader.committed().is_some_and(|committed| log_index <= committed.log_index) {
            return Ok(());
        }
        let (point, end) = match reader.position(log_index) {
            Ok(Some(place)) => (place.point, place.offset.0 + u64::from(place.entry_bytes)),
            Ok(None) => return Ok(()),
            // A header on the way is damaged. What is committed may lag: until it is mended, or passed by.
            Err(_) => match sync::read(&self.shared.state).known_end_below(log_index) {
                Some(known) => known,
                None => return Ok(()),
            },
        };
        if reader.committed().is_some_and(|committed| point.log_index <= committed.log_index) {
            return Ok(());
        }
        let record = EndsRecord { committed: Some(point), flushed: self.shared.flushed() };
        records::write(&mut self.ends_slot, &record, false)?;
        self.sealer.settle(point.log_index);
        let mut state = sync::write(&self.shared.state);
        state.committed = Some(point);
        state.committed_end = end;
        Ok(())
    }

    pub(super) fn follow(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let reader = self.reader();
        let is_purged = reader.purged().is_some_and(|purged| purged.log_index >= checkpoint.last.log_index);
        if is_purged {
            return Ok(());
        }
        if reader.point(checkpoint.last.log_index) == Some(checkpoint.last) {
            return self.purge(checkpoint.last);
        }
        if let Some(committed) = reader.committed()
            && committed.log_index >= checkpoint.last.log_index
        {
            return Err(io::Error::other(format!(
                "a checkpoint after {} contradicts the log, which is committed to {committed}",
                checkpoint.last
            )));
        }
        tracing::info!(last = %checkpoint.last, min = %checkpoint.next_offset, "restarting the log behind a checkpoint");
        let appended = self.appended();
        self.flusher.rest(appended)?;
        self.helper.forget();
        self.restart_at(checkpoint)
    }

    /// A crash between any two steps finds the first record, and does them again.
    fn restart_at(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let min = checkpoint.next_offset.0;
        let mut record = PurgeRecord { purged: Some(checkpoint.last), min, is_resetting: true };
        records::write(&mut self.purge_slot, &record, true)?;
        let fresh = {
            let _files = sync::lock(&self.shared.files);
            wipe(&*self.shared.disk, &self.shared.dir)?;
            let base = min - min % self.shared.segment_bytes;
            let segment =
                Segment::create(&*self.shared.disk, &self.shared.dir, base, self.shared.segment_bytes)?;
            State::empty_at(Arc::new(segment), Some(checkpoint.last), min)
        };
        records::write(
            &mut self.ends_slot,
            &EndsRecord { committed: Some(checkpoint.last), flushed: min },
            true,
        )?;
        record.is_resetting = false;
        records::write(&mut self.purge_slot, &record, true)?;
        *sync::write(&self.shared.state) = fresh;
        *sync::lock(&self.shared.purged_on_disk) = Some(checkpoint.last);
        sync::lock(&self.shared.last_stored_ms).clear();
        sync::lock(&self.shared.damage).clear();
        self.shared.flushed.store(min, Ordering::Release);
        self.sealer = Sealer::new(&checkpoint.seal);
        self.recount = None;
        Ok(())
    }

    /// Where the last entry ends.
    pub(super) fn appended(&self) -> u64 {
        sync::read(&self.shared.state).appended
    }

    /// Any error here leaves memory and disk at odds.
    pub(super) fn stop_on_error<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.shared.fail(&error.to_string()))
    }

    pub(super) fn make_reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }
}

impl State {
    /// The newest entry below `log_index` whose end is known without reading, and that end.
    fn known_end_below(&self, log_index: u64) -> Option<(LogPoint, u64)> {
        let at = self.part_of(log_index)?;
        let index = &self.segments[at].index;
        let start = index.start_at(index.start_of(log_index).offset)?;
        if index.first().is_some_and(|first| first.log_index < start.log_index) {
            let log_index = start.log_index - 1;
            return Some((LogPoint { term: index.term_of(log_index), log_index }, start.offset));
        }
        let before = &self.segments.get(at.checked_sub(1)?)?.index;
        Some((before.last()?, before.end()))
    }

    /// A log whose next entry goes to `min`.
    pub(super) fn empty_at(segment: Arc<Segment>, purged: Option<LogPoint>, min: u64) -> Self {
        let index = SegmentIndex::new(min);
        Self {
            segments: [Part { segment, index }].into(),
            purged,
            min,
            committed: purged,
            committed_end: min,
            appended: min,
            last: purged,
        }
    }

    /// The entry before `log_index`, or what is purged.
    fn point_before(&self, log_index: u64) -> Option<LogPoint> {
        let before = self.segments.iter().rev().find_map(|part| part.index.last());
        match (before, self.purged) {
            (Some(before), Some(purged)) if before.log_index <= purged.log_index => Some(purged),
            (Some(before), _) => {
                assert!(before.log_index < log_index, "entry {before} was not truncated with {log_index}");
                Some(before)
            }
            (None, purged) => purged,
        }
    }
}

/// Removes all segments and sidecars.
pub(super) fn wipe(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for path in disk.list(dir)? {
        disk.remove_file(&path)?;
    }
    disk.sync_dir(dir)
}

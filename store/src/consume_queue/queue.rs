//! One consume queue: files of units, and the newest units still in memory.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use platform::OpenMode;

use super::files::OpenFiles;
use super::layout::{UNIT_BYTES, file_base, file_path};
use super::places::Places;
use super::{QueueInfo, Unit};
use crate::{CommitlogOffset, QueueOffset, sync};

/// So much is copied and written at once.
const PIECE_UNITS: usize = (64 << 10) / UNIT_BYTES;
const UNIT: u64 = UNIT_BYTES as u64;

/// One consume queue.
pub struct ConsumeQueue {
    topic: String,
    queue_id: u32,
    dir: PathBuf,
    units_per_file: u64,
    files: Arc<OpenFiles>,
    /// Bytes of all queues that are in no file.
    waiting: Arc<AtomicU64>,
    /// Held by who writes or removes files, and taken before `state`, which nobody holds while it waits for a disk once the
    /// node runs.
    writing: Mutex<()>,
    state: Mutex<State>,
}

/// Invariant: `min <= max`, and the units `[max - buffer, max)` are in the buffer, those before in files.
#[derive(Default)]
struct State {
    min: u64,
    max: u64,
    buffer: VecDeque<[u8; UNIT_BYTES]>,
    /// Where the newest messages lie; of units appended since the start.
    places: Places,
    /// Queue offset of the first unit of each file.
    bases: BTreeSet<u64>,
    /// Files written to since the last sync.
    unsynced: BTreeSet<u64>,
    /// Files were made or removed since the last sync.
    has_new_names: bool,
}

impl State {
    /// Units in files end here.
    fn written(&self) -> u64 {
        self.max - self.buffer.len() as u64
    }
}

impl ConsumeQueue {
    /// A queue without units, or files.
    pub(super) fn new(
        topic: &str,
        queue_id: u32,
        dir: PathBuf,
        units_per_file: u64,
        files: Arc<OpenFiles>,
        waiting: Arc<AtomicU64>,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            queue_id,
            dir,
            units_per_file,
            files,
            waiting,
            writing: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Takes in what is in the queue's directory. A last unit that was not written whole does not count.
    pub(super) fn load(&self) -> io::Result<()> {
        let mut state = State::default();
        for path in self.files.disk().list(&self.dir)? {
            state.bases.extend(file_base(&path, self.units_per_file));
        }
        if let Some(last) = state.bases.last() {
            let file = self.files.disk().open(&file_path(&self.dir, *last), OpenMode::Read)?;
            state.max = last + (file.len()? / UNIT).min(self.units_per_file);
        }
        *sync::lock(&self.state) = state;
        self.find_min()
    }

    /// Its topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its number within the topic.
    pub fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// The first queue offset that can be read; equal to `max` if there is none.
    pub fn min(&self) -> QueueOffset {
        QueueOffset(sync::lock(&self.state).min)
    }

    /// The next queue offset that will be given.
    pub fn max(&self) -> QueueOffset {
        QueueOffset(sync::lock(&self.state).max)
    }

    pub(super) fn info(&self) -> QueueInfo {
        let state = sync::lock(&self.state);
        QueueInfo {
            topic: self.topic.clone(),
            queue_id: self.queue_id,
            min: QueueOffset(state.min),
            max: QueueOffset(state.max),
        }
    }

    /// Up to `count` units from `from` on; fewer at the end, none outside `[min, max)`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(&self, from: QueueOffset, count: usize) -> io::Result<Vec<Unit>> {
        let (mut next, written, end, buffered) = {
            let state = sync::lock(&self.state);
            if !(state.min..state.max).contains(&from.0) {
                return Ok(Vec::new());
            }
            let (written, end) = (state.written(), state.max.min(from.0.saturating_add(count as u64)));
            let first = (from.0.max(written) - written) as usize;
            let count = (end.max(written) - written) as usize - first;
            let buffered: Vec<_> = state.buffer.iter().skip(first).take(count).copied().collect();
            (from.0, written, end, buffered)
        };
        let mut bytes = Vec::with_capacity((end - next) as usize * UNIT_BYTES);
        while next < end.min(written) {
            let base = next - next % self.units_per_file;
            let upto = end.min(written).min(base + self.units_per_file);
            let at = bytes.len();
            bytes.resize(at + (upto - next) as usize * UNIT_BYTES, 0);
            let file = match self.files.open(&file_path(&self.dir, base), OpenMode::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.min().0 > from.0 => {
                    return Ok(Vec::new()); // trimmed in the meantime
                }
                Err(error) => return Err(error),
            };
            file.read_exact_at(&mut bytes[at..], (next - base) * UNIT)?;
            next = upto;
        }
        bytes.extend_from_slice(buffered.as_flattened());
        let units = bytes.as_chunks::<UNIT_BYTES>().0.iter();
        units.map(|unit| Unit::from_bytes(unit).ok_or_else(|| self.hole(from))).collect()
    }

    /// The unit at `at`; `None` outside `[min, max)`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn unit(&self, at: QueueOffset) -> io::Result<Option<Unit>> {
        Ok(self.read(at, 1)?.first().copied())
    }

    /// Where in the log the message at `at` does not lie before, told without a look at a file; `None` if only a file
    /// could tell. Known for the newest messages since the start.
    pub fn not_before(&self, at: QueueOffset) -> Option<CommitlogOffset> {
        sync::lock(&self.state).places.not_before(at)
    }

    /// Makes what a file holds at `at` say `unit`. Returns whether it said something else. What is only in memory yet, or
    /// not in the queue, stays as it is.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(crate) fn mend(&self, at: QueueOffset, unit: Unit) -> io::Result<bool> {
        let _writing = sync::lock(&self.writing);
        let in_files = {
            let state = sync::lock(&self.state);
            state.min..state.written()
        };
        if !in_files.contains(&at.0) {
            return Ok(false);
        }
        let base = at.0 - at.0 % self.units_per_file;
        let file = self.files.open(&file_path(&self.dir, base), OpenMode::ReadWrite)?;
        let (place, right) = ((at.0 - base) * UNIT, unit.to_bytes());
        let mut found = [0; UNIT_BYTES];
        match file.read_exact_at(&mut found, place) {
            Ok(()) if found == right => return Ok(false),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => {}
        }
        file.write_all_at(&[IoSlice::new(&right)], place)?;
        sync::lock(&self.state).unsynced.insert(base);
        Ok(true)
    }

    fn hole(&self, from: QueueOffset) -> io::Error {
        let text = format!("{}-{}: a unit at or behind {from} is missing", self.topic, self.queue_id);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Takes in one unit, in memory. Returns whether it is the first one in the buffer.
    ///
    /// # Panics
    /// If `at` is not the next offset.
    pub(super) fn append(&self, at: QueueOffset, unit: Unit) -> bool {
        let mut state = sync::lock(&self.state);
        let (topic, queue_id) = (&self.topic, self.queue_id);
        assert!(at.0 == state.max, "unit {at} of {topic}-{queue_id}, but the next is {}", state.max);
        assert!(unit.size > 0, "unit {at} of {topic}-{queue_id} has no bytes");
        state.buffer.push_back(unit.to_bytes());
        state.places.note(at.0, unit.offset);
        state.max += 1;
        self.waiting.fetch_add(UNIT, Ordering::Relaxed);
        state.buffer.len() == 1
    }

    /// Never below 0: all queues may have been forgotten while one was written.
    fn no_longer_waits(&self, bytes: usize) {
        let less = |waiting: u64| Some(waiting.saturating_sub(bytes as u64));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The queue begins at `at`, or at its end if that is before: what lies before is not read any more. In memory: its
    /// files go when they are trimmed.
    pub(super) fn begin_at(&self, at: u64) {
        let mut state = sync::lock(&self.state);
        state.min = state.min.max(at.min(state.max));
    }

    /// Writes to files what is in memory. Readers and who appends do not wait for it.
    pub(super) fn write_out(&self) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        self.write_out_writing()
    }

    /// To be called by who holds `writing`.
    fn write_out_writing(&self) -> io::Result<()> {
        loop {
            let (from, piece, is_first) = {
                let state = sync::lock(&self.state);
                let from = state.written();
                let room = (self.units_per_file - from % self.units_per_file) as usize;
                let units = state.buffer.iter().take(PIECE_UNITS.min(room));
                (from, units.copied().collect::<Vec<_>>(), state.bases.is_empty())
            };
            if piece.is_empty() {
                return Ok(());
            }
            let base = from - from % self.units_per_file;
            if is_first {
                self.files.disk().create_dir_all(&self.dir)?;
            }
            let file = self.files.open(&file_path(&self.dir, base), OpenMode::Create)?;
            file.write_all_at(&[IoSlice::new(piece.as_flattened())], (from - base) * UNIT)?;
            let mut state = sync::lock(&self.state);
            state.has_new_names |= state.bases.insert(base);
            state.unsynced.insert(base);
            state.buffer.drain(..piece.len());
            if state.buffer.is_empty() {
                state.buffer = VecDeque::new(); // an idle queue keeps no memory
            }
            self.no_longer_waits(piece.len() * UNIT_BYTES);
        }
    }

    /// Writes out and starts the way to the disk, so that many queues can be synced at little more than the
    /// price of one. Returns whether there is something to sync.
    pub(super) fn begin_flush(&self) -> io::Result<bool> {
        let _writing = sync::lock(&self.writing);
        self.write_out_writing()?;
        let (unsynced, has_new_names) = {
            let state = sync::lock(&self.state);
            (state.unsynced.clone(), state.has_new_names)
        };
        for base in &unsynced {
            let file = self.files.open(&file_path(&self.dir, *base), OpenMode::ReadWrite)?;
            file.start_write_back(0, self.units_per_file * UNIT);
        }
        Ok(!unsynced.is_empty() || has_new_names)
    }

    /// Syncs what was written. Returns whether names have changed, whose directories are to be synced as well.
    pub(super) fn sync(&self) -> io::Result<bool> {
        let (unsynced, has_new_names) = {
            let mut state = sync::lock(&self.state);
            (std::mem::take(&mut state.unsynced), std::mem::take(&mut state.has_new_names))
        };
        for base in unsynced {
            match self.files.open(&file_path(&self.dir, base), OpenMode::ReadWrite) {
                Ok(file) => file.sync_data()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // trimmed in the meantime
                Err(error) => return Err(error),
            }
        }
        if has_new_names {
            self.files.disk().sync_dir(&self.dir)?;
        }
        Ok(has_new_names)
    }

    /// Drops units from `next` on. Returns whether all units from the first to `next` are there.
    pub(super) fn truncate(&self, next: u64) -> io::Result<bool> {
        let _writing = sync::lock(&self.writing);
        self.write_out_writing()?;
        {
            let mut state = sync::lock(&self.state);
            let mut pairs = state.bases.iter().zip(state.bases.iter().skip(1));
            if state.max < next || pairs.any(|(base, following)| base + self.units_per_file != *following) {
                return Ok(false);
            }
            for base in state.bases.range(..next).rev().skip(1) {
                let file = self.files.open(&file_path(&self.dir, *base), OpenMode::Read)?;
                if file.len()? < self.units_per_file * UNIT {
                    return Ok(false);
                }
            }
            let dropped = state.bases.split_off(&next);
            for base in &dropped {
                if *base > next || !state.bases.is_empty() {
                    self.files.remove(&file_path(&self.dir, *base))?;
                } else {
                    state.bases.insert(*base); // keeps the queue's place when all its units go
                }
            }
            let Some(last) = state.bases.last().copied() else { return Ok(false) };
            let file = self.files.open(&file_path(&self.dir, last), OpenMode::ReadWrite)?;
            let bytes = (next - last) * UNIT;
            if file.len()? < bytes {
                return Ok(false);
            }
            file.set_len(bytes)?;
            state.max = next;
            state.places = Places::default();
            state.has_new_names = true;
            state.unsynced.insert(last);
        }
        self.find_min()?;
        let state = sync::lock(&self.state);
        let (min, max) = (state.min, state.max);
        drop(state);
        // The newest unit is the one that would be missing.
        Ok(min == max || self.unit(QueueOffset(max - 1)).is_ok())
    }

    /// Empties the queue, and lets it go on at `next`. A file stays that says where.
    pub(super) fn reset(&self, next: u64) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        let mut state = sync::lock(&self.state);
        self.no_longer_waits(state.buffer.len() * UNIT_BYTES);
        state.buffer = VecDeque::new();
        for base in std::mem::take(&mut state.bases) {
            self.files.remove(&file_path(&self.dir, base))?;
        }
        let base = next - next % self.units_per_file;
        self.files.disk().create_dir_all(&self.dir)?;
        let file = self.files.open(&file_path(&self.dir, base), OpenMode::Create)?;
        file.set_len((next - base) * UNIT)?;
        *state = State {
            min: next,
            max: next,
            buffer: VecDeque::new(),
            places: Places::default(),
            bases: [base].into(),
            unsynced: [base].into(),
            has_new_names: true,
        };
        Ok(())
    }

    /// Sets `min` to the first unit that is there: a queue that began elsewhere than at 0 has a hole before it.
    fn find_min(&self) -> io::Result<()> {
        let (first, max) = {
            let mut state = sync::lock(&self.state);
            let Some(first) = state.bases.first().copied() else {
                state.min = state.max;
                return Ok(());
            };
            state.min = first.min(state.max);
            (first, state.max)
        };
        let file = self.files.open(&file_path(&self.dir, first), OpenMode::Read)?;
        // After a loss of power a file may be shorter than the ones behind it say.
        let there = first + (file.len()? / UNIT).min(self.units_per_file);
        let min = partition_point(first, max.min(there), |at| {
            let mut bytes = [0; UNIT_BYTES];
            file.read_exact_at(&mut bytes, (at - first) * UNIT)?;
            Ok::<_, io::Error>(Unit::from_bytes(&bytes).is_none())
        })?;
        sync::lock(&self.state).min = min;
        Ok(())
    }

    /// Moves `min` to the first unit at or above `log_min`, and removes files wholly below, but for the last one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, log_min: CommitlogOffset) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        let (min, max) = {
            let state = sync::lock(&self.state);
            (state.min, state.max)
        };
        let is_below = |at: u64| -> io::Result<bool> {
            Ok(self.unit(QueueOffset(at))?.is_some_and(|unit| unit.offset < log_min))
        };
        if min < max && is_below(min)? {
            let new_min = partition_point(min, max, is_below)?;
            self.begin_at(new_min);
        }
        self.remove_passed_files()
    }

    /// Files wholly below the first unit go, but for the last one. To be called by who holds `writing`.
    fn remove_passed_files(&self) -> io::Result<()> {
        loop {
            let passed = {
                let state = sync::lock(&self.state);
                let first = state.bases.first().copied();
                first.filter(|first| state.bases.len() > 1 && first + self.units_per_file <= state.min)
            };
            let Some(passed) = passed else { return Ok(()) };
            self.files.remove(&file_path(&self.dir, passed))?;
            let mut state = sync::lock(&self.state);
            state.bases.remove(&passed);
            state.unsynced.remove(&passed);
            state.has_new_names = true;
        }
    }
}

/// The first of `lo..hi` of which `is_before` is false; `hi` if it is true of all.
pub(crate) fn partition_point<E>(
    mut lo: u64,
    mut hi: u64,
    mut is_before: impl FnMut(u64) -> Result<bool, E>,
) -> Result<u64, E> {
    if lo < hi && !is_before(lo)? {
        return Ok(lo); // mostly so
    }
    while lo < hi {
        let middle = lo + (hi - lo) / 2;
        if is_before(middle)? {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    Ok(lo)
}

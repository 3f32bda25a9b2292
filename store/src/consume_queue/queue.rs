//! One consume queue: files of units, and the newest units still in memory.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use platform::OpenMode;

use super::files::OpenFiles;
use super::layout::{UNIT_BYTES, file_base, file_path};
use super::places::Places;
use super::{QueueInfo, Unit};
use crate::{CommitlogOffset, QueueOffset, sync};

/// A buffer of this size is written out at once, without being told to.
const BUFFER_BYTES_MAX: usize = 64 << 10;
const UNIT: u64 = UNIT_BYTES as u64;

/// One consume queue.
pub struct ConsumeQueue {
    topic: String,
    queue_id: u32,
    dir: PathBuf,
    units_per_file: u64,
    files: Arc<OpenFiles>,
    state: Mutex<State>,
}

/// Invariant: `min <= max`, and the units `[max - buffer, max)` are in the buffer, those before in files.
#[derive(Default)]
struct State {
    min: u64,
    max: u64,
    buffer: Vec<u8>,
    /// Where the newest messages lie; of units appended since the start.
    places: Places,
    /// A write has failed: the next one is tried when the buffer has so many bytes.
    write_at: Option<usize>,
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
        self.max - (self.buffer.len() / UNIT_BYTES) as u64
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
    ) -> Self {
        Self { topic: topic.to_owned(), queue_id, dir, units_per_file, files, state: Mutex::default() }
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
            let begin = (from.0.max(written) - written) as usize * UNIT_BYTES;
            let buffered = (end.max(written) - written) as usize * UNIT_BYTES;
            (from.0, written, end, state.buffer.get(begin..buffered).unwrap_or_default().to_vec())
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
        bytes.extend_from_slice(&buffered);
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
        let mut state = sync::lock(&self.state);
        if !(state.min..state.written()).contains(&at.0) {
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
        state.unsynced.insert(base);
        Ok(true)
    }

    fn hole(&self, from: QueueOffset) -> io::Error {
        let text = format!("{}-{}: a unit at or behind {from} is missing", self.topic, self.queue_id);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Returns whether it is the first unit in the buffer, and why a full buffer could not be written out: the units
    /// stay in memory then.
    ///
    /// # Panics
    /// If `at` is not the next offset.
    pub(super) fn append(&self, at: QueueOffset, unit: Unit) -> (bool, io::Result<()>) {
        let mut state = sync::lock(&self.state);
        let (topic, queue_id) = (&self.topic, self.queue_id);
        assert!(at.0 == state.max, "unit {at} of {topic}-{queue_id}, but the next is {}", state.max);
        assert!(unit.size > 0, "unit {at} of {topic}-{queue_id} has no bytes");
        state.buffer.extend_from_slice(&unit.to_bytes());
        state.places.note(at.0, unit.offset);
        state.max += 1;
        let is_first = state.buffer.len() == UNIT_BYTES;
        if state.buffer.len() < state.write_at.unwrap_or(BUFFER_BYTES_MAX) {
            return (is_first, Ok(()));
        }
        let written = self.write_out_locked(&mut state);
        state.write_at = written.is_err().then(|| state.buffer.len() + BUFFER_BYTES_MAX);
        (is_first, written)
    }

    pub(super) fn write_out(&self) -> io::Result<()> {
        self.write_out_locked(&mut sync::lock(&self.state))
    }

    fn write_out_locked(&self, state: &mut State) -> io::Result<()> {
        let mut done = 0;
        let mut next = state.written();
        while done < state.buffer.len() {
            let base = next - next % self.units_per_file;
            let room = (base + self.units_per_file - next) as usize * UNIT_BYTES;
            let part = &state.buffer[done..state.buffer.len().min(done + room)];
            let path = file_path(&self.dir, base);
            if state.bases.is_empty() {
                self.files.disk().create_dir_all(&self.dir)?;
            }
            let file = self.files.open(&path, OpenMode::Create)?;
            file.write_all_at(&[IoSlice::new(part)], (next - base) * UNIT)?;
            state.has_new_names |= state.bases.insert(base);
            state.unsynced.insert(base);
            done += part.len();
            next = base + self.units_per_file;
        }
        state.buffer = Vec::new(); // an idle queue keeps no memory
        Ok(())
    }

    /// Writes out and starts the way to the disk, so that many queues can be synced at little more than the
    /// price of one. Returns whether there is something to sync.
    pub(super) fn begin_flush(&self) -> io::Result<bool> {
        let mut state = sync::lock(&self.state);
        self.write_out_locked(&mut state)?;
        for base in &state.unsynced {
            let file = self.files.open(&file_path(&self.dir, *base), OpenMode::ReadWrite)?;
            file.start_write_back(0, self.units_per_file * UNIT);
        }
        Ok(!state.unsynced.is_empty() || state.has_new_names)
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
        {
            let mut state = sync::lock(&self.state);
            self.write_out_locked(&mut state)?;
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
        let mut state = sync::lock(&self.state);
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
            buffer: Vec::new(),
            places: Places::default(),
            write_at: None,
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
        let (min, max) = {
            let state = sync::lock(&self.state);
            (state.min, state.max)
        };
        let is_below = |at: u64| -> io::Result<bool> {
            Ok(self.unit(QueueOffset(at))?.is_some_and(|unit| unit.offset < log_min))
        };
        if min == max || !is_below(min)? {
            return Ok(());
        }
        let new_min = partition_point(min, max, is_below)?;
        let mut state = sync::lock(&self.state);
        state.min = new_min;
        while let Some(first) = state.bases.first().copied()
            && state.bases.len() > 1
            && first + self.units_per_file <= new_min
        {
            self.files.remove(&file_path(&self.dir, first))?;
            state.bases.remove(&first);
            state.unsynced.remove(&first);
            state.has_new_names = true;
        }
        Ok(())
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

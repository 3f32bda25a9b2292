//! The key index: which messages of a topic have a key, newest first.
//!
//! Built from committed entries only; can be deleted and built again from the log. RocketMQ keeps hash tables of
//! 400 MB written at random places; we keep the newest keys in memory, and write them out as runs sorted by
//! hash. A query reads one piece of 5 KiB of each run whose time fits. What is found is the same: by the same
//! hash of `topic#key`, newest first, at most this many, within a range of store time.

mod run;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use platform::Disk;
use protocol::message::hash::index_key_hash;

use crate::{Backlog, CommitlogOffset, sync};
use run::{ENTRY_BYTES, Entry, PART, Run};

/// Entries of a full run.
const RUN_ENTRIES: usize = 64 << 10;

/// What was last put into a key index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastUpdate {
    /// Store timestamp of the message.
    pub store_timestamp_ms: u64,
    /// Where it lies.
    pub offset: CommitlogOffset,
}

/// More bytes than this wait for a file only if the disk does not take them.
const WAITING_BYTES_MAX: u64 = 32 << 20;

/// The key index. Shared by threads.
pub struct KeyIndex {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Entries of a full run.
    run_entries: usize,
    /// Held by who writes files, and taken before `state`, which nobody holds while it waits for a disk.
    writing: Mutex<()>,
    /// Bytes of full runs that are in no file. Every send asks, and waits for no query.
    waiting: AtomicU64,
    state: Mutex<State>,
}

/// A run that is in no file yet.
struct Full {
    entries: Vec<Entry>,
    covered: CommitlogOffset,
}

impl Full {
    fn bytes(&self) -> u64 {
        (self.entries.len() * ENTRY_BYTES) as u64
    }
}

#[derive(Default)]
struct State {
    /// Full ones, oldest first.
    runs: Vec<Arc<Run>>,
    /// How many of them, the newest ones, may not be on disk.
    unsynced_runs: usize,
    /// Full runs behind those that are in files, oldest first.
    full: VecDeque<Arc<Full>>,
    /// Keys of messages behind those of all runs, in the order of the log.
    newest: Vec<Entry>,
    /// A file with the first of what is in no run.
    part: Option<Run>,
    /// Files that go when the runs that replace them are on disk.
    replaced: Vec<PathBuf>,
    /// All keys of entries below it were put.
    covered: CommitlogOffset,
    /// A sync has failed: nothing is promised to be on disk any more.
    has_failed: bool,
    /// Entries of `newest` that are in no file.
    unwritten: usize,
    /// Why the last write-out failed, while it is so.
    error: Option<String>,
    has_new_names: bool,
    last: LastUpdate,
}

impl KeyIndex {
    /// Opens the index in `dir`, which is made if missing. From the first damaged or missing file on all is
    /// dropped; [`crate::restore`] puts it again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_with(disk, dir.into(), RUN_ENTRIES)
    }

    fn open_with(disk: Arc<dyn Disk>, dir: PathBuf, run_entries: usize) -> io::Result<Self> {
        disk.create_dir_all(&dir)?;
        let mut state = State::default();
        for path in disk.list(&dir)? {
            let is_part = path.extension().is_some_and(|extension| extension == PART);
            let is_run = path.extension().is_none();
            let run = if is_part || is_run { Run::open(&*disk, &path)? } else { None };
            // A part sorts behind the run that replaces it, and is of use only if that one is not there.
            let is_known = |run: &Run| {
                state.runs.last().is_some_and(|last| last.head.first_offset >= run.head.first_offset)
            };
            match run {
                Some(run) if is_run && state.is_next(&run) => state.runs.push(Arc::new(run)),
                Some(run) if is_part && !is_known(&run) && state.is_next(&run) => state.part = Some(run),
                _ => {
                    tracing::debug!(path = %path.display(), "dropping a file of the key index");
                    disk.remove_file(&path)?;
                    state.has_new_names = true;
                }
            }
        }
        if let Some(part) = &state.part {
            state.newest = part.entries(&*disk)?;
            state.newest.sort_by_key(|entry| entry.offset);
        }
        let newest = state.part.as_ref().or(state.runs.last().map(|run| &**run));
        state.covered = newest.map_or(CommitlogOffset(0), |run| run.head.covered);
        state.note_last();
        Ok(Self {
            disk,
            dir,
            run_entries,
            writing: Mutex::default(),
            waiting: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// Takes in one key of one message, in memory; found on return. Offsets never fall from call to call. Waits for no
    /// disk: [`KeyIndex::write_out`] does.
    pub fn put(&self, topic: &str, key: &str, offset: CommitlogOffset, store_timestamp_ms: u64) {
        let entry = Entry { hash: hash(topic, key), offset, store_timestamp_ms };
        let mut state = sync::lock(&self.state);
        // A run ends with a message, so that where one begins is a name of its own, and a cut parts no message.
        if state.newest.len() >= self.run_entries && state.last.offset < offset {
            let full = Full { entries: std::mem::take(&mut state.newest), covered: state.covered };
            self.waiting.fetch_add(full.bytes(), Ordering::Relaxed);
            state.full.push_back(Arc::new(full));
            state.unwritten = 0;
        }
        state.newest.push(entry);
        state.unwritten += 1;
        state.last = LastUpdate { store_timestamp_ms, offset };
    }

    /// Writes full runs to their files, without a sync. Best done every second, by any thread but the one that puts.
    ///
    /// # Errors
    /// If the disk fails; what is not written stays in memory, and is found there.
    pub fn write_out(&self) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        self.write_full()
    }

    fn write_full(&self) -> io::Result<()> {
        let written = self.try_write_full();
        sync::lock(&self.state).error = written.as_ref().err().map(ToString::to_string);
        written
    }

    fn try_write_full(&self) -> io::Result<()> {
        loop {
            let (full, after) = {
                let state = sync::lock(&self.state);
                let Some(full) = state.full.front().cloned() else { return Ok(()) };
                (full, state.last_of_runs())
            };
            let run = Run::write(&*self.disk, &self.dir, &full.entries, after, full.covered, true)?;
            let mut state = sync::lock(&self.state);
            state.full.pop_front();
            self.waiting.fetch_sub(full.bytes(), Ordering::Relaxed);
            state.runs.push(Arc::new(run));
            state.unsynced_runs += 1;
            let part = state.part.take().map(|part| part.path().to_path_buf());
            state.replaced.extend(part);
            state.has_new_names = true;
        }
    }

    /// What waits in memory for a file, and why the last write-out failed, if it did.
    pub fn backlog(&self) -> Backlog {
        Backlog { bytes: self.waiting.load(Ordering::Relaxed), error: sync::lock(&self.state).error.clone() }
    }

    /// So much waits for a file that no more should be made before it could be written.
    pub fn is_stuck(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > WAITING_BYTES_MAX
    }

    /// Up to `max` messages of `topic` that probably have `key`, newest first, with a store timestamp in
    /// `begin_ms..=end_ms`. Keys are kept as hashes, so the caller must look at the messages themselves.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn query(
        &self,
        topic: &str,
        key: &str,
        max: usize,
        begin_ms: u64,
        end_ms: u64,
    ) -> io::Result<Vec<CommitlogOffset>> {
        let hash = hash(topic, key);
        let fits =
            |entry: &&Entry| entry.hash == hash && (begin_ms..=end_ms).contains(&entry.store_timestamp_ms);
        let (mut found, runs): (Vec<_>, _) = {
            let state = sync::lock(&self.state);
            let in_memory = state.full.iter().flat_map(|full| &full.entries).chain(&state.newest);
            (in_memory.filter(fits).map(|entry| entry.offset).collect(), state.runs.clone())
        };
        found.sort_unstable_by_key(|offset| std::cmp::Reverse(*offset));
        for run in runs.iter().rev() {
            if found.len() >= max || run.head.last_ms < begin_ms {
                break; // all others are older
            }
            if run.head.first_ms > end_ms {
                continue;
            }
            let entries = match run.find(&*self.disk, hash) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break, // trimmed in the meantime
                other => other?,
            };
            found.extend(entries.iter().rev().filter(fits).map(|entry| entry.offset));
        }
        found.dedup(); // a message may have a key twice
        found.truncate(max);
        Ok(found)
    }

    /// Drops what lies at or behind `end`, to be put again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn truncate_to(&self, end: CommitlogOffset) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        self.write_full()?;
        {
            let mut state = sync::lock(&self.state);
            state.newest.retain(|entry| entry.offset < end);
            while let Some(run) = state.runs.pop_if(|run| run.head.last_offset >= end) {
                state.newest =
                    run.entries(&*self.disk)?.into_iter().filter(|entry| entry.offset < end).collect();
                state.newest.sort_by_key(|entry| entry.offset);
                state.replaced.push(run.path().to_path_buf());
            }
            // What is left of `newest` gets a file of its own before the ones it came from go.
            state.unsynced_runs = state.unsynced_runs.min(state.runs.len());
            if let Some(part) = state.part.take() {
                state.replaced.push(part.path().to_path_buf());
            }
            state.unwritten = state.newest.len();
            state.covered = state.covered.min(end);
            state.note_last();
        }
        self.flush_writing()
    }

    /// Drops messages below `min`, by whole files.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, min: CommitlogOffset) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        let old: Vec<_> = {
            let mut state = sync::lock(&self.state);
            let old = state.runs.partition_point(|run| run.head.last_offset < min);
            let old = state.runs.drain(..old).collect();
            state.unsynced_runs = state.unsynced_runs.min(state.runs.len());
            let is_below = |full: &Full| full.entries.last().is_some_and(|last| last.offset < min);
            while state.runs.is_empty()
                && let Some(full) = state.full.front().filter(|full| is_below(full)).cloned()
            {
                state.full.pop_front();
                self.waiting.fetch_sub(full.bytes(), Ordering::Relaxed);
                // A part is one of the oldest run that is in no file.
                let part = state.part.take().map(|part| part.path().to_path_buf());
                state.replaced.extend(part);
            }
            old
        };
        old.iter().try_for_each(|run| self.disk.remove_file(run.path()))
    }

    /// On disk on return. Best done now and then: a restart reads the log from there on.
    ///
    /// # Errors
    /// If the disk fails. Final if what was written could not be synced: a later flush fails too.
    pub fn flush(&self) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        self.write_full()?;
        self.flush_writing()
    }

    /// To be called by who holds `writing`.
    fn flush_writing(&self) -> io::Result<()> {
        if sync::lock(&self.state).has_failed {
            return Err(io::Error::other("an earlier sync of the key index has failed"));
        }
        let mut is_final = true;
        let result = self.try_flush(&mut is_final);
        sync::lock(&self.state).has_failed = result.is_err() && is_final;
        result
    }

    /// What could not be written is written another time; what could not be synced is never trusted again.
    fn try_flush(&self, is_final: &mut bool) -> io::Result<()> {
        let unsynced: Vec<_> = {
            let state = sync::lock(&self.state);
            state.runs[state.runs.len() - state.unsynced_runs..].to_vec()
        };
        for run in &unsynced {
            run.sync(&*self.disk)?;
        }
        let newest = {
            let mut state = sync::lock(&self.state);
            state.unsynced_runs = state.unsynced_runs.saturating_sub(unsynced.len());
            // A run that got full meanwhile has its turn first.
            let is_next = state.unwritten > 0 && state.full.is_empty();
            is_next.then(|| (state.newest.clone(), state.last_of_runs(), state.covered))
        };
        if let Some((entries, after, covered)) = newest {
            *is_final = false;
            let part = Run::write(&*self.disk, &self.dir, &entries, after, covered, false)?;
            *is_final = true;
            let mut state = sync::lock(&self.state);
            state.replaced.retain(|path| path != part.path());
            state.part = Some(part);
            if state.full.is_empty() {
                state.unwritten = state.newest.len() - entries.len();
            }
            state.has_new_names = true;
        }
        let (replaced, has_new_names) = {
            let mut state = sync::lock(&self.state);
            (std::mem::take(&mut state.replaced), std::mem::take(&mut state.has_new_names))
        };
        if !replaced.is_empty() || has_new_names {
            self.disk.sync_dir(&self.dir)?;
            for path in replaced {
                self.disk.remove_file(&path)?;
            }
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(&self) -> io::Result<()> {
        let _writing = sync::lock(&self.writing);
        *sync::lock(&self.state) = State::default();
        self.waiting.store(0, Ordering::Relaxed);
        self.disk.remove_dir_all(&self.dir)?;
        self.disk.create_dir_all(&self.dir)
    }

    /// All keys of entries below `end` were put.
    pub fn note_covered(&self, end: CommitlogOffset) {
        let mut state = sync::lock(&self.state);
        state.covered = state.covered.max(end);
    }

    /// Up to where all keys were put. After a crash that is less than before it, and what is missing is to be put
    /// again: see [`crate::restore`].
    pub fn covered(&self) -> CommitlogOffset {
        sync::lock(&self.state).covered
    }

    /// Whether nothing is missing in front, for a log that begins at `log_min`.
    pub(crate) fn reaches_back_to(&self, log_min: CommitlogOffset) -> bool {
        let state = sync::lock(&self.state);
        let first = state.runs.first().map(|run| run.head).or(state.part.as_ref().map(|part| part.head));
        first.is_none_or(|head| head.after < log_min || head.after == CommitlogOffset(0))
    }

    /// What was put last; all zero if nothing ever was.
    pub fn last_update(&self) -> LastUpdate {
        sync::lock(&self.state).last
    }
}

impl State {
    /// The last message of what is in full runs' files; 0 if there are none.
    fn last_of_runs(&self) -> CommitlogOffset {
        self.runs.last().map_or(CommitlogOffset(0), |run| run.head.last_offset)
    }

    /// Whether a run follows those that are there. The first may follow any: those before it are trimmed.
    fn is_next(&self, run: &Run) -> bool {
        self.part.is_none() && self.runs.last().is_none_or(|last| last.head.last_offset == run.head.after)
    }

    fn note_last(&mut self) {
        let newest = self.newest.last().map(|entry| (entry.store_timestamp_ms, entry.offset));
        let run = self.runs.last().map(|run| (run.head.last_ms, run.head.last_offset));
        let (store_timestamp_ms, offset) = newest.or(run).unwrap_or_default();
        self.last = LastUpdate { store_timestamp_ms, offset };
    }
}

fn hash(topic: &str, key: &str) -> u32 {
    index_key_hash(&format!("{topic}#{key}")).unsigned_abs()
}

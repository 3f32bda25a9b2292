//! The key index: which messages of a topic have a key, newest first.
//!
//! Built from committed entries only; can be deleted and built again from the log. RocketMQ keeps hash tables of
//! 400 MB written at random places; we keep the newest keys in memory, and write them out as runs sorted by
//! hash. A query reads one piece of 5 KiB of each run whose time fits. What is found is the same: by the same
//! hash of `topic#key`, newest first, at most so many, within a range of store time.

mod run;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use platform::Disk;
use protocol::message::hash::index_key_hash;

use crate::{CommitlogOffset, sync};
use run::{Entry, PART, Run};

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

/// The key index. Shared by threads.
pub struct KeyIndex {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Entries of a full run.
    run_entries: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Full ones, oldest first.
    runs: Vec<Arc<Run>>,
    /// How many of them, the newest ones, may not be on disk.
    unsynced_runs: usize,
    /// Keys of messages behind those of all runs, in the order of the log.
    newest: Vec<Entry>,
    /// A file with the first of `newest`.
    part: Option<Run>,
    /// Files that go when the runs that replace them are on disk.
    replaced: Vec<PathBuf>,
    /// All keys of entries below it were put.
    covered: CommitlogOffset,
    /// A sync has failed: nothing is promised to be on disk any more.
    has_failed: bool,
    /// Entries of `newest` that are in no file.
    unwritten: usize,
    /// A write has failed: the next one is tried when there are so many.
    write_at: Option<usize>,
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
        Ok(Self { disk, dir, run_entries, state: Mutex::new(state) })
    }

    /// Takes in one key of one message; found on return. Offsets never fall from call to call. A full buffer that
    /// cannot be written out stays in memory, and is tried again now and then.
    pub fn put(&self, topic: &str, key: &str, offset: CommitlogOffset, store_timestamp_ms: u64) {
        let entry = Entry { hash: hash(topic, key), offset, store_timestamp_ms };
        let mut state = sync::lock(&self.state);
        // A run ends with a message, so that where one begins is a name of its own, and a cut parts no message.
        let at = state.write_at.unwrap_or(self.run_entries);
        if state.newest.len() >= at && state.last.offset < offset {
            let written = self.write_full(&mut state);
            state.write_at = written.is_err().then(|| state.newest.len() + self.run_entries / 16 + 1);
            if let Err(error) = written {
                tracing::warn!(%error, "the key index cannot be written out: it stays in memory");
            }
        }
        state.newest.push(entry);
        state.unwritten += 1;
        state.last = LastUpdate { store_timestamp_ms, offset };
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
            (state.newest.iter().filter(fits).map(|entry| entry.offset).collect(), state.runs.clone())
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
        let mut state = sync::lock(&self.state);
        state.newest.retain(|entry| entry.offset < end);
        while let Some(run) = state.runs.pop_if(|run| run.head.last_offset >= end) {
            state.newest = run.entries(&*self.disk)?.into_iter().filter(|entry| entry.offset < end).collect();
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
        self.flush_locked(&mut state)
    }

    /// Drops messages below `min`, by whole files.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, min: CommitlogOffset) -> io::Result<()> {
        let mut state = sync::lock(&self.state);
        let old = state.runs.partition_point(|run| run.head.last_offset < min);
        for run in state.runs.drain(..old) {
            self.disk.remove_file(run.path())?;
        }
        state.unsynced_runs = state.unsynced_runs.min(state.runs.len());
        Ok(())
    }

    /// On disk on return. Best done now and then: a restart reads the log from there on.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn flush(&self) -> io::Result<()> {
        self.flush_locked(&mut sync::lock(&self.state))
    }

    fn flush_locked(&self, state: &mut State) -> io::Result<()> {
        if state.has_failed {
            return Err(io::Error::other("an earlier sync of the key index has failed"));
        }
        let result = self.try_flush(state);
        state.has_failed = result.is_err();
        result
    }

    fn try_flush(&self, state: &mut State) -> io::Result<()> {
        let synced = state.runs.len() - state.unsynced_runs;
        for run in &state.runs[synced..] {
            run.sync(&*self.disk)?;
        }
        state.unsynced_runs = 0;
        if state.unwritten > 0 {
            let part = Run::write(&*self.disk, &self.dir, state, false)?;
            state.replaced.retain(|path| path != part.path());
            state.part = Some(part);
            state.unwritten = 0;
            state.has_new_names = true;
        }
        if !state.replaced.is_empty() || state.has_new_names {
            self.disk.sync_dir(&self.dir)?;
            for path in state.replaced.drain(..) {
                self.disk.remove_file(&path)?;
            }
            self.disk.sync_dir(&self.dir)?;
            state.has_new_names = false;
        }
        Ok(())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(&self) -> io::Result<()> {
        let mut state = sync::lock(&self.state);
        *state = State::default();
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

    /// Makes a run of `newest`. Not on disk on return: this is on the path of every message.
    fn write_full(&self, state: &mut State) -> io::Result<()> {
        let run = Run::write(&*self.disk, &self.dir, state, true)?;
        state.runs.push(Arc::new(run));
        state.unsynced_runs += 1;
        let part = state.part.take().map(|part| part.path().to_path_buf());
        state.replaced.extend(part);
        state.newest.clear();
        state.unwritten = 0;
        state.has_new_names = true;
        Ok(())
    }
}

impl State {
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

//! Consume queues: for each queue of a topic, where its messages lie in the commitlog.
//!
//! Built from committed entries only, so nothing here is ever taken back; all of it can be deleted and built
//! again from the log. Units are appended to memory and written out in batches; readers see them at once. An
//! idle queue costs a few hundred bytes of memory, and neither a thread nor an open file.

mod files;
#[cfg(test)]
mod hang_tests;
mod layout;
mod mark;
mod places;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use platform::Disk;

use crate::checkpoint::SealState;
use crate::{Backlog, CommitlogOffset, QueueOffset, sync};
use files::OpenFiles;
use layout::{TopicName, read_topic_name, topic_dir};
use mark::Mark;

pub use layout::UNIT_BYTES;
pub use queue::ConsumeQueue;
pub(crate) use queue::partition_point;

/// Where one message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where the message unit begins.
    pub offset: CommitlogOffset,
    /// Its size in bytes, never 0.
    pub size: u32,
    /// Hash of its tag as Java computes it, sign-extended; 0 without a tag.
    pub tag_hash: i64,
}

impl Unit {
    /// Of a message that no node has any more: it cannot be read, and is in nobody's way.
    pub(crate) fn lost(offset: CommitlogOffset) -> Self {
        Self { offset, size: LOST_BYTES, tag_hash: 0 }
    }

    /// Whether the message is known to be lost.
    pub fn is_lost(&self) -> bool {
        self.size == LOST_BYTES
    }
}

/// No message is that short.
const LOST_BYTES: u32 = 1;

/// How consume queues are kept.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// Units in one file. RocketMQ: 300,000.
    pub units_per_file: u64,
    /// Files kept open, for all queues together.
    pub open_files_max: usize,
    /// More bytes than this wait for a file only if the disk does not take them: see [`Queues::is_stuck`].
    pub waiting_bytes_max: u64,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { units_per_file: 300_000, open_files_max: 256, waiting_bytes_max: 64 << 20 }
    }
}

/// The ends of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInfo {
    /// The topic.
    pub topic: String,
    /// The queue's number within it.
    pub queue_id: u32,
    /// The first queue offset that can be read.
    pub min: QueueOffset,
    /// The next queue offset that will be given.
    pub max: QueueOffset,
}

/// Whether the files held what a checkpoint promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Restored {
    /// Every queue goes up to its end.
    Whole,
    /// Units are missing below the checkpoint: they are in the log, see [`crate::restore`].
    Incomplete,
}

/// What a crash left of the units below a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// All.
    Whole,
    /// Those of entries below; some behind it may be there as well.
    From(CommitlogOffset),
    /// Who knows.
    Nothing,
}

/// For each queue, the lower of two ends; queues that only one state knows end at 0.
fn earlier(a: &SealState, b: &SealState) -> SealState {
    let ends: HashMap<_, _> = a.queue_ends.iter().map(|(topic, id, next)| ((topic, id), *next)).collect();
    let both = b.queue_ends.iter().filter_map(|(topic, id, next)| {
        let other = ends.get(&(topic, id))?;
        Some((topic.clone(), *id, (*next).min(*other)))
    });
    SealState {
        queue_ends: both.collect(),
        last_store_timestamp_ms: a.last_store_timestamp_ms.min(b.last_store_timestamp_ms),
    }
}

/// All consume queues. Shared by threads; every queue has a lock of its own.
pub struct Queues {
    dir: PathBuf,
    options: QueueOptions,
    files: Arc<OpenFiles>,
    topics: RwLock<HashMap<String, BTreeMap<u32, Arc<ConsumeQueue>>>>,
    /// Queues with units in memory.
    buffered: Mutex<Vec<Arc<ConsumeQueue>>>,
    last_store_timestamp_ms: AtomicU64,
    /// All units of entries below it were appended.
    covered: AtomicU64,
    /// Bytes of units that are in no file.
    waiting: Arc<AtomicU64>,
    /// Why the last write-out failed, while it is so.
    error: Mutex<Option<String>>,
    /// Held by who writes out, and by who forgets all queues.
    writing_out: Mutex<()>,
    /// Held by who flushes, and taken before `writing_out`; whether a sync has failed, after which nothing is promised to be
    /// on disk any more.
    flushing: Mutex<bool>,
}

impl Queues {
    /// Opens the queues in `dir`, which is made if missing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>, options: QueueOptions) -> io::Result<Self> {
        let dir = dir.into();
        disk.create_dir_all(&dir)?;
        let queues = Self {
            files: Arc::new(OpenFiles::new(disk, options.open_files_max)),
            options,
            topics: RwLock::default(),
            buffered: Mutex::default(),
            last_store_timestamp_ms: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            waiting: Arc::default(),
            error: Mutex::default(),
            writing_out: Mutex::default(),
            flushing: Mutex::new(false),
            dir,
        };
        queues.load_below(&queues.dir, &mut Vec::new())?;
        Ok(queues)
    }

    /// Loads the topics whose names begin with `prefix`, and whose rest is in names below `dir`.
    fn load_below(&self, dir: &Path, prefix: &mut Vec<u8>) -> io::Result<()> {
        for path in self.files.disk().list(dir)? {
            let before = prefix.len();
            match read_topic_name(&path) {
                Some(TopicName::Continued(part)) => {
                    prefix.extend(part);
                    self.load_below(&path, prefix)?;
                }
                Some(TopicName::Last(part)) => {
                    prefix.extend(part);
                    if let Ok(topic) = std::str::from_utf8(prefix) {
                        self.load_topic(&path, topic)?;
                    }
                }
                None => {}
            }
            prefix.truncate(before);
        }
        Ok(())
    }

    fn load_topic(&self, dir: &Path, topic: &str) -> io::Result<()> {
        for path in self.files.disk().list(dir)? {
            let id = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
            if let Some(id) = id {
                self.make(topic, id).load()?;
            }
        }
        Ok(())
    }

    /// The queue offset that the next unit of a queue has; 0 for one that is not there yet.
    pub fn next_offset(&self, topic: &str, queue_id: u32) -> QueueOffset {
        self.get(topic, queue_id).map_or(QueueOffset(0), |queue| queue.max())
    }

    /// Appends one unit, in memory; readable on return. Waits for no disk: [`Queues::write_out`] does.
    ///
    /// # Panics
    /// If `at` is not the queue's next offset, or its first is not 0: a gap or a repeat.
    pub fn append(&self, topic: &str, queue_id: u32, at: QueueOffset, unit: Unit) {
        let queue = self.get(topic, queue_id).unwrap_or_else(|| self.make(topic, queue_id));
        if queue.append(at, unit) {
            sync::lock(&self.buffered).push(queue);
        }
    }

    /// What waits in memory for a file, and why the last write-out failed, if it did.
    pub fn backlog(&self) -> Backlog {
        Backlog { bytes: self.waiting.load(Ordering::Relaxed), error: sync::lock(&self.error).clone() }
    }

    /// So much waits for a file that no more should be made before it could be written.
    pub fn is_stuck(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > self.options.waiting_bytes_max
    }

    /// One queue; `None` if nothing was ever appended to it.
    pub fn get(&self, topic: &str, queue_id: u32) -> Option<Arc<ConsumeQueue>> {
        sync::read(&self.topics).get(topic)?.get(&queue_id).cloned()
    }

    /// The ends of all queues, sorted by topic and queue id.
    pub fn list(&self) -> Vec<QueueInfo> {
        let mut list: Vec<_> = self.all().iter().map(|queue| queue.info()).collect();
        list.sort_by(|a, b| (&a.topic, a.queue_id).cmp(&(&b.topic, b.queue_id)));
        list
    }

    /// The next offset of every queue, and the newest store timestamp told to [`Queues::note_store_timestamp`]:
    /// what a checkpoint needs. A dropped topic stays in it, so that no queue offset is ever given twice.
    pub fn seal_state(&self) -> SealState {
        let ends = self.list().into_iter().filter(|info| info.max.0 > 0);
        SealState {
            queue_ends: ends.map(|info| (info.topic, info.queue_id, info.max.0)).collect(),
            last_store_timestamp_ms: self.last_store_timestamp_ms.load(Ordering::Relaxed),
        }
    }

    /// Takes in the store timestamp of a unit, queued or not.
    pub fn note_store_timestamp(&self, store_timestamp_ms: u64) {
        self.last_store_timestamp_ms.fetch_max(store_timestamp_ms, Ordering::Relaxed);
    }

    /// All units of entries below `end` were appended.
    pub fn note_covered(&self, end: CommitlogOffset) {
        self.covered.fetch_max(end.0, Ordering::AcqRel);
    }

    /// Empties one queue, and lets it go on at `next`.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn reset_queue(&self, topic: &str, queue_id: u32, next: QueueOffset) -> io::Result<()> {
        self.get(topic, queue_id).unwrap_or_else(|| self.make(topic, queue_id)).reset(next.0)
    }

    /// Brings all queues to the state of a checkpoint: drops units behind it, and makes queues it knows and the
    /// directory does not. With [`Restored::Incomplete`] every queue ends where the checkpoint says, but some
    /// begin there too.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn truncate_all(&self, seal: &SealState) -> io::Result<Restored> {
        let mut restored = Restored::Whole;
        let mut gone: BTreeSet<_> =
            self.all().iter().map(|queue| (queue.topic().to_owned(), queue.queue_id())).collect();
        for (topic, queue_id, next) in &seal.queue_ends {
            gone.remove(&(topic.clone(), *queue_id));
            let queue = self.get(topic, *queue_id);
            if let Some(queue) = &queue
                && queue.truncate(*next)?
            {
                continue;
            }
            if restored == Restored::Whole {
                // A queue without its units looks whole. Whoever starts next must not take it for that.
                mark::forget(&**self.files.disk(), &self.dir)?;
                restored = Restored::Incomplete;
            }
            self.reset_queue(topic, *queue_id, QueueOffset(*next))?;
        }
        for (topic, queue_id) in gone {
            self.remove(&topic, queue_id)?;
        }
        self.last_store_timestamp_ms.store(seal.last_store_timestamp_ms, Ordering::Relaxed);
        Ok(restored)
    }

    /// Empties all queues of a topic, in memory: their files go when they are trimmed. They keep their next offset: if the
    /// topic comes back, they go on there. After a restart [`Queues::begin_at`] has to say so again.
    pub fn drop_topic(&self, topic: &str) {
        for queue in self.all().iter().filter(|queue| queue.topic() == topic) {
            queue.begin_at(queue.max().0);
        }
    }

    /// A queue begins at `at`, or at its end if that is before: a topic was deleted when it ended there.
    pub fn begin_at(&self, topic: &str, queue_id: u32, at: QueueOffset) {
        if let Some(queue) = self.get(topic, queue_id) {
            queue.begin_at(at.0);
        }
    }

    /// Drops units of messages below `min`: moves each queue's min offset, and removes files wholly below.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn trim_below(&self, min: CommitlogOffset) -> io::Result<()> {
        self.all().iter().try_for_each(|queue| queue.trim_below(min))
    }

    /// Writes buffered units to their files, without a sync.
    ///
    /// # Errors
    /// If the disk fails; units not written stay buffered.
    pub fn write_out(&self) -> io::Result<()> {
        let _writing_out = sync::lock(&self.writing_out);
        let queues = std::mem::take(&mut *sync::lock(&self.buffered));
        let mut result = Ok(());
        for queue in queues {
            // One that cannot be written keeps no other in memory.
            if let Err(error) = queue.write_out() {
                sync::lock(&self.buffered).push(queue);
                result = result.and(Err(error));
            }
        }
        *sync::lock(&self.error) = result.as_ref().err().map(ToString::to_string);
        result
    }

    /// Writes out and syncs all that changed, and notes how far that was. Best done now and then, by any thread: a
    /// restart after a loss of power reads the log from there on.
    ///
    /// # Errors
    /// If the disk fails. After a failed sync that is final: a later flush fails too.
    pub fn flush(&self) -> io::Result<()> {
        let mut has_failed = sync::lock(&self.flushing);
        if *has_failed {
            return Err(io::Error::other("an earlier sync of consume queues has failed"));
        }
        // Units that are appended meanwhile may be in the state and not below `covered`: a restart skips them.
        let covered = CommitlogOffset(self.covered.load(Ordering::Acquire));
        let mark = Mark { covered, seal: self.seal_state() };
        // A full disk fails here, and is got over: what is not written stays in memory.
        self.write_out()?;
        let mut dirty = Vec::new();
        for queue in self.all() {
            if queue.begin_flush()? {
                dirty.push(queue);
            }
        }
        self.sync_all(&dirty).inspect_err(|_| *has_failed = true)?;
        mark::write(&**self.files.disk(), &self.dir, &mark)
    }

    fn sync_all(&self, dirty: &[Arc<ConsumeQueue>]) -> io::Result<()> {
        let mut dirs = BTreeSet::new();
        for queue in dirty {
            if queue.sync()? {
                let topic = topic_dir(&self.dir, queue.topic());
                dirs.extend(
                    topic.ancestors().take_while(|dir| dir.starts_with(&self.dir)).map(Path::to_path_buf),
                );
            }
        }
        dirs.iter().rev().try_for_each(|dir| self.files.disk().sync_dir(dir))
    }

    /// Brings all queues to the state of a checkpoint as far as what a crash left can be trusted.
    pub(crate) fn recover(&self, seal: &SealState, end: CommitlogOffset) -> io::Result<Recovered> {
        let disk = &**self.files.disk();
        let whole =
            |restored| if restored == Restored::Whole { Recovered::Whole } else { Recovered::Nothing };
        if mark::is_same_boot(disk, &self.dir)? {
            return self.truncate_all(seal).map(whole); // what was written out is there
        }
        match mark::read(disk, &self.dir)? {
            Some(mark) if mark.covered >= end => self.truncate_all(seal).map(whole),
            Some(mark) => {
                let restored = self.truncate_all(&earlier(&mark.seal, seal))?;
                Ok(if restored == Restored::Whole {
                    Recovered::From(mark.covered)
                } else {
                    Recovered::Nothing
                })
            }
            None if seal.queue_ends.is_empty() => self.truncate_all(seal).map(whole),
            None => Ok(Recovered::Nothing),
        }
    }

    /// What is in the files now may be trusted until the machine loses power.
    pub(crate) fn trust(&self) {
        let noted = self.write_out().and_then(|()| mark::note_boot(&**self.files.disk(), &self.dir));
        if let Err(error) = noted {
            // On a full disk nodes start all the same, and make room.
            tracing::warn!(%error, "cannot note that consume queues may be trusted: the next start may build them anew");
        }
    }

    /// Removes all queues, and forgets them.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(&self) -> io::Result<()> {
        let _flushing = sync::lock(&self.flushing);
        let _writing_out = sync::lock(&self.writing_out);
        sync::lock(&self.buffered).clear();
        let mut topics = sync::write(&self.topics);
        topics.clear();
        self.waiting.store(0, Ordering::Relaxed);
        // First, for a queue that lost its older files looks whole.
        mark::forget(&**self.files.disk(), &self.dir)?;
        self.files.disk().remove_dir_all(&self.dir)?;
        self.files.clear();
        self.files.disk().create_dir_all(&self.dir)?;
        self.last_store_timestamp_ms.store(0, Ordering::Relaxed);
        self.covered.store(0, Ordering::Release);
        Ok(())
    }

    fn remove(&self, topic: &str, queue_id: u32) -> io::Result<()> {
        let mut topics = sync::write(&self.topics);
        let Some(queues) = topics.get_mut(topic) else { return Ok(()) };
        if queues.remove(&queue_id).is_some() {
            let dir = topic_dir(&self.dir, topic).join(queue_id.to_string());
            if self.files.disk().exists(&dir) {
                self.files.disk().remove_dir_all(&dir)?;
            }
            self.files.clear();
        }
        Ok(())
    }

    /// In the order of their names, so that what is done to all of them is done alike in equal runs.
    fn all(&self) -> Vec<Arc<ConsumeQueue>> {
        let topics = sync::read(&self.topics);
        let mut queues: Vec<_> = topics.iter().collect();
        queues.sort_unstable_by_key(|(topic, _)| *topic);
        queues.into_iter().flat_map(|(_, queues)| queues.values()).cloned().collect()
    }

    /// The queue, made if missing.
    fn make(&self, topic: &str, queue_id: u32) -> Arc<ConsumeQueue> {
        let mut topics = sync::write(&self.topics);
        let queues = topics.entry(topic.to_owned()).or_default();
        let made = queues.entry(queue_id).or_insert_with(|| {
            let dir = topic_dir(&self.dir, topic).join(queue_id.to_string());
            let units_per_file = self.options.units_per_file;
            let (files, waiting) = (Arc::clone(&self.files), Arc::clone(&self.waiting));
            Arc::new(ConsumeQueue::new(topic, queue_id, dir, units_per_file, files, waiting))
        });
        Arc::clone(made)
    }
}

//! Work that must not hold up an append: making the next segment, page-cache advice, removing files.
//!
//! Write-behind is worth more than twice the throughput: a page that is written back and dropped soon after it
//! was filled can be filled again, while a fresh one has to be found first.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use platform::{DiskFile, Jobs, Tasks, Work, Worker};

use super::Helpers;
use super::shared::Shared;
use crate::LogPoint;
use crate::segment::{REGION_BYTES, Segment};
use crate::sync;

/// How far behind the tail pages are dropped: consumers and followers mostly read nearer to it.
const KEEP_BYTES: u64 = 64 << 20;
/// A region read since the log was this much shorter is in use, and not dropped.
const IN_USE_BYTES: u64 = KEEP_BYTES / 2;
/// Hints beyond it are dropped; a segment to be made waits.
const TASKS_MAX: usize = 256;

/// A segment that could not be made is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

enum Task {
    Prepare { base: u64 },
    Written { segment: Arc<Segment>, region: u64 },
    Purged(Purged),
}

/// The log was purged: that it was goes to the disk, and then the segments go.
pub(super) struct Purged {
    pub(super) upto: LogPoint,
    /// The file that says so, written and not synced.
    pub(super) record: Arc<dyn DiskFile>,
    /// Segments without an entry that is left.
    pub(super) bases: Vec<u64>,
}

/// The helper, if there is one: see [`Helpers`].
pub(super) struct Helper {
    shared: Arc<Shared>,
    next: Arc<Next>,
    tasks: Option<Jobs<Task>>,
    worker: Option<Worker>,
}

/// The segment made ahead.
struct Next {
    slot: Mutex<Slot>,
    changed: Condvar,
}

enum Slot {
    Empty,
    /// Being made by the helper.
    Awaited,
    Ready(Arc<Segment>),
    /// It could not be made; the helper tries again.
    Failed,
}

impl Helper {
    pub(super) fn start(shared: &Arc<Shared>, helpers: Helpers, tasks: &Tasks) -> io::Result<Self> {
        let next = Arc::new(Next { slot: Mutex::new(Slot::Empty), changed: Condvar::new() });
        let mut helper = Self { shared: Arc::clone(shared), next, tasks: None, worker: None };
        if helpers == Helpers::Threads {
            let (shared, next) = (Arc::clone(shared), Arc::clone(&helper.next));
            let helping = Helping { shared, next, missing: None };
            let (jobs, worker) = tasks.start("store-helper", Some(TASKS_MAX), helping)?;
            (helper.tasks, helper.worker) = (Some(jobs), Some(worker));
        }
        Ok(helper)
    }

    /// Begins to make the segment at `base`, unless it is being made. Without a thread nothing is made ahead.
    pub(super) fn prepare(&self, base: u64) {
        let Some(tasks) = &self.tasks else { return };
        let mut slot = sync::lock(&self.next.slot);
        match &*slot {
            Slot::Awaited | Slot::Failed => return,
            Slot::Ready(segment) if segment.base() == base => return,
            Slot::Ready(_) | Slot::Empty => {}
        }
        if tasks.try_send(Task::Prepare { base }) {
            *slot = Slot::Awaited;
        }
    }

    /// The segment at `base`, zeroed and on disk: the one made ahead, or one made now.
    ///
    /// # Errors
    /// A full disk. Nothing has changed then.
    pub(super) fn take(&self, base: u64) -> io::Result<Arc<Segment>> {
        let mut slot = self.settled();
        let before = std::mem::replace(&mut *slot, Slot::Empty);
        let was_missing = matches!(before, Slot::Failed);
        match before {
            Slot::Ready(segment) if segment.base() == base => Ok(segment),
            _ => match make(&self.shared, base) {
                Ok(made) => {
                    self.shared.note_room(true);
                    Ok(made)
                }
                Err(error) => {
                    if was_missing {
                        *slot = Slot::Failed; // the helper goes on trying
                    }
                    Err(error)
                }
            },
        }
    }

    /// A segment that was taken and not written to.
    pub(super) fn give_back(&self, segment: Arc<Segment>) {
        *sync::lock(&self.next.slot) = Slot::Ready(segment);
    }

    /// Forgets the segment made ahead, for the log goes on elsewhere.
    pub(super) fn forget(&self) {
        *self.settled() = Slot::Empty;
    }

    /// The slot, once nobody is filling it.
    fn settled(&self) -> MutexGuard<'_, Slot> {
        let slot = sync::lock(&self.next.slot);
        if !matches!(*slot, Slot::Awaited) {
            return slot;
        }
        drop(slot);
        if let Some(tasks) = &self.tasks {
            tasks.hurry();
        }
        let mut slot = sync::lock(&self.next.slot);
        while matches!(*slot, Slot::Awaited) {
            slot = self.next.changed.wait(slot).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        slot
    }

    /// The log has grown from `before` to `after` in `segment`: full regions are written back, old ones dropped.
    pub(super) fn written(&self, segment: &Arc<Segment>, before: u64, after: u64) {
        let Some(tasks) = &self.tasks else { return };
        for region in before / REGION_BYTES..after / REGION_BYTES {
            // A hint: if the helper is behind, the system's own write-back does it.
            tasks.try_send(Task::Written { segment: Arc::clone(segment), region: region * REGION_BYTES });
        }
    }

    /// Makes a purge last, and removes the files that nobody needs after it.
    pub(super) fn purged(&self, purged: Purged) {
        match &self.tasks {
            None => finish_purge(&self.shared, &purged),
            // If the helper is gone, the next start does it.
            Some(tasks) => {
                tasks.send(Task::Purged(purged));
            }
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(worker) = self.worker.take()
            && !worker.join()
        {
            tracing::error!("the log's helper panicked");
        }
    }
}

/// The helper's worker.
struct Helping {
    shared: Arc<Shared>,
    next: Arc<Next>,
    /// The segment that could not be made.
    missing: Option<u64>,
}

impl Work<Task> for Helping {
    fn patience(&mut self) -> Option<Duration> {
        self.missing.map(|_| AGAIN_AFTER)
    }

    fn take(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            match task {
                Task::Prepare { base } => self.missing = prepare(&self.shared, &self.next, base).err(),
                Task::Written { segment, region } => write_behind(&self.shared, &segment, region),
                Task::Purged(purged) => finish_purge(&self.shared, &purged),
            }
        }
    }

    fn idle(&mut self) {
        let base = self.missing.take().filter(|_| matches!(*sync::lock(&self.next.slot), Slot::Failed));
        self.missing = base.and_then(|base| prepare(&self.shared, &self.next, base).err());
    }
}

fn finish_purge(shared: &Shared, purged: &Purged) {
    if let Err(error) = purged.record.sync_data() {
        return shared.fail(&format!("cannot write down what is purged: {error}"));
    }
    *sync::lock(&shared.purged_on_disk) = Some(purged.upto);
    if !purged.bases.is_empty() {
        shared.remove_segments(&purged.bases);
    }
}

/// Makes the segment at `base` and lays it ready. `Err` with the base if it could not be made.
fn prepare(shared: &Shared, next: &Next, base: u64) -> Result<(), u64> {
    let made = make(shared, base);
    if let Err(error) = &made
        && shared.note_room(false)
    {
        tracing::error!(base, %error, "no room for the next segment of the log: messages are refused until there is");
    }
    if made.is_ok() && shared.note_room(true) {
        tracing::info!(base, "there is room for the next segment of the log");
    }
    let has_failed = made.is_err();
    *sync::lock(&next.slot) = made.map_or(Slot::Failed, Slot::Ready);
    next.changed.notify_all();
    if has_failed { Err(base) } else { Ok(()) }
}

fn make(shared: &Shared, base: u64) -> io::Result<Arc<Segment>> {
    let _files = sync::lock(&shared.files);
    Segment::create(&*shared.disk, &shared.dir, base, shared.segment_bytes).map(Arc::new)
}

/// Regions are of the commitlog, so a segment smaller than a region has none of its own, and needs none.
fn write_behind(shared: &Shared, segment: &Segment, region: u64) {
    if !segment.base().is_multiple_of(REGION_BYTES) || region + REGION_BYTES > segment.limit() {
        return;
    }
    if region >= segment.base() {
        segment.start_write_back(region, REGION_BYTES);
    }
    let Some(old) = region.checked_sub(KEEP_BYTES) else { return };
    let old_segment = {
        let state = sync::read(&shared.state);
        let part = state.segments.iter().rev().find(|part| part.segment.base() <= old);
        part.map(|part| Arc::clone(&part.segment))
    };
    let Some(old_segment) = old_segment else { return };
    let is_in_use = old_segment.limit() < old + REGION_BYTES
        || region.saturating_sub(old_segment.read_when(old)) < IN_USE_BYTES;
    if !is_in_use {
        old_segment.drop_cache(old, REGION_BYTES);
    }
}

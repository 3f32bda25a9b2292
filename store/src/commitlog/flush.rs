//! The flusher: takes appends in order, syncs each segment they touched once for all that are waiting, and then
//! tells them, in order.
//!
//! A failed sync is final. The pages it could not write may be gone from the cache, so a second try would prove
//! nothing: the log stops, and everybody who waits is told.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use platform::{Clock, Jobs, OpenMode, Tasks, Work, Worker};

use super::shared::Shared;
use super::{Done, FlushMode, Helpers};
use crate::log_index::sidecar_path;
use crate::segment::Segment;

/// More appends than this may not wait for the flusher; the next one waits until it has taken some.
const JOBS_MAX: usize = 1024;
/// With nothing more to sync for so long, the proof of the last sync is synced by itself.
const PROOF_AFTER: Duration = Duration::from_millis(50);

/// What one append, or one barrier, asks for.
pub(super) struct Job {
    /// Segments it wrote to.
    pub(super) written: Vec<Arc<Segment>>,
    /// When the append began, by the monotonic clock; `None` for a barrier.
    pub(super) began: Option<Duration>,
    /// Where the log ended then.
    pub(super) end: u64,
    /// Whether `done` waits for a sync.
    pub(super) needs_sync: bool,
    pub(super) done: Option<Done>,
    /// Why it failed before it got here; only to be told in its turn.
    pub(super) failed: Option<io::Error>,
    /// Sidecars to write once the segments, by base, are on disk.
    pub(super) sidecars: Vec<(u64, Vec<u8>)>,
}

/// Hands jobs to whoever flushes.
pub(super) enum Flusher {
    Worker { jobs: Option<Jobs<Job>>, worker: Option<Worker> },
    Inline(Flush),
}

impl Flusher {
    pub(super) fn start(
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
        mode: FlushMode,
        helpers: Helpers,
        tasks: &Tasks,
    ) -> io::Result<Self> {
        let flush = Flush {
            shared: Arc::clone(shared),
            clock: Arc::clone(clock),
            dirty: Vec::new(),
            end: 0,
            sidecars: Vec::new(),
            unproved: None,
            untold: Vec::new(),
        };
        if helpers == Helpers::Inline {
            return Ok(Self::Inline(flush));
        }
        let interval = match mode {
            FlushMode::Sync => Duration::MAX, // every append has a sync of its own
            FlushMode::Async { interval_ms } => Duration::from_millis(interval_ms),
        };
        let (jobs, worker) =
            tasks.start("store-flush", Some(JOBS_MAX), Flushing { flush, interval, due: None })?;
        Ok(Self::Worker { jobs: Some(jobs), worker: Some(worker) })
    }

    /// Takes a job, after all earlier ones.
    pub(super) fn submit(&mut self, job: Job) {
        match self {
            Self::Inline(flush) => {
                flush.work(vec![job]);
                flush.tell();
            }
            Self::Worker { jobs, .. } => {
                let jobs = jobs.as_ref().expect("the queue ends on drop only");
                assert!(jobs.send(job), "the flusher lives as long as its queue");
            }
        }
    }

    /// Waits until everything up to `end` is on disk and everybody has been told.
    pub(super) fn rest(&mut self, end: u64) -> io::Result<()> {
        let (tell, told) = sync_channel(1);
        let done: Done = Box::new(move |result| {
            drop(tell.send(result)); // only fails if nobody waits any more
        });
        self.submit(Job::barrier(end, done));
        if let Self::Worker { jobs: Some(jobs), .. } = self {
            jobs.hurry();
        }
        told.recv().unwrap_or_else(|_| Err(io::Error::other("the flusher is gone")))
    }
}

impl Job {
    /// Waits for everything before it.
    pub(super) fn barrier(end: u64, done: Done) -> Self {
        Self {
            written: Vec::new(),
            began: None,
            end,
            needs_sync: true,
            done: Some(done),
            failed: None,
            sidecars: Vec::new(),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        if let Self::Worker { jobs, worker } = self {
            drop(jobs.take()); // the worker ends when it has done what it has
            if let Some(worker) = worker.take()
                && !worker.join()
            {
                tracing::error!("the flusher panicked");
            }
        }
    }
}

/// The flusher's worker.
struct Flushing {
    flush: Flush,
    /// Longest time between two syncs of what nobody waits for.
    interval: Duration,
    /// When the oldest unsynced append has waited for long enough, by the monotonic clock.
    due: Option<Duration>,
}

impl Flushing {
    fn sync_if_due(&mut self) {
        let now = self.flush.clock.monotonic();
        if self.due.is_some_and(|due| due <= now) {
            self.flush.sync();
        }
        self.due = if self.flush.dirty.is_empty() {
            None
        } else {
            Some(self.due.unwrap_or(now.saturating_add(self.interval)))
        };
    }
}

impl Work<Job> for Flushing {
    fn patience(&mut self) -> Option<Duration> {
        match self.due {
            None if self.flush.unproved.is_some() => Some(PROOF_AFTER),
            None => None,
            Some(due) => Some(due.saturating_sub(self.flush.clock.monotonic())),
        }
    }

    fn take(&mut self, jobs: Vec<Job>) {
        self.flush.work(jobs);
    }

    fn tell(&mut self) {
        self.flush.tell();
        self.sync_if_due();
    }

    fn idle(&mut self) {
        if self.due.is_none() {
            self.flush.prove();
        } else {
            self.flush.sync();
        }
        self.sync_if_due();
    }
}

/// What is not on disk yet.
pub(super) struct Flush {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    dirty: Vec<Arc<Segment>>,
    end: u64,
    sidecars: Vec<(u64, Vec<u8>)>,
    /// The segment synced last, while no evidence on disk says so.
    unproved: Option<Arc<Segment>>,
    /// Jobs that are done and not told yet.
    untold: Vec<Job>,
}

impl Flush {
    fn work(&mut self, mut jobs: Vec<Job>) {
        for job in &mut jobs {
            for segment in job.written.drain(..) {
                if self.dirty.last().is_none_or(|last| !Arc::ptr_eq(last, &segment)) {
                    self.dirty.push(segment);
                }
            }
            self.end = job.end; // not the larger one: the log may have been cut in between
            self.sidecars.append(&mut job.sidecars);
        }
        if jobs.iter().any(|job| job.needs_sync) {
            self.sync();
        }
        self.untold = jobs;
    }

    /// Tells whoever waits for the jobs worked on last.
    fn tell(&mut self) {
        let now = self.clock.monotonic();
        for job in std::mem::take(&mut self.untold) {
            if let Some(began) = job.began {
                self.shared.appended_in(now.saturating_sub(began));
            }
            let result = job.failed.map_or_else(|| self.shared.check(), Err);
            if let Some(done) = job.done {
                done(result);
            }
        }
    }

    fn sync(&mut self) {
        if let Some(tail) = self.dirty.last() {
            self.unproved = Some(Arc::clone(tail));
            self.testify(&Arc::clone(tail));
        }
        for segment in std::mem::take(&mut self.dirty) {
            self.sync_one(&segment);
        }
        let sidecars = std::mem::take(&mut self.sidecars);
        if self.shared.failure().is_some() {
            return;
        }
        self.shared.flushed.store(self.end, Ordering::Release);
        for (base, bytes) in sidecars {
            let path = sidecar_path(&self.shared.dir, base);
            if let Err(error) = write_sidecar(&self.shared, &path, &bytes) {
                tracing::warn!(path = %path.display(), %error, "no sidecar: the next start reads the segment");
            }
        }
    }

    /// Syncs the evidence of the last sync, for nothing else comes that would take it along.
    fn prove(&mut self) {
        if let Some(segment) = self.unproved.take() {
            self.testify(&segment);
            self.sync_one(&segment);
        }
    }

    /// Writes up to where the log is on disk, to be on disk with the next sync of `segment`.
    fn testify(&self, segment: &Segment) {
        if self.shared.failure().is_some() {
            return;
        }
        if let Err(error) = self.shared.evidences.write(segment, || self.shared.flushed()) {
            self.shared.fail(&format!("write to {}: {error}", segment.path().display()));
        }
    }

    fn sync_one(&self, segment: &Segment) {
        if self.shared.failure().is_some() {
            return;
        }
        let began = self.clock.monotonic();
        let synced = segment.sync();
        let took = self.clock.monotonic().saturating_sub(began);
        self.shared.sync_times.record(took.as_micros() as u64);
        if let Err(error) = synced {
            self.shared.fail(&format!("sync of {}: {error}", segment.path().display()));
        }
    }
}

/// Not synced: if it is lost or torn, the segment is read instead.
pub(super) fn write_sidecar(shared: &Shared, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = shared.disk.open(path, OpenMode::Create)?;
    file.set_len(bytes.len() as u64)?;
    file.write_all_at(&[io::IoSlice::new(bytes)], 0)
}

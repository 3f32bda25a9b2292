//! openraft's state machine over the application's [`Apply`]: committed entries in order, checkpoints,
//! and snapshots, which are nothing but the checkpoint at the purge boundary.
//!
//! A boundary is the last entry of a segment. Just before the first entry of the next segment is applied
//! the state is exactly "after the boundary", and a checkpoint of it is taken.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{OptionalSend, Raft};
use serde::{Deserialize, Serialize};
use store::codec::{self, Record};
use store::{Checkpoint, CommitlogOffset, EntryKind, Keep, LogPoint, StoredEntry};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use crate::apply::{Apply, ApplyError, Halt, Reply};
use crate::files::Files;
use crate::types::{
    Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, StoredMembershipForm, Types, log_id, log_point,
};

/// The running raft.
pub(crate) type RaftHandle = Raft<Types, StateMachine>;

/// Between two checkpoints a restart has at most this much to apply again, and one segment at most.
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// Applied in one go before other tasks of the node get their turn.
const RUN_ENTRIES_MAX: usize = 64;
const RUN_BYTES_MAX: u64 = 4 << 20;

/// Committed entries become state here.
pub(crate) struct StateMachine {
    /// In a mutex only because openraft wants a state machine that can be shared; it has one user.
    apply: Mutex<Box<dyn Apply>>,
    files: Arc<Files>,
    applied: Option<LogPoint>,
    /// Where the last applied entry ends, or where the log goes on behind it.
    next_offset: CommitlogOffset,
    membership: StoredMembership,
    since_checkpoint_bytes: u64,
    /// The boundary that retention wants to be the snapshot.
    chosen: Chosen,
    writer: CheckpointWriter,
    /// Set once an entry could not be taken in.
    halted: watch::Sender<Option<Halted>>,
}

/// Where applying stopped for good, and why.
#[derive(Clone, Debug)]
pub(crate) struct Halted {
    /// Last entry that was applied.
    pub(crate) applied_index: u64,
    /// In a sentence.
    pub(crate) reason: String,
}

/// A boundary, handed from retention to the state machine.
#[derive(Clone, Default)]
pub(crate) struct Chosen(Arc<Mutex<Option<LogPoint>>>);

impl Chosen {
    pub(crate) fn set(&self, boundary: LogPoint) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(boundary);
    }

    fn take(&self) -> Option<LogPoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What of a checkpoint the store does not look into.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AppForm {
    membership: StoredMembershipForm,
    app: Vec<u8>,
}

impl Record for AppForm {
    const KIND: u16 = 0x0205;
    const NAME: &'static str = "raft-state";
    const BYTES_MAX: usize = 1 << 30;
}

/// Takes a checkpoint apart: the application's own, and the membership.
fn unwrap_checkpoint(mut checkpoint: Checkpoint) -> io::Result<(Checkpoint, StoredMembership)> {
    let form: AppForm = codec::decode(&checkpoint.app)?;
    checkpoint.app = form.app;
    Ok((checkpoint, form.membership.try_into()?))
}

impl StateMachine {
    /// Restores the application to `checkpoint`, or to nothing.
    pub(crate) fn new(
        mut apply: Box<dyn Apply>,
        files: Arc<Files>,
        checkpoint: Option<Checkpoint>,
        chosen: Chosen,
        writer: CheckpointWriter,
        halted: watch::Sender<Option<Halted>>,
    ) -> Result<Self, ApplyError> {
        let mut applied = None;
        let mut next_offset = CommitlogOffset(0);
        let mut membership = StoredMembership::default();
        match checkpoint {
            Some(checkpoint) => {
                let (checkpoint, stored) = unwrap_checkpoint(checkpoint).map_err(ApplyError::new)?;
                (applied, next_offset, membership) = (Some(checkpoint.last), checkpoint.next_offset, stored);
                apply.restore(Some(&checkpoint), files.reader())?;
            }
            None => apply.restore(None, files.reader())?,
        }
        Ok(Self {
            apply: Mutex::new(apply),
            files,
            applied,
            next_offset,
            membership,
            since_checkpoint_bytes: 0,
            chosen,
            writer,
            halted,
        })
    }

    fn apply(&mut self) -> &mut dyn Apply {
        &mut **self.apply.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state after the last applied entry; `next_offset` is where the log goes on. None once an entry could
    /// not be taken in: parts of it may be in the state.
    fn capture(&mut self, next_offset: CommitlogOffset) -> Option<Checkpoint> {
        if self.is_halted() {
            return None;
        }
        let last = self.applied?;
        let (seal, app) = match self.apply().checkpoint() {
            Ok(state) => state,
            Err(error) => {
                error!(%last, %error, "no checkpoint");
                return None;
            }
        };
        self.since_checkpoint_bytes = 0;
        let form = AppForm { membership: StoredMembershipForm::from(&self.membership), app };
        match codec::encode(&form) {
            Ok(app) => Some(Checkpoint { last, next_offset, seal, app }),
            Err(error) => {
                error!(%last, %error, "no checkpoint");
                None
            }
        }
    }

    /// Writes a checkpoint of the state now; `done` hears of it. Nothing applied is fine.
    pub(crate) fn checkpoint_now(&mut self, done: oneshot::Sender<io::Result<()>>) {
        match self.capture(self.next_offset) {
            Some(checkpoint) => self.writer.save(&self.files, checkpoint, Keep::Newest, Some(done)),
            None => {
                let _ = done.send(Ok(())); // whoever asked may be gone
            }
        }
    }

    /// Before an entry of the next segment is applied the state is the one at the boundary.
    fn checkpoint_at_boundary(&mut self, entry: &StoredEntry) {
        let segment_bytes = self.files.reader().segment_bytes();
        let crossed = self.next_offset.0 > 0
            && (self.next_offset.0 - 1) / segment_bytes != entry.head.offset.0 / segment_bytes;
        if crossed
            && !self.has_boundary_checkpoint()
            && let Some(checkpoint) = self.capture(entry.head.offset)
        {
            self.writer.save(&self.files, checkpoint, Keep::Boundary, None);
        }
    }

    /// After a restart from a boundary, or behind an installed snapshot, it is there already.
    fn has_boundary_checkpoint(&self) -> bool {
        let checkpoints = self.files.checkpoints().list();
        checkpoints.iter().any(|known| Some(known.last) == self.applied && known.keep != Keep::Newest)
    }

    fn is_halted(&self) -> bool {
        self.halted.borrow().is_some()
    }

    /// Applies nothing any more. The node stays: it keeps the log and its votes, and tells why.
    fn halt(&mut self, id: &LogId, halt: &Halt) {
        let reason = format!("cannot apply entry {} of term {}: {halt}", id.index, id.leader_id.term);
        error!(log_index = id.index, term = id.leader_id.term, reason = %halt, "nothing more is applied on this node");
        let applied_index = self.applied.map_or(0, |applied| applied.log_index);
        self.halted.send_replace(Some(Halted { applied_index, reason }));
    }

    fn take_in(&mut self, entry: &Entry) -> Result<Reply, Halt> {
        let id: LogId = entry.log_id();
        // Drafts come only from a test that has no log, and leave gaps.
        if let Some(applied) = self.applied.filter(|_| entry.sealed().is_some())
            && (applied.log_index + 1 != id.index || applied.term > id.leader_id.term)
        {
            return Err(Halt::Entry(format!("it does not follow entry {applied}, the last one applied")));
        }
        if let Some(stored) = entry.sealed() {
            self.checkpoint_at_boundary(stored);
        }
        if let Some(membership) = entry.get_membership() {
            self.membership = StoredMembership::new(Some(id), membership);
        }
        let mut reply = Reply::default();
        if let Some(stored) = entry.sealed() {
            if matches!(stored.head.kind, EntryKind::Units | EntryKind::Command) {
                reply = self.apply().apply(stored)?;
            }
            self.next_offset = stored.head.end();
            self.since_checkpoint_bytes += u64::from(stored.head.entry_bytes);
        }
        self.applied = Some(log_point(&id));
        if self.since_checkpoint_bytes >= CHECKPOINT_BYTES
            && let Some(checkpoint) = self.capture(self.next_offset)
        {
            self.writer.save(&self.files, checkpoint, Keep::Newest, None);
        }
        Ok(reply)
    }

    fn tell_applied(&mut self) {
        if let Some(applied) = self.applied {
            self.apply().applied(applied);
        }
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.map(log_id), self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let (mut run_entries, mut run_bytes) = (0, 0);
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            // raft counts what comes here as applied; `View` and `read_index` know better. Whoever waits hears
            // that the outcome is unknown.
            if self.is_halted() {
                continue;
            }
            match self.take_in(&entry) {
                Ok(reply) => {
                    if let Some(responder) = responder {
                        responder.send(reply);
                    }
                }
                Err(halt @ Halt::Entry(_)) => self.halt(&entry.log_id(), &halt),
                Err(Halt::Disk(reason)) => {
                    return Err(io::Error::other(format!("cannot apply {}: {reason}", entry.log_id())));
                }
            }
            run_entries += 1;
            run_bytes += entry.sealed().map_or(0, |stored| u64::from(stored.head.entry_bytes));
            if run_entries >= RUN_ENTRIES_MAX || run_bytes >= RUN_BYTES_MAX {
                (run_entries, run_bytes) = (0, 0);
                self.tell_applied();
                tokio::task::yield_now().await;
            }
        }
        self.tell_applied();
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let files = Arc::clone(&self.files);
        if let Some(boundary) = self.chosen.take() {
            return Some(Builder { files, source: Source::Stored(boundary) });
        }
        if !force {
            return None;
        }
        // Asked at start, when something is purged and no snapshot is found: never a newer one than the
        // boundary, or every retained entry would be purged up to it.
        let Some(purged) = files.reader().purged() else { return Some(self.get_snapshot_builder().await) };
        if files.checkpoints().list().iter().any(|known| known.last == purged) {
            return Some(Builder { files, source: Source::Stored(purged) });
        }
        warn!(%purged, "the checkpoint at the purge point is gone; followers behind it will get the newest state");
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let source = match self.capture(self.next_offset) {
            Some(checkpoint) => Source::Captured(checkpoint),
            None => Source::Nothing,
        };
        Builder { files: Arc::clone(&self.files), source }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let checkpoint: Checkpoint = codec::decode(&data)?;
        let announced = meta.last_log_id.as_ref().map(log_point);
        if announced != Some(checkpoint.last) {
            return Err(io::Error::other(format!(
                "snapshot of {announced:?} holds a checkpoint of {}",
                checkpoint.last
            )));
        }
        // On disk before anything else changes: opening again finishes what a crash after this leaves.
        self.files.checkpoints().save(&checkpoint, Keep::Installed).map_err(io::Error::other)?;
        self.files.set_snapshot(checkpoint.last)?;
        let (own, membership) = unwrap_checkpoint(checkpoint.clone())?;
        self.apply().install(&own).map_err(io::Error::other)?;
        info!(last = %own.last, next_offset = %own.next_offset, "installed a snapshot");
        self.applied = Some(own.last);
        self.next_offset = own.next_offset;
        self.membership = membership;
        self.since_checkpoint_bytes = 0;
        self.files.set_installed(checkpoint); // openraft asks for the purge up to it next
        self.apply().applied(own.last);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let Some(point) = self.files.snapshot() else { return Ok(None) };
        let checkpoint = self.files.checkpoints().load(point).map_err(io::Error::other)?;
        checkpoint.map(|checkpoint| to_snapshot(&checkpoint)).transpose()
    }
}

fn to_snapshot(checkpoint: &Checkpoint) -> io::Result<Snapshot> {
    let snapshot = Bytes::from(codec::encode(checkpoint)?);
    let form: AppForm = codec::decode(&checkpoint.app)?;
    let last_membership = form.membership.try_into()?;
    Ok(Snapshot {
        meta: SnapshotMeta { last_log_id: Some(log_id(checkpoint.last)), last_membership },
        snapshot,
    })
}

/// Makes one checkpoint the current snapshot.
pub(crate) struct Builder {
    files: Arc<Files>,
    source: Source,
}

enum Source {
    /// The checkpoint after this entry, which is on disk.
    Stored(LogPoint),
    /// Taken just now.
    Captured(Checkpoint),
    /// Nothing was ever applied.
    Nothing,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let checkpoint = match &self.source {
            Source::Stored(point) => {
                let stored = self.files.checkpoints().load(*point).map_err(io::Error::other)?;
                stored.ok_or_else(|| io::Error::other(format!("the checkpoint after {point} is gone")))?
            }
            Source::Captured(checkpoint) => {
                self.files.checkpoints().save(checkpoint, Keep::Boundary).map_err(io::Error::other)?;
                checkpoint.clone()
            }
            Source::Nothing => {
                return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot: Bytes::new() });
            }
        };
        self.files.set_snapshot(checkpoint.last)?;
        to_snapshot(&checkpoint)
    }
}

/// Writes checkpoints on a thread of its own, each after the log is on disk up to it.
#[derive(Clone)]
pub(crate) struct CheckpointWriter(std::sync::mpsc::Sender<Job>);

struct Job {
    checkpoint: Checkpoint,
    keep: Keep,
    flushed: io::Result<()>,
    done: Option<oneshot::Sender<io::Result<()>>>,
}

/// Whether the disk is full, or there are too many open files: that passes.
fn lacks_room(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24]; // ENFILE, EMFILE
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        let passes = io.is_some_and(|io| {
            matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
                || io.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
        });
        if passes {
            return true;
        }
        next = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl CheckpointWriter {
    /// The thread ends when the last handle is gone.
    pub(crate) fn start(
        files: Arc<Files>,
        fatal: impl Fn(String) + Send + 'static,
    ) -> io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(move || {
            for job in jobs {
                let outcome = job.flushed.and_then(|()| {
                    let mut checkpoints = files.checkpoints();
                    checkpoints.save(&job.checkpoint, job.keep).map_err(io::Error::other)?;
                    checkpoints.prune(files.reader().purged()).map_err(io::Error::other)
                });
                if let Err(error) = &outcome {
                    error!(last = %job.checkpoint.last, %error, "cannot write a checkpoint");
                    // Without room the older ones stay as they were, and the next start has more to read.
                    if !lacks_room(error) {
                        fatal(format!("cannot write the checkpoint after {}: {error}", job.checkpoint.last));
                    }
                }
                if let Some(done) = job.done {
                    let _ = done.send(outcome); // whoever asked may be gone
                }
            }
        })?;
        Ok((Self(sender), thread))
    }

    fn save(
        &self,
        files: &Files,
        checkpoint: Checkpoint,
        keep: Keep,
        done: Option<oneshot::Sender<io::Result<()>>>,
    ) {
        // A checkpoint beyond the end of the log would make a restart purge the log up to it, so the
        // entries must be on disk first.
        let sender = self.0.clone();
        let barrier = files.with_log(|log| {
            log.flush_barrier(Box::new(move |flushed| {
                let _ = sender.send(Job { checkpoint, keep, flushed, done }); // at the node's end nobody listens
            }));
            Ok(())
        });
        if let Err(error) = barrier {
            info!(%error, "no checkpoint");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_state_stay_what_they_are() {
        let membership = crate::types::stored_membership_sample();
        crate::suite::golden(&[AppForm { membership, app: vec![1, 2, 3] }], &[]);
    }
}

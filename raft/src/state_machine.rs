//! openraft's state machine over the application's [`Apply`]: committed entries in order, checkpoints,
//! and snapshots, which are nothing but the checkpoint at the purge boundary.
//!
//! A boundary is the last entry of a segment. Just before the first entry of the next segment is applied
//! the state is exactly "after the boundary", and a checkpoint of it is taken.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{OptionalSend, Raft};
use store::codec;
use store::{Checkpoint, CommitlogOffset, EntryKind, Keep, LogPoint, StoredEntry};
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use crate::apply::{Apply, ApplyError, Halt, Reply};
use crate::checkpoints::{
    Captured, CheckpointWriter, RaftState, SnapshotData, check_all_read, raft_state_of, to_snapshot,
};
use crate::files::Files;
use crate::level::{self, GroupChange};
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

/// Between two looks whether something was mended.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Committed entries become state here.
pub(crate) struct StateMachine {
    /// In a mutex only because openraft wants a state machine that can be shared; it has one user.
    apply: Mutex<Option<Box<dyn Apply>>>,
    /// The checkpoint that could not be restored yet, for the log is damaged below it.
    pending: Option<Checkpoint>,
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
        let mut pending = None;
        match checkpoint {
            Some(checkpoint) => {
                let (stored, level) = raft_state_of(&checkpoint).map_err(ApplyError::new)?;
                files.level().raise(level);
                membership = stored;
                (applied, next_offset) = (Some(checkpoint.last), checkpoint.next_offset);
                if restore(&mut *apply, &checkpoint, &files)? {
                    pending = Some(checkpoint);
                }
            }
            None => apply.restore(None, files.reader())?,
        }
        Ok(Self {
            apply: Mutex::new(Some(apply)),
            pending,
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
        let apply = self.apply.get_mut().unwrap_or_else(PoisonError::into_inner);
        &mut **apply.as_mut().expect("it is taken only while its one user waits for it")
    }

    /// Whether the state of the checkpoint is not there yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Restores what could not be restored before, if it can be now. Off this thread, for it may read much.
    pub(crate) async fn restore_again(&mut self) -> io::Result<()> {
        let Some(checkpoint) = self.pending.take() else { return Ok(()) };
        let apply = self.apply.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let mut apply = apply.expect("it is taken only while its one user waits for it");
        let files = Arc::clone(&self.files);
        let restoring = self.files.tasks().off_thread(move || {
            let restored = restore(&mut *apply, &checkpoint, &files);
            Ok((apply, checkpoint, restored))
        });
        let (apply, checkpoint, restored) = restoring.await?;
        *self.apply.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(apply);
        if restored.map_err(io::Error::other)? {
            self.pending = Some(checkpoint);
        } else {
            info!(last = ?self.applied, "queues and index are built: the log was mended");
        }
        Ok(())
    }

    /// Returns once the state of the checkpoint is there.
    async fn wait_for_restore(&mut self) -> io::Result<()> {
        let mut seen = None;
        while self.is_pending() {
            let news = self.files.reader().damage_news();
            if seen != Some(news) {
                seen = Some(news);
                self.restore_again().await?;
            }
            if self.is_pending() {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// The state after the last applied entry; `next_offset` is where the log goes on. None once an entry could
    /// not be taken in: parts of it may be in the state.
    fn capture(&mut self, next_offset: CommitlogOffset) -> Option<Captured> {
        if self.is_halted() || self.is_pending() {
            return None;
        }
        let last = self.applied?;
        let (seal, write) = self.apply().checkpoint();
        self.since_checkpoint_bytes = 0;
        let feature_level = self.files.level().group();
        let raft = RaftState {
            membership: StoredMembershipForm::of(&self.membership, feature_level),
            feature_level,
        };
        Some(Captured { last, next_offset, seal, raft, write })
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
        if entry.is_unread() {
            return Err(Halt::Entry("it is damaged on this node".into()));
        }
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
            if stored.head.kind == EntryKind::Units
                && self.files.reader().is_lost(id.index)
                && stored.verify().is_err()
            {
                if !self.apply().can_take_damaged(stored) {
                    let why = "it is damaged on every node, and what is left of it does not say where its messages belong";
                    return Err(Halt::Entry(why.into()));
                }
                warn!(
                    log_index = id.index,
                    "taken in, though damaged on every node: what is damaged in it is refused"
                );
            }
            if matches!(stored.head.kind, EntryKind::Units | EntryKind::Command) {
                reply = self.apply().apply(stored)?;
            }
            if stored.head.kind == EntryKind::Group {
                self.take_group_change(stored).map_err(Halt::Entry)?;
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

    /// A change of the group's own state. One that this build does not understand must not be left out.
    fn take_group_change(&mut self, entry: &StoredEntry) -> Result<(), String> {
        let change = codec::decode::<GroupChange>(&entry.payload()).map_err(|error| error.to_string())?;
        match change {
            GroupChange::RaiseLevel(level) => {
                level::check(level)?;
                self.files.level().raise(level);
                info!(log_index = entry.head.log_index, level, "the group's feature level");
            }
        }
        Ok(())
    }

    fn tell_applied(&mut self) {
        if let Some(applied) = self.applied {
            self.apply().applied(applied);
        }
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied.map(log_id), self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        self.wait_for_restore().await?;
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
            Some(state) => Source::Captured(Box::new(state)),
            None => Source::Nothing,
        };
        Builder { files: Arc::clone(&self.files), source }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> io::Result<()> {
        let dir = self.files.checkpoints().dir();
        let unnamed = data.into_unnamed(&dir)?;
        let (announced, found) = (meta.last_log_id.as_ref().map(log_point), unnamed.checkpoint.last);
        if announced != Some(found) {
            return Err(io::Error::other(format!("snapshot of {announced:?} holds a checkpoint of {found}")));
        }
        // On disk before anything else changes: opening again finishes what a crash after this leaves.
        let named = self.files.checkpoints().name(unnamed, Keep::Installed);
        let checkpoint = named.map_err(io::Error::other)?;
        self.files.set_snapshot(checkpoint.last)?;
        let (membership, level) = raft_state_of(&checkpoint)?;
        self.apply().install(&checkpoint).map_err(io::Error::other)?;
        self.pending = None;
        self.files.waits().set_restore(None);
        check_all_read(&checkpoint)?;
        info!(last = %checkpoint.last, next_offset = %checkpoint.next_offset, "installed a snapshot");
        self.applied = Some(checkpoint.last);
        self.next_offset = checkpoint.next_offset;
        self.membership = membership;
        self.files.level().raise(level);
        self.since_checkpoint_bytes = 0;
        self.apply().applied(checkpoint.last);
        self.files.set_installed(checkpoint); // openraft asks for the purge up to it next
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let Some(point) = self.files.snapshot() else { return Ok(None) };
        let Some(file) = self.files.checkpoints().find(point) else { return Ok(None) };
        let loading = self.files.tasks().off_thread(move || file.load().map_err(io::Error::other));
        loading.await?.map(to_snapshot).transpose()
    }
}

/// Restores the application; `true` if it has to be done again, because the log is damaged where it is read.
fn restore(apply: &mut dyn Apply, checkpoint: &Checkpoint, files: &Files) -> Result<bool, ApplyError> {
    match apply.restore(Some(checkpoint), files.reader()) {
        Ok(()) => {
            check_all_read(checkpoint).map_err(ApplyError::new)?;
            files.waits().set_restore(None);
            Ok(false)
        }
        Err(error) if error.is_damage => {
            warn!(last = %checkpoint.last, error = %error.cause, "the log is damaged below the checkpoint");
            files.waits().set_restore(Some(error.cause.to_string()));
            Ok(true)
        }
        Err(error) => Err(error),
    }
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
    Captured(Box<Captured>),
    /// Nothing was ever applied.
    Nothing,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let checkpoint = match std::mem::replace(&mut self.source, Source::Nothing) {
            Source::Stored(point) => {
                let gone = move || io::Error::other(format!("the checkpoint after {point} is gone"));
                let file = self.files.checkpoints().find(point).ok_or_else(gone)?;
                let load = move || file.load().map_err(io::Error::other)?.ok_or_else(gone);
                self.files.tasks().off_thread(load).await?
            }
            Source::Captured(state) => {
                let dir = self.files.checkpoints().dir();
                let write = move || state.write(&dir).map_err(io::Error::other);
                let unnamed = self.files.tasks().off_thread(write).await?;
                self.files.checkpoints().name(unnamed, Keep::Boundary).map_err(io::Error::other)?
            }
            Source::Nothing => {
                return Ok(Snapshot { meta: SnapshotMeta::default(), snapshot: SnapshotData::Nothing });
            }
        };
        self.files.set_snapshot(checkpoint.last)?;
        to_snapshot(checkpoint)
    }
}

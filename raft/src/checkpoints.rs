//! A node's state in checkpoints: taken on the raft thread in no time, written by a worker of its own, and handed to
//! openraft as a snapshot without being read into memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use platform::{Jobs, Tasks, Work, Worker};
use serde::{Deserialize, Serialize};
use store::codec::Record;
use store::{
    Checkpoint, CheckpointDir, CheckpointError, CommitlogOffset, Keep, LogPoint, SealState, SectionWriter,
    Unnamed,
};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::apply::WriteSections;
use crate::files::Files;
use crate::level;
use crate::told::Told;
use crate::types::{Snapshot, SnapshotMeta, StoredMembership, StoredMembershipForm, log_id};

/// A checkpoint that the disk did not take is tried again after this time.
const RETRY: Duration = Duration::from_secs(5);
/// Checkpoints that wait for their next try; of more, the oldest are given up.
const WAITING_MAX: usize = 4;

/// What of a checkpoint is this crate's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RaftState {
    pub(crate) membership: StoredMembershipForm,
    /// The group's.
    pub(crate) feature_level: u16,
}

impl Record for RaftState {
    const KIND: u16 = 0x0205;
    const NAME: &'static str = "raft-state";
    const BYTES_MAX: usize = 2 << 20;
}

/// The state after one entry, which nothing changes any more.
pub(crate) struct Captured {
    pub(crate) last: LogPoint,
    pub(crate) next_offset: CommitlogOffset,
    pub(crate) seal: SealState,
    pub(crate) raft: RaftState,
    pub(crate) write: WriteSections,
}

impl Captured {
    /// On disk on return, which takes as long as it is large.
    pub(crate) fn write(&self, dir: &CheckpointDir) -> Result<Unnamed, CheckpointError> {
        dir.write(self.last, self.next_offset, &self.seal, |sections: &mut SectionWriter| {
            sections.put(&self.raft)?;
            (self.write)(sections)
        })
    }
}

/// The membership in a checkpoint, and the group's feature level, which this build must have.
pub(crate) fn raft_state_of(checkpoint: &Checkpoint) -> io::Result<(StoredMembership, u16)> {
    let state = checkpoint.sections.read::<RaftState>()?;
    let state = state.ok_or_else(|| io::Error::other("the checkpoint has no membership"))?;
    level::check(state.feature_level).map_err(io::Error::other)?;
    Ok((state.membership.try_into()?, state.feature_level))
}

/// Every section was read by somebody.
pub(crate) fn check_all_read(checkpoint: &Checkpoint) -> io::Result<()> {
    let unread = checkpoint.sections.unread();
    let Some((name, kind)) = unread.first() else { return Ok(()) };
    Err(io::Error::other(format!(
        "the checkpoint after {} holds {name:?} (kind {kind:#06x}), which this build does not know; it takes a newer build",
        checkpoint.last
    )))
}

/// What openraft hands around as a snapshot.
pub(crate) enum SnapshotData {
    /// Nothing was ever applied.
    Nothing,
    /// One of this node's checkpoints.
    Stored(Checkpoint),
    /// Come from a leader, and without a name yet.
    Received(Unnamed),
}

impl SnapshotData {
    /// What came from a leader, ready to be named.
    pub(crate) fn into_unnamed(self, dir: &CheckpointDir) -> io::Result<Unnamed> {
        match self {
            Self::Received(unnamed) => Ok(unnamed),
            Self::Nothing => Err(io::Error::other("an empty snapshot")),
            Self::Stored(checkpoint) => {
                let mut receiving = dir.receive().map_err(io::Error::other)?;
                while receiving.bytes() < checkpoint.sections.file_bytes() {
                    let piece = checkpoint.sections.read_file(receiving.bytes(), 1 << 20)?;
                    receiving.append(&piece).map_err(io::Error::other)?;
                }
                receiving.finish().map_err(io::Error::other)
            }
        }
    }
}

/// The snapshot that `checkpoint` is.
pub(crate) fn to_snapshot(checkpoint: Checkpoint) -> io::Result<Snapshot> {
    let (last_membership, _) = raft_state_of(&checkpoint)?;
    let meta = SnapshotMeta { last_log_id: Some(log_id(checkpoint.last)), last_membership };
    Ok(Snapshot { meta, snapshot: SnapshotData::Stored(checkpoint) })
}

/// Writes checkpoints beside the raft thread, each after the log is on disk up to it. What the disk does not take is
/// told and tried again.
#[derive(Clone)]
pub(crate) struct CheckpointWriter(Jobs<Job>);

struct Job {
    state: Captured,
    keep: Keep,
    flushed: io::Result<()>,
    done: Option<oneshot::Sender<io::Result<()>>>,
}

impl CheckpointWriter {
    /// The worker ends when the last handle is gone.
    pub(crate) fn start(tasks: &Tasks, files: Arc<Files>, told: Told) -> io::Result<(Self, Worker)> {
        let writing = Writing { files, told, again: Vec::new() };
        // Whoever asks for a checkpoint is the flusher, which must not wait.
        let (jobs, worker) = tasks.start("checkpoint", None, writing)?;
        Ok((Self(jobs), worker))
    }

    pub(crate) fn save(
        &self,
        files: &Files,
        state: Captured,
        keep: Keep,
        done: Option<oneshot::Sender<io::Result<()>>>,
    ) {
        // A checkpoint beyond the end of the log would make a restart purge the log up to it, so the
        // entries must be on disk first.
        let jobs = self.0.clone();
        let barrier = files.with_log(|log| {
            log.flush_barrier(Box::new(move |flushed| {
                jobs.send(Job { state, keep, flushed, done }); // at the node's end nobody listens
            }));
            Ok(())
        });
        if let Err(error) = barrier {
            info!(%error, "no checkpoint");
        }
    }
}

/// The worker that writes checkpoints.
struct Writing {
    files: Arc<Files>,
    told: Told,
    /// What the disk did not take.
    again: Vec<Job>,
}

impl Work<Job> for Writing {
    fn patience(&mut self) -> Option<Duration> {
        (!self.again.is_empty()).then_some(RETRY)
    }

    fn take(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            self.write(job);
        }
        self.tell_if_all_are_written();
    }

    fn idle(&mut self) {
        for job in std::mem::take(&mut self.again) {
            self.write(job);
        }
        self.tell_if_all_are_written();
    }
}

impl Writing {
    fn write(&mut self, mut job: Job) {
        let outcome = write(&job, &self.files);
        if let Err(error) = &outcome {
            error!(last = %job.state.last, %error, "cannot write a checkpoint, which is tried again");
            self.told.set_checkpoint(Some(format!("checkpoint after {}: {error}", job.state.last)));
        }
        match (outcome, job.done.take()) {
            (outcome, Some(done)) => {
                let _ = done.send(outcome); // whoever asked may be gone
            }
            (Err(_), None) => {
                // A newer one serves as well to restart from; a boundary is wanted for itself.
                self.again.retain(|other| other.keep != Keep::Newest || job.keep != Keep::Newest);
                self.again.push(job);
                let surplus = self.again.len().saturating_sub(WAITING_MAX);
                self.again.drain(..surplus);
            }
            (Ok(()), None) => {
                if job.keep == Keep::Newest {
                    self.again.retain(|other| other.keep != Keep::Newest);
                }
            }
        }
    }

    fn tell_if_all_are_written(&self) {
        if self.again.is_empty() {
            self.told.set_checkpoint(None);
        }
    }
}

fn write(job: &Job, files: &Files) -> io::Result<()> {
    if let Err(error) = &job.flushed {
        return Err(io::Error::new(error.kind(), format!("the log is not on disk: {error}")));
    }
    let dir = files.checkpoints().dir();
    let unnamed = job.state.write(&dir).map_err(io::Error::other)?;
    files.checkpoints().name(unnamed, job.keep).map_err(io::Error::other)?;
    files.prune_checkpoints()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_state_stay_what_they_are() {
        crate::suite::golden(
            &[RaftState { membership: crate::types::stored_membership_sample(), feature_level: 2 }],
            &[],
        );
    }
}

//! What lies on a node's disk, opened together: the log, the checkpoints, and three slots beside them.
//!
//! ```text
//! <dir>/commitlog/     the log's own            <dir>/raft/identity   whose directory this is
//! <dir>/checkpoints/   states after an entry    <dir>/raft/vote       term, node, committed
//!                                               <dir>/raft/snapshot   checkpoint that is the snapshot
//! ```

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::Platform;
use serde::{Deserialize, Serialize};
use store::codec::{self, Record};
use store::slot::{ATOMIC_BYTES_MAX, VALUE_BYTES_MAX};
use store::{
    Checkpoint, Checkpoints, CommitLog, FlushMode, Helpers, LogOptions, LogPoint, LogReader, Recovery,
    SlotFile,
};

use crate::NodeId;
use crate::config::NodeConfig;
use crate::error::StartError;
use crate::types::Vote;

/// The log and its neighbours, shared between openraft's log store and the state machine. Both run on
/// the node's thread, and no lock is held over an await.
pub(crate) struct Files {
    log: Mutex<Option<CommitLog>>,
    reader: LogReader,
    flush: FlushMode,
    checkpoints: Mutex<Checkpoints>,
    vote: Mutex<Slot<VoteOnDisk>>,
    snapshot: Mutex<Slot<SnapshotAt>>,
    identity: Mutex<Slot<Identity>>,
    /// A checkpoint that came from a leader and that the log does not follow yet.
    installed: Mutex<Option<Checkpoint>>,
}

/// A vote as the slot holds it: term, node, committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct VoteOnDisk(u64, NodeId, bool);

impl Record for VoteOnDisk {
    const KIND: u16 = 0x0202;
    const NAME: &'static str = "vote";
    const BYTES_MAX: usize = ATOMIC_BYTES_MAX;
}

/// After which entry the checkpoint was taken that is the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SnapshotAt(LogPoint);

impl Record for SnapshotAt {
    const KIND: u16 = 0x0203;
    const NAME: &'static str = "snapshot-at";
    const BYTES_MAX: usize = ATOMIC_BYTES_MAX;
}

/// Whose directory this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    group: String,
    node: NodeId,
    /// Made here, and not yet known to hold all that a node of this name may have promised before: the disk
    /// may be a new one under an old node.
    is_newborn: bool,
}

impl Record for Identity {
    const KIND: u16 = 0x0201;
    const NAME: &'static str = "identity";
    const BYTES_MAX: usize = VALUE_BYTES_MAX;
}

/// A slot file with a typed value.
struct Slot<T> {
    file: SlotFile,
    value: Option<T>,
}

impl<T: Record> Slot<T> {
    fn open(platform: &Platform, path: &Path) -> Result<Self, StartError> {
        let trouble = |source| StartError::File { what: path.display().to_string(), source };
        let file = SlotFile::open(&*platform.disk, path).map_err(|error| trouble(io::Error::other(error)))?;
        let value = match file.value() {
            [] => None,
            bytes => Some(codec::decode(bytes).map_err(|error| trouble(error.into()))?),
        };
        Ok(Self { file, value })
    }

    /// On disk on return.
    fn write(&mut self, value: T) -> io::Result<()> {
        self.file.write(&codec::encode(&value)?, true)?;
        self.value = Some(value);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    /// Opens everything, and recovers the log.
    pub(crate) fn open(
        config: &NodeConfig,
        platform: &Platform,
    ) -> Result<(Arc<Self>, Recovery), StartError> {
        let raft_dir = config.dir.join("raft");
        let trouble = |what: &Path| {
            let what = what.display().to_string();
            move |source| StartError::File { what, source }
        };
        platform.disk.create_dir_all(&raft_dir).map_err(trouble(&raft_dir))?;
        let vote_path = raft_dir.join("vote");
        let vote_existed = platform.disk.exists(&vote_path);
        let mut identity: Slot<Identity> = Slot::open(platform, &raft_dir.join("identity"))?;
        match &identity.value {
            Some(found) if found.group != config.group || found.node != config.node_id => {
                return Err(StartError::Identity {
                    found_node: found.node,
                    found_group: found.group.clone(),
                    node: config.node_id,
                    group: config.group.clone(),
                });
            }
            // Without its vote a node could vote twice in one term.
            Some(_) if !vote_existed => {
                return Err(trouble(&vote_path)(io::Error::new(io::ErrorKind::NotFound, "the vote is gone")));
            }
            _ => {}
        }
        let vote: Slot<VoteOnDisk> = Slot::open(platform, &vote_path)?;
        let snapshot: Slot<SnapshotAt> = Slot::open(platform, &raft_dir.join("snapshot"))?;
        let checkpoints_dir = config.dir.join("checkpoints");
        let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), &checkpoints_dir)
            .map_err(|error| trouble(&checkpoints_dir)(io::Error::other(error)))?;
        let options = LogOptions {
            dir: config.dir.join("commitlog"),
            segment_bytes: config.segment_bytes,
            flush: config.flush,
            helpers: Helpers::Threads,
            has_peers: config.members.len() > 1,
        };
        let (mut log, mut recovery) = CommitLog::open(platform, options, &mut checkpoints)?;
        let has_lost_the_vote = vote.file.has_lost_a_slot();
        if has_lost_the_vote || snapshot.file.has_lost_a_slot() || identity.file.has_lost_a_slot() {
            log.raise_fence().map_err(trouble(&raft_dir))?;
            recovery.maybe_forgot = true;
        }
        if has_lost_the_vote && let Some(owner) = identity.value.clone() {
            // It may have voted in a later term than the one it knows: as little is known of it as of a new directory.
            let is_newborn = config.members.len() > 1;
            identity.write(Identity { is_newborn, ..owner }).map_err(trouble(&raft_dir))?;
        }
        if identity.value.is_none() {
            // Alone, or to be added by a leader, it has promised nothing to anybody.
            let is_newborn = config.bootstrap && config.members.len() > 1;
            let owner = Identity { group: config.group.clone(), node: config.node_id, is_newborn };
            identity.write(owner).map_err(trouble(&raft_dir))?;
        }
        let files = Self {
            reader: log.reader(),
            log: Mutex::new(Some(log)),
            flush: config.flush,
            checkpoints: Mutex::new(checkpoints),
            vote: Mutex::new(vote),
            snapshot: Mutex::new(snapshot),
            identity: Mutex::new(identity),
            installed: Mutex::new(None),
        };
        Ok((Arc::new(files), recovery))
    }

    pub(crate) fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Whether an append is done before it is on disk.
    pub(crate) fn is_async(&self) -> bool {
        matches!(self.flush, FlushMode::Async { .. })
    }

    /// Does something with the log.
    ///
    /// # Errors
    /// If the log is closed already, or what `work` says.
    pub(crate) fn with_log<T>(&self, work: impl FnOnce(&mut CommitLog) -> io::Result<T>) -> io::Result<T> {
        match &mut *lock(&self.log) {
            Some(log) => work(log),
            None => Err(io::Error::other("the log is closed")),
        }
    }

    /// Flushes the log and leaves the mark of a clean shutdown.
    pub(crate) fn close_log(&self) -> io::Result<()> {
        lock(&self.log).take().map_or(Ok(()), CommitLog::close)
    }

    pub(crate) fn checkpoints(&self) -> MutexGuard<'_, Checkpoints> {
        lock(&self.checkpoints)
    }

    /// Whether this directory was empty at its first start and has not caught up with the group since.
    pub(crate) fn is_newborn(&self) -> bool {
        lock(&self.identity).value.as_ref().is_some_and(|identity| identity.is_newborn)
    }

    /// It holds all that the others hold. On disk on return.
    pub(crate) fn set_grown(&self) -> io::Result<()> {
        let mut identity = lock(&self.identity);
        match identity.value.clone() {
            Some(owner) if owner.is_newborn => identity.write(Identity { is_newborn: false, ..owner }),
            _ => Ok(()),
        }
    }

    /// From memory.
    pub(crate) fn vote(&self) -> Option<Vote> {
        let VoteOnDisk(term, voted_for, committed) = lock(&self.vote).value?;
        Some(Vote { leader_id: crate::types::LeaderId { term, voted_for }, committed })
    }

    /// On disk on return.
    pub(crate) fn save_vote(&self, vote: &Vote) -> io::Result<()> {
        lock(&self.vote).write(VoteOnDisk(vote.leader_id.term, vote.leader_id.voted_for, vote.committed))
    }

    /// Which checkpoint is the snapshot that a follower may get.
    pub(crate) fn snapshot(&self) -> Option<LogPoint> {
        lock(&self.snapshot).value.map(|SnapshotAt(point)| point)
    }

    /// On disk on return.
    pub(crate) fn set_snapshot(&self, point: LogPoint) -> io::Result<()> {
        lock(&self.snapshot).write(SnapshotAt(point))
    }

    /// Remembers that the log is to follow `checkpoint`, which is on disk.
    pub(crate) fn set_installed(&self, checkpoint: Checkpoint) {
        *lock(&self.installed) = Some(checkpoint);
    }

    /// The installed checkpoint after `point`, if the log does not follow it yet.
    pub(crate) fn take_installed(&self, point: LogPoint) -> Option<Checkpoint> {
        lock(&self.installed).take_if(|checkpoint| checkpoint.last == point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::golden;

    #[test]
    fn the_bytes_of_the_slots_stay_what_they_are() {
        golden(&[Identity { group: "RaftNode00".into(), node: 2, is_newborn: true }], &[]);
        golden(&[VoteOnDisk(3, 2, true), VoteOnDisk(4, 1, false)], &[]);
        golden(&[SnapshotAt(LogPoint { term: 3, log_index: 700 })], &[]);
    }
}

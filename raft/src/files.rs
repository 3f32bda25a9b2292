//! What lies on a node's disk, opened together: the log, the checkpoints, and four slots beside them.
//!
//! ```text
//! <dir>/commitlog/     the log's own            <dir>/raft/identity   whose directory this is
//! <dir>/checkpoints/   states after an entry    <dir>/raft/vote       term, node, committed
//!                                               <dir>/raft/snapshot   checkpoint that is the snapshot
//!                                               <dir>/raft/peers      what is remembered of the peers
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::{Platform, Tasks};
use rand::Rng;
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
use crate::identity::{GroupId, Incarnation, Memory, Said, Standing};
use crate::level::Level;
use crate::types::Vote;
use crate::waits::Waits;

/// The log and its neighbours, shared between openraft's log store and the state machine. Both run on
/// the node's thread, and no lock is held over an await.
pub(crate) struct Files {
    log: Mutex<Option<CommitLog>>,
    reader: LogReader,
    flush: FlushMode,
    checkpoints: Checkpoints,
    vote: Mutex<Slot<VoteOnDisk>>,
    snapshot: Mutex<Slot<SnapshotAt>>,
    identity: Mutex<Slot<Identity>>,
    memories: Mutex<Slot<Memories>>,
    /// Tells a file from its copy.
    birth: Option<(u64, u128)>,
    /// A checkpoint that came from a leader and that the log does not follow yet.
    installed: Mutex<Option<Checkpoint>>,
    /// The group's feature level, as far as applied.
    level: Level,
    waits: Waits,
    tasks: Tasks,
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
    /// `None` before it is founded or joined.
    group_id: Option<GroupId>,
    incarnation: Incarnation,
    standing: Standing,
    /// Inode and time of making of this very file, if the system can tell: a copy has others.
    birth: Option<(u64, u128)>,
}

impl Record for Identity {
    const KIND: u16 = 0x0201;
    const NAME: &'static str = "identity";
    const BYTES_MAX: usize = VALUE_BYTES_MAX;
}

impl Identity {
    /// Of a directory that is used for the first time.
    fn new(config: &NodeConfig, platform: &Platform, birth: Option<(u64, u128)>) -> Self {
        let directory = platform.rng.rng("directory").random();
        // Alone, or to be added by a leader, it has promised nothing to anybody.
        let is_newborn = config.bootstrap && config.members.len() > 1;
        let (standing, generation) = if is_newborn { (Standing::Newborn, 0) } else { (Standing::Whole, 1) };
        let incarnation = Incarnation { generation, starts: 0, directory };
        Self {
            group: config.group.clone(),
            node: config.node_id,
            group_id: None,
            incarnation,
            standing,
            birth,
        }
    }

    /// It is used once more. Nobody else would know better of a node without peers.
    fn started(mut self, config: &NodeConfig, birth: Option<(u64, u128)>, has_lost_the_vote: bool) -> Self {
        self.incarnation.starts += 1;
        let is_copy = self.birth.is_some() && birth.is_some() && self.birth != birth;
        if (is_copy || has_lost_the_vote) && config.members.len() > 1 {
            self.step_back();
        }
        self
    }

    /// A newborn has nothing to step back from. Anybody else needs a new place among the members.
    fn step_back(&mut self) {
        if self.standing != Standing::Newborn {
            self.standing = Standing::SteppedBack;
        }
        self.incarnation.generation = 0;
    }
}

/// What is remembered of the peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memories(BTreeMap<NodeId, Memory>);

impl Record for Memories {
    const KIND: u16 = 0x020a;
    const NAME: &'static str = "peers";
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
        self.put(value, true)
    }

    /// On disk on return if `sync`; else it survives the process, but not the machine.
    fn put(&mut self, value: T, sync: bool) -> io::Result<()> {
        self.file.write(&codec::encode(&value)?, sync)?;
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
        let identity_path = raft_dir.join("identity");
        let mut identity: Slot<Identity> = Slot::open(platform, &identity_path)?;
        let birth = platform.disk.birth(&identity_path).map(|birth| (birth.inode, birth.made_ns));
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
        let owner = identity.value.take().unwrap_or_else(|| Identity::new(config, platform, birth));
        // Without its newest vote it may have voted in a later term than the one it knows.
        identity.write(owner.started(config, birth, has_lost_the_vote)).map_err(trouble(&raft_dir))?;
        let memories = Slot::open(platform, &raft_dir.join("peers"))?;
        let files = Self {
            reader: log.reader(),
            log: Mutex::new(Some(log)),
            flush: config.flush,
            checkpoints,
            vote: Mutex::new(vote),
            snapshot: Mutex::new(snapshot),
            identity: Mutex::new(identity),
            memories: Mutex::new(memories),
            birth,
            installed: Mutex::new(None),
            level: Level::default(),
            waits: Waits::default(),
            tasks: platform.tasks.clone(),
        };
        Ok((Arc::new(files), recovery))
    }

    /// The group's feature level.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// What applying waits for.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Who does what must not hold up the raft thread.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
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

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Drops the checkpoints that the purged log needs no more. May wait for the disk.
    pub(crate) fn prune_checkpoints(&self) -> io::Result<()> {
        self.checkpoints.prune(self.reader.purged_on_disk()).map_err(io::Error::other)
    }

    /// What this directory may be trusted with.
    pub(crate) fn standing(&self) -> Standing {
        self.of_identity(|identity| identity.standing)
    }

    /// The group it belongs to, if it knows of one.
    pub(crate) fn group_id(&self) -> Option<GroupId> {
        self.of_identity(|identity| identity.group_id)
    }

    /// Which life of which directory this is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.of_identity(|identity| identity.incarnation)
    }

    fn of_identity<T>(&self, look: impl Fn(&Identity) -> T) -> T {
        look(lock(&self.identity).value.as_ref().expect("it is written when the files are opened"))
    }

    fn change_identity(&self, change: impl FnOnce(&mut Identity)) -> io::Result<()> {
        let mut slot = lock(&self.identity);
        let mut identity = slot.value.clone().expect("it is written when the files are opened");
        change(&mut identity);
        if slot.value.as_ref() == Some(&identity) { Ok(()) } else { slot.write(identity) }
    }

    /// It holds all that the others hold. On disk on return.
    pub(crate) fn set_whole(&self) -> io::Result<()> {
        self.change_identity(|identity| identity.standing = Standing::Whole)
    }

    /// It belongs to this group; a directory without a generation takes this one. On disk on return.
    pub(crate) fn place(&self, group_id: GroupId, generation: u64) -> io::Result<()> {
        let birth = self.birth;
        self.change_identity(|identity| {
            (identity.group_id, identity.birth) = (Some(group_id), birth);
            if identity.incarnation.generation == 0 {
                identity.incarnation.generation = generation;
            }
        })
    }

    /// Its disk was put back to an older state. On disk on return.
    pub(crate) fn set_stepped_back(&self) -> io::Result<()> {
        self.change_identity(Identity::step_back)
    }

    /// What is remembered of a peer.
    pub(crate) fn remember(&self, peer: NodeId) -> Memory {
        let memories = lock(&self.memories);
        memories.value.as_ref().and_then(|memories| memories.0.get(&peer)).copied().unwrap_or_default()
    }

    /// Takes in what a peer said of itself, if it is new. On disk on return.
    pub(crate) fn learn(&self, peer: NodeId, said: &Said) -> io::Result<()> {
        self.change_memories(true, |memories| memories.entry(peer).or_default().learn(said))
    }

    /// Peers acknowledged what is committed. Survives the process on return, and the machine some time later.
    pub(crate) fn acknowledged(
        &self,
        points: impl IntoIterator<Item = (NodeId, LogPoint)>,
    ) -> io::Result<()> {
        self.change_memories(false, |memories| {
            points.into_iter().fold(false, |is_new, (peer, point)| {
                memories.entry(peer).or_default().acknowledged(point) || is_new
            })
        })
    }

    fn change_memories(
        &self,
        sync: bool,
        change: impl FnOnce(&mut BTreeMap<NodeId, Memory>) -> bool,
    ) -> io::Result<()> {
        let mut slot = lock(&self.memories);
        let mut memories = slot.value.clone().unwrap_or_default();
        if change(&mut memories.0) { slot.put(memories, sync) } else { Ok(()) }
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
        let incarnation = Incarnation { generation: 2, starts: 5, directory: 0xd1 };
        let group_id = Some(GroupId(0x9d));
        golden(
            &[Identity {
                group: "RaftNode00".into(),
                node: 2,
                group_id,
                incarnation,
                standing: Standing::SteppedBack,
                birth: Some((7, 8)),
            }],
            &[],
        );
        let memory = Memory { incarnation, holds: Some(LogPoint { term: 3, log_index: 700 }) };
        golden(&[Memories(BTreeMap::from([(1, memory), (3, Memory::default())]))], &[]);
        golden(&[VoteOnDisk(3, 2, true), VoteOnDisk(4, 1, false)], &[]);
        golden(&[SnapshotAt(LogPoint { term: 3, log_index: 700 })], &[]);
    }
}

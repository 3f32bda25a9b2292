//! One Raft group as this node has it: the log, what is built from it, and what waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use platform::Clock;
use protocol::route::MessageQueue;
use raft::{ChangeError, NodeId, View, node_name};
use store::{Backlog, CommitlogOffset, KeyIndex, LogReader, Queues};
use tokio::sync::watch;
use tracing::info;

use crate::consumer::offset_buffer::OffsetBuffer;
use crate::leader::submit::{self, SubmitError};
use crate::pull::held::HeldPull;
use crate::pull::long_poll::LongPolls;
use crate::state::room::Room;
use crate::state::{BYTES_MAX, Change, OffsetRow, Outcome, Tables};

/// How long a change of the tables may take before whoever asked for it is told that the outcome is unknown.
pub const SUBMIT_WITHIN: Duration = Duration::from_secs(3);

/// So many entries are looked at for the first message of the log.
const EARLIEST_ENTRIES_MAX: u64 = 1 << 16;

/// One Raft group, as this node has it.
pub struct Group {
    pub(crate) name: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// The Raft node.
    pub raft: raft::Node,
    /// Its newest view, to be looked at without a copy.
    pub(crate) views: watch::Receiver<View>,
    /// Reads the commitlog.
    pub log: LogReader,
    /// Consume queues, as applied.
    pub queues: Arc<Queues>,
    /// Key index, as applied.
    pub index: Arc<KeyIndex>,
    pub(crate) tables: Arc<RwLock<Tables>>,
    /// Pulls that wait for messages.
    pub holds: Arc<LongPolls<HeldPull>>,
    /// Consumer offsets on their way into the log.
    pub offsets: OffsetBuffer,
    /// What is known of the tables' size.
    pub(crate) room: Mutex<Room>,
    /// No room for messages any more: sends are refused until old segments went or somebody made room.
    pub(crate) is_disk_full: AtomicBool,
}

impl Group {
    /// The replicated tables, for reading. Never held over an await.
    pub fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().expect("nothing panics while it holds this lock")
    }

    /// This node's number in the group.
    pub fn node_id(&self) -> NodeId {
        self.raft.id()
    }

    /// The group's name, RocketMQ's `brokerName`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A queue of this group as clients name it.
    pub fn message_queue(&self, topic: impl Into<String>, queue_id: i32) -> MessageQueue {
        MessageQueue { topic: topic.into(), broker_name: self.name.clone(), queue_id }
    }

    /// First offset of a queue, and its end, exclusive; zeros if nothing was ever written to it.
    pub fn queue_ends(&self, topic: &str, queue_id: i32) -> (i64, i64) {
        let queue = self.queues.get(topic, queue_id as u32);
        queue.map_or((0, 0), |queue| (queue.min().0 as i64, queue.max().0 as i64))
    }

    /// Whether this node leads and may answer for the group.
    pub fn is_ready(&self) -> bool {
        self.views.borrow().is_ready()
    }

    /// The term in which this node leads and may answer for the group, if it may.
    pub fn serving_term(&self) -> Option<u64> {
        self.views.borrow().serving_term()
    }

    /// The newest offset that a consumer stored at this leader and that is not in the tables yet.
    pub fn offset_on_its_way(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.offsets.get(self.serving_term()?, group, topic, queue_id)
    }

    /// Whether the disk has no room for messages any more.
    pub fn is_disk_full(&self) -> bool {
        self.is_disk_full.load(Ordering::Relaxed)
            || self.log.room_left().is_some()
            || self.queues.is_stuck()
            || self.index.is_stuck()
    }

    /// When the first message that the log still holds was stored; `None` if it holds none, or that cannot be read.
    pub fn earliest_store_time(&self) -> Option<i64> {
        // Blank entries and commands may come first; so many of them that it takes long to look are no answer either.
        self.log.first_stored_ms(EARLIEST_ENTRIES_MAX).ok().flatten().map(|ms| ms as i64)
    }

    /// Where the last applied entry ends.
    pub fn applied_end(&self) -> CommitlogOffset {
        let applied = self.views.borrow().applied_index;
        match self.log.position(applied) {
            Ok(Some(place)) => place.offset.plus(u64::from(place.entry_bytes)),
            Ok(None) | Err(_) => self.log.ends().min,
        }
    }

    /// What of consume queues and key index waits in memory for a file.
    pub fn backlog(&self) -> Backlog {
        let (queues, index) = (self.queues.backlog(), self.index.backlog());
        Backlog { bytes: queues.bytes + index.bytes, error: queues.error.or(index.error) }
    }

    /// Whether the tables have room for what `change` would add to them; counts it in if so.
    ///
    /// # Errors
    /// `Refused`, with both numbers.
    pub fn check_room(&self, change: &Change) -> Result<(), SubmitError> {
        let wanted = self.tables().growth(change);
        self.take_room(wanted)
    }

    /// Whether the tables have room for an offset of a queue that they have none of; counts it in if so.
    ///
    /// # Errors
    /// `Refused`, with both numbers.
    pub fn check_room_for_offset(&self, row: &OffsetRow) -> Result<(), SubmitError> {
        let wanted = self.tables().offset_growth(row);
        self.take_room(wanted)
    }

    fn take_room(&self, wanted: u64) -> Result<(), SubmitError> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = room.promise(wanted, BYTES_MAX, self.clock.monotonic(), || self.tables().bytes());
        promised.map_err(|bytes| {
            SubmitError::Refused(format!(
                "topics, groups and offsets take {bytes} bytes, {wanted} more would exceed the limit of {BYTES_MAX} bytes"
            ))
        })
    }

    /// Gets a change of the tables committed, here or at the leader.
    ///
    /// # Errors
    /// As [`SubmitError`] says.
    pub async fn submit(&self, change: Change) -> Result<Outcome, SubmitError> {
        if self.is_ready() {
            self.check_room(&change)?;
        }
        submit::submit(&self.raft, change, SUBMIT_WITHIN).await
    }

    /// Hands the lead to `target`. Sends that come meanwhile wait and then go to the new leader.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn hand_over(&self, target: NodeId, within: Duration) -> Result<(), ChangeError> {
        let (from, to) = (node_name(self.node_id()), node_name(target));
        info!(group = self.name(), from, to, "handing the lead over");
        self.raft.transfer_leader(target, within).await
    }
}

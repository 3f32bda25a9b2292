//! Segments, the commitlog, and what is built from its committed entries: consume queues and key index.
//!
//! Synchronous. Knows term, index and payload of an entry and the layout of message units; knows no network,
//! no vote and no leader. All files go through `platform::Disk`.

mod backlog;
mod checkpoint;
mod commitlog;
mod log_index;
mod offset;
mod segment;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod sync;
#[cfg(test)]
mod testing;

pub use backlog::Backlog;
pub use checkpoint::{
    Checkpoint, CheckpointDir, CheckpointError, CheckpointInfo, Checkpoints, Keep, Receiving, SealState,
    SectionWriter, Sections, Unnamed,
};
pub use commitlog::{
    AppendError, BadEntry, CommitLog, Damage, Digest, Done, Draft, EFFECT_HEAD_BYTES, ENTRY_HEAD_BYTES,
    Effect, EffectList, EntryError, EntryHead, EntryKind, EntryPlace, FlushMode, Helpers, LAYOUT_VERSION,
    LogEnds, LogOptions, LogReader, OpenError, Pending, ReadError, Recovery, RepairError, Run, SealError,
    SegmentInfo, StoredEntry, Stretch, StretchError,
};
pub use offset::{CommitlogOffset, LogPoint, QueueOffset};
pub mod codec;
mod consume_queue;
mod dispatch;
mod key_index;
mod lock;
mod queue_check;
mod restore;
mod search;
pub mod slot;

pub use consume_queue::{ConsumeQueue, QueueInfo, QueueOptions, Queues, UNIT_BYTES, Unit};
pub use dispatch::{DispatchError, dispatch_units, is_placed, payload_offset};
pub use key_index::{KeyIndex, LastUpdate};
pub use lock::{DirLock, LockError};
pub use queue_check::{belongs, check_queues, mend_around};
pub use restore::restore;
pub use search::{Boundary, SearchError, offset_by_time, store_timestamp};
pub use slot::{SlotError, SlotFile};

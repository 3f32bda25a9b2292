//! What the application does with committed entries.

use bytes::Bytes;
use store::{Checkpoint, LogPoint, LogReader, SealState, SectionWriter, StoredEntry};

/// What applying one entry gave. Goes back to whoever proposed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// One pair a unit of a units entry, in order, of the application's own meaning (for a broker:
    /// queue offset, commitlog offset). Proposals merged into one entry each get back their part.
    pub units: Vec<(u64, u64)>,
    /// One answer an effect, in order. A command is one effect.
    pub values: Vec<Bytes>,
}

/// The state could not be brought to a checkpoint, or a checkpoint made of it.
#[derive(Debug, thiserror::Error)]
#[error("cannot write or restore the state: {cause}")]
pub struct ApplyError {
    /// What went wrong.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
    /// What was to be read of the log is damaged. It is fetched from another node, and then it may be tried again.
    pub is_damage: bool,
}

impl ApplyError {
    /// From any error, or from a text.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_damage: false }
    }

    /// The log is damaged where it was to be read.
    pub fn damage(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_damage: true }
    }
}

/// A committed entry that the application cannot take in. The node applies nothing from it on, and says so:
/// guessed or left out, its tables would differ from the other nodes' forever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The entry is at fault, or this build: the node stays and says so.
    #[error("{0}")]
    Entry(String),
    /// This node's disk is at fault: the node stops for good, as with any failed write.
    #[error("{0}")]
    Disk(String),
}

/// Writes the sections of a state, one a table. Called on another thread, and again if the disk did not take it.
pub type WriteSections = Box<dyn Fn(&mut SectionWriter) -> std::io::Result<()> + Send + Sync>;

/// The application's state: a function of the committed log.
///
/// All methods are called on the node's own thread, one at a time. None may block or sync.
pub trait Apply: Send + 'static {
    /// Takes in one committed entry of units and effects, or one command. They come in log order, each exactly once since
    /// the checkpoint last restored. What can be known of an entry before it is taken in is to be asked before anything of
    /// it can be seen.
    ///
    /// # Errors
    /// If it cannot be taken in. Nothing more is applied and no checkpoint is asked for in this run of the node,
    /// so that the next start tries the same entry again, perhaps with a build that understands it.
    fn apply(&mut self, entry: &StoredEntry) -> Result<Reply, Halt>;

    /// Whether what is left of an entry of units that is damaged on every node can be taken in like any other: where each
    /// unit belongs is clear, and the damaged ones are refused to whoever asks for them.
    fn can_take_damaged(&self, entry: &StoredEntry) -> bool {
        let _ = entry;
        false
    }

    /// After each run of entries: everything up to `upto` (inclusive) is applied. For write-outs and
    /// wake-ups.
    fn applied(&mut self, upto: LogPoint) {
        let _ = upto;
    }

    /// The state exactly after the last applied entry: the seal state, and an immutable copy of the rest that knows
    /// how to write itself.
    fn checkpoint(&mut self) -> (SealState, WriteSections);

    /// Brings the state to the one of `checkpoint`, or to the empty one. Called at start, before anything else. Entries
    /// after it are applied again; those before it may be read from `log` as far back as it is retained.
    ///
    /// # Errors
    /// If the checkpoint cannot be read. The node stops then, as it does if a section of it was not read. If the log is
    /// damaged it stays, and calls this again once something was mended, on another thread; nothing else is called before
    /// it has succeeded, but [`Apply::install`].
    fn restore(&mut self, checkpoint: Option<&Checkpoint>, log: &LogReader) -> Result<(), ApplyError>;

    /// Replaces the state by the one of `checkpoint`, which a leader has sent: the log goes on right after it,
    /// and holds nothing before it any more.
    ///
    /// # Errors
    /// If the checkpoint cannot be read. The node stops then.
    fn install(&mut self, checkpoint: &Checkpoint) -> Result<(), ApplyError>;
}

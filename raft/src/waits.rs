//! What a node waits for before it goes on applying: parts of its own log that are damaged, and are being fetched from
//! other nodes meanwhile. It keeps its log and votes, and does not serve.

use std::sync::{Arc, Mutex, PoisonError};

/// Shared by those who wait and those who tell of it.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Raft runs, so that somebody can fetch what is missing: before, waiting would be in vain.
    is_running: bool,
    /// Why the state of the checkpoint is not there yet.
    restore: Option<String>,
    /// The committed entry that cannot be read.
    apply: Option<u64>,
}

impl Waits {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_running(&self) {
        self.with(|waits| waits.is_running = true);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.with(|waits| waits.is_running)
    }

    pub(crate) fn set_restore(&self, why: Option<String>) {
        self.with(|waits| waits.restore = why);
    }

    /// Says whether that is news.
    pub(crate) fn set_apply(&self, log_index: Option<u64>) -> bool {
        self.with(|waits| std::mem::replace(&mut waits.apply, log_index) != log_index)
    }

    /// What is waited for, in a sentence; `None` if nothing is.
    pub(crate) fn words(&self) -> Option<String> {
        self.with(|waits| match (&waits.restore, waits.apply) {
            (Some(why), _) => Some(format!(
                "queues and index cannot be built from the log before what is damaged in it is fetched from another \
                 node: {why}"
            )),
            (None, Some(log_index)) => Some(format!(
                "entry {log_index} is damaged in this node's log: nothing is applied before it is fetched from another \
                 node"
            )),
            (None, None) => None,
        })
    }
}

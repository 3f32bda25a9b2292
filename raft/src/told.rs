//! What a running node has to say about itself that raft's metrics do not know.

use std::sync::{Arc, Mutex, PoisonError};

/// Set where it happens, shown in every view.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Words>>);

/// In words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Why the newest checkpoint is not on disk; it is tried again.
    pub(crate) checkpoint: Option<String>,
    /// How this node's configuration differs from the log.
    pub(crate) configuration: Option<String>,
}

impl Told {
    pub(crate) fn words(&self) -> Words {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says whether that is news.
    pub(crate) fn set_configuration(&self, differs: Option<String>) -> bool {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = words.configuration != differs;
        words.configuration = differs;
        is_news
    }

    pub(crate) fn set_checkpoint(&self, why_not: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).checkpoint = why_not;
    }
}

//! A pull on its way: what was asked, by whom, and which messages it wants.

use protocol::Command;
use protocol::command::pull::PullRequest;
use protocol::subscription::SubscriptionData;

use crate::door::exchange::{Answer, Origin};
use crate::pull::long_poll::Wants;

/// A pull that waits for a message.
pub struct HeldPull {
    pub(super) origin: Origin,
    pub(super) request: Command,
    pub(super) header: PullRequest,
    pub(super) filter: Filter,
    pub(super) answer: Answer,
}

/// Which messages a pull wants.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them: the legacy filter server sorts them out.
    All,
    /// Those whose tag is in the subscription.
    Tags(SubscriptionData),
}

impl Filter {
    /// Whether a message with this tag hash passes.
    pub fn passes(&self, tag_hash: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(subscription) => subscription.matches(tag_hash),
        }
    }
}

impl Wants for HeldPull {
    fn wants(&self, tag_hash: i64) -> bool {
        self.filter.passes(tag_hash)
    }
}

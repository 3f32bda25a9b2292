//! How long the parts of a change of leader took.

use std::time::Duration;

/// All parts of a change of leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// From the last word of the old leader until it was missed.
    pub detect: Duration,
    /// Until this node was elected.
    pub elect: Duration,
    /// Until it could serve.
    pub ready: Duration,
    /// From then on, until the name servers knew.
    pub registered: Duration,
    /// From then on, until the first send was acknowledged; `None` if none was for a while.
    pub first_ack: Option<Duration>,
}

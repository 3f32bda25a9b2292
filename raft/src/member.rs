//! Who belongs to a group, and where each of them is to be reached.

use serde::{Deserialize, Serialize};

/// One member, as the membership in the log has it. Empty texts are not known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `n0` and so on.
    pub name: String,
    /// `host:port` for its peers.
    pub raft: String,
    /// `host:port` for clients of the application.
    pub remoting: String,
    /// `host:port` of its HTTP views; empty without any.
    pub http: String,
}

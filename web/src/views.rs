//! What our nodes say of themselves over HTTP, as types: `/leader` and `/status` of a broker, `/groups/…/leader` of a
//! name server.
//!
//! Reading is lenient: what a view does not have is left at its default, what this build does not know is skipped, so
//! that builds may differ. Only [`Leader::term`] and [`Status::node`] must be there: what lacks them is not ours.

use std::fmt;
use std::time::Duration;

use platform::Net;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{self, Answer, AskError};

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Nothing came.
    #[error(transparent)]
    NoAnswer(#[from] AskError),
    /// The node answered that it cannot say.
    #[error("status {status}: {}", .refusal.error)]
    Refused {
        /// Such as 503.
        status: u16,
        /// What it says instead.
        refusal: Refusal,
    },
    /// The answer is not the view.
    #[error("unexpected answer to {path}")]
    Unreadable {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What a node says that refuses; of what is not JSON, the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Refusal {
    /// Why, in a sentence.
    pub error: String,
    /// The node's term.
    pub term: Option<u64>,
    /// Whom the node takes for the leader.
    #[serde(alias = "leader")]
    pub believed_leader: Option<String>,
}

impl Refusal {
    /// What stands in `answer`.
    pub fn of(answer: &Answer) -> Self {
        let text = || String::from_utf8_lossy(&answer.body).into_owned();
        answer.read().unwrap_or_else(|_| Self { error: text(), ..Self::default() })
    }
}

async fn view<T: DeserializeOwned>(
    net: &dyn Net,
    addr: &str,
    path: &str,
    within: Duration,
) -> Result<T, ViewError> {
    let answer = client::get(net, addr, path, within).await?;
    if !answer.is_ok() {
        return Err(ViewError::Refused { status: answer.status, refusal: Refusal::of(&answer) });
    }
    answer.read().map_err(|source| ViewError::Unreadable { path: path.to_owned(), source })
}

/// `GET /leader`: who leads a broker group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// The term it leads, or the newest that the node knows.
    pub term: u64,
    /// Its name, such as `n0`; of one that is only believed there may be none.
    #[serde(default)]
    pub leader: Option<String>,
    /// Its address for clients, if the node knows it.
    #[serde(default)]
    pub addr: Option<String>,
    /// The commit index as of which it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_index: Option<u64>,
    /// Whether the node asked may serve as the leader; not told of one that is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether the node asked has no vote yet; not told of one that is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<bool>,
    /// Whether a majority confirmed it after the question came.
    #[serde(default)]
    pub linearizable: bool,
}

/// How `/leader` is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// With a majority's word.
    Majority,
    /// With what the node believes, at once.
    Local,
}

impl Leader {
    /// Asks a node.
    ///
    /// # Errors
    /// No answer, a refusal (503: no majority confirms), or one that is not the view.
    pub async fn ask(net: &dyn Net, addr: &str, ask: Ask, within: Duration) -> Result<Self, ViewError> {
        let path = match ask {
            Ask::Majority => "/leader",
            Ask::Local => "/leader?local=true",
        };
        view(net, addr, path, within).await
    }
}

/// `GET /groups/…/leader` of a name server: where clients are sent. What else it says is for people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RoutedLeader {
    /// Its address for clients; `None` while there is none.
    pub leader: Option<String>,
    /// The term it registered in.
    pub term: i64,
}

impl RoutedLeader {
    /// Asks a name server about a broker group.
    ///
    /// # Errors
    /// No answer, a refusal (404: no broker of it is registered), or one that is not the view.
    pub async fn ask(net: &dyn Net, addr: &str, group: &str, within: Duration) -> Result<Self, ViewError> {
        view(net, addr, &format!("/groups/{group}/leader"), within).await
    }
}

/// A Raft role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It proposes.
    Leader,
    /// It follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It replicates without a vote.
    Learner,
    /// Not told, or by a word of a newer build.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Role {
    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `GET /status`: how a node stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// The broker cluster.
    pub cluster: String,
    /// The broker group.
    pub group: String,
    /// The node's name, such as `n0`.
    pub node: String,
    /// The build.
    pub version: String,
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<String>,
    /// It leads and its first entry is applied, or it follows a leader that it knows.
    pub ready: bool,
    /// The group's random id.
    pub group_id: Option<String>,
    /// It may have forgotten something, and does not vote.
    pub fenced: bool,
    /// Why it applies nothing any more.
    pub halted: Option<String>,
    /// What it waits for before it goes on applying.
    pub waits_for: Option<String>,
    /// Why it stopped for good.
    pub fatal: Option<String>,
    /// Why the newest checkpoint is not on disk.
    pub checkpoint_error: Option<String>,
    /// How its configuration differs from the group's membership.
    pub configuration_differs: Option<String>,
    /// What it and the group can read and write.
    pub feature_level: FeatureLevel,
    /// The members as the log has them.
    pub membership: Vec<Membership>,
    /// Highest log index in its log.
    pub last_log_index: u64,
    /// Highest log index known committed.
    pub commit_index: u64,
    /// Highest log index applied.
    pub applied_index: u64,
    /// Highest log index purged.
    pub purged_index: u64,
    /// Commitlog offsets.
    pub commitlog: LogEnds,
    /// `SYNC_FLUSH` or `ASYNC_FLUSH`.
    pub flush: String,
    /// Of a leader, how long ago a majority was heard, in milliseconds.
    pub quorum_ack_age_ms: Option<u64>,
    /// Who votes.
    pub voters: Vec<String>,
    /// How the voters are, as far as this node may know.
    pub members: Vec<Member>,
    /// What is wrong, a sentence each.
    pub alarms: Vec<String>,
    /// Room on the disk of the log.
    pub disk: Option<DiskSpace>,
    /// The others, as this node knows them.
    pub peers: Vec<Peer>,
    /// How many topics there are.
    pub topics: Option<u64>,
    /// How many consumer groups there are.
    pub groups: Option<u64>,
    /// Sends are refused for want of room.
    pub disk_full: bool,
    /// What is damaged of the log.
    pub damaged: Vec<Damage>,
    /// Entries mended since the start.
    pub repaired: u64,
    /// Pulls that wait for a message.
    pub held_pulls: u64,
    /// Client connections.
    pub connections: u64,
    /// Wall time of the start, milliseconds.
    pub started_ms: u64,
    /// Address for clients.
    pub remoting: String,
}

/// What can be read and written, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureLevel {
    /// By this build.
    pub build: u16,
    /// By all members.
    pub group: u16,
}

/// A member as the log has it; what the log does not know yet is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Membership {
    /// Its name.
    pub id: String,
    /// Its address for peers.
    pub raft: Option<String>,
    /// Its address for clients.
    pub remoting: Option<String>,
    /// Its address for HTTP.
    pub http: Option<String>,
}

/// Commitlog offsets; each end is exclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogEnds {
    /// Where the log begins.
    pub min: u64,
    /// On disk to here.
    pub flushed: u64,
    /// Committed to here.
    pub committed: u64,
    /// Written to here.
    pub appended: u64,
}

/// How a voter is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    /// Its name.
    pub id: String,
    /// Whether it answers; `None` where it is not this node's to know.
    pub up: Option<bool>,
    /// Whether this node takes it for the leader.
    pub leads: bool,
    /// How long ago it was heard, in milliseconds.
    pub last_contact_ms: Option<u64>,
    /// Why it does not answer.
    pub error: Option<String>,
    /// Since when it does not answer, wall time in milliseconds.
    pub down_since_ms: Option<u64>,
}

/// Room on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiskSpace {
    /// All of it.
    pub total_bytes: u64,
    /// What is free for us.
    pub available_bytes: u64,
    /// The part in use, 0 to 100.
    pub used_percent: u64,
}

/// Another node of the group, as this one knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    /// Its name.
    pub id: String,
    /// Its address for peers.
    pub addr: String,
    /// Its address for clients, once it has told.
    pub remoting: Option<String>,
    /// Its address for HTTP, once it has told.
    pub http: Option<String>,
    /// The highest log index that it is known to have; only a leader knows.
    pub matched_index: Option<u64>,
    /// How many entries it lacks; `None` where nobody can know.
    pub lag_entries: Option<u64>,
    /// How long ago it was heard, in milliseconds.
    pub last_contact_ms: Option<u64>,
    /// Why it does not answer.
    pub error: Option<String>,
}

/// A damaged stretch of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Damage {
    /// Its first commitlog offset.
    pub from: u64,
    /// The commitlog offset behind it.
    pub to: u64,
    /// The first log index in it, if it is known.
    pub first_index: Option<u64>,
    /// The log index behind it, if it is known.
    pub next_index: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
    /// No node has it intact.
    pub everywhere: bool,
}

impl Status {
    /// Asks a node.
    ///
    /// # Errors
    /// No answer, a refusal, or one that is not the view.
    pub async fn ask(net: &dyn Net, addr: &str, within: Duration) -> Result<Self, ViewError> {
        let status: Self = view(net, addr, "/status", within).await?;
        if status.node.is_empty() {
            let source = serde::de::Error::custom("the node has no name");
            return Err(ViewError::Unreadable { path: "/status".to_owned(), source });
        }
        Ok(status)
    }

    /// Whether it leads and may serve.
    pub fn leads(&self) -> bool {
        self.role == Role::Leader && self.ready
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn both_forms_of_leader_are_read_and_written_as_they_came() {
        for text in [
            r#"{"term":1,"leader":"n0","addr":"h:1","readIndex":5,"linearizable":true}"#,
            r#"{"term":7,"leader":null,"addr":null,"ready":false,"fenced":true,"linearizable":false}"#,
        ] {
            let leader: Leader = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&leader).unwrap(), text);
        }
        assert!(serde_json::from_str::<Leader>(r#"{"leader":"n0"}"#).is_err(), "a term must be there");
    }

    #[test]
    fn a_status_may_lack_all_but_the_name_and_have_more() {
        let status = json!({"node": "n1", "role": "emperor", "somethingNew": [1], "peers": [{"id": "n2"}]});
        let status: Status = serde_json::from_value(status).unwrap();
        assert_eq!((&*status.node, status.role, &*status.peers[0].id), ("n1", Role::Unknown, "n2"));
        assert!(serde_json::from_value::<Status>(json!("text")).is_err());
    }

    #[test]
    fn a_refusal_is_read_from_either_of_its_forms_or_from_plain_text() {
        let refusal = |body: &'static str| Refusal::of(&Answer { status: 503, body: body.into() });
        let told = refusal(r#"{"error":"no majority","term":3,"believedLeader":"n1","linearizable":false}"#);
        let expected =
            Refusal { error: "no majority".into(), term: Some(3), believed_leader: Some("n1".into()) };
        assert_eq!(told, expected);
        assert_eq!(refusal(r#"{"error":"e","leader":"n2","term":1}"#).believed_leader.as_deref(), Some("n2"));
        assert_eq!(refusal("bad gateway").error, "bad gateway");
        let _: Value = serde_json::to_value(told).unwrap();
    }
}

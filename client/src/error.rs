//! What can go wrong, and whether the request may have taken effect all the same.

use std::path::PathBuf;

use protocol::ResponseCode;
use remoting::CallError;

/// Whether a request that failed may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It certainly has not: the request never left, or the broker refused it before doing anything.
    Failed,
    /// It may have: the request was written and no answer came, or the answer does not tell.
    Unknown,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The configuration names no name server.
    #[error("no name server is given")]
    NoNameServer,
    /// No name server answered.
    #[error("none of the name servers {addrs} answered {request}")]
    NameServers {
        /// All that were asked, separated by `;`.
        addrs: String,
        /// The request, by name.
        request: &'static str,
        /// What the last of them ended with.
        source: Box<ClientError>,
    },
    /// The topic does not exist, and cannot be created by sending to it.
    #[error("no route for topic {topic}")]
    NoRoute {
        /// The topic.
        topic: String,
    },
    /// No name server knows the cluster.
    #[error("no cluster {cluster}")]
    NoCluster {
        /// The cluster.
        cluster: String,
    },
    /// A text that should be an offset message id.
    #[error("{id:?} is not an offset message id")]
    Id {
        /// The text.
        id: String,
        /// Why not.
        source: protocol::message::id::IdError,
    },
    /// The topic exists, but has no queue with the permission needed.
    #[error("topic {topic} has no queue to {what}")]
    NoQueue {
        /// The topic.
        topic: String,
        /// `send to` or `read from`.
        what: &'static str,
    },
    /// The broker group has no leader at the moment, or is not known at all.
    #[error("broker group {broker_name} has no leader in the route")]
    NoLeader {
        /// The broker group.
        broker_name: String,
    },
    /// The request never left this process.
    #[error("{request} was not sent to {addr}")]
    NotSent {
        /// Where to.
        addr: String,
        /// The request, by name.
        request: &'static str,
        /// Why not.
        source: remoting::NotSent,
    },
    /// The request was written and no answer came.
    #[error("{request} got no answer from {addr}")]
    NoAnswer {
        /// Who was asked.
        addr: String,
        /// The request, by name.
        request: &'static str,
        /// A time-out, or the end of the connection.
        source: remoting::Unknown,
    },
    /// The other side answered with an error code.
    #[error("{addr} refused {request} with code {code} ({}): {remark}", code_name(*.code))]
    Refused {
        /// Who refused.
        addr: String,
        /// The request, by name.
        request: &'static str,
        /// A response code of RocketMQ.
        code: i32,
        /// The other side's own words.
        remark: String,
        /// Whether it may have been done before it was refused.
        outcome: Outcome,
    },
    /// The answer is not what the protocol promises.
    #[error("unreadable {what} in the answer of {addr} to {request}: {reason}")]
    BadAnswer {
        /// Who answered.
        addr: String,
        /// The request, by name.
        request: &'static str,
        /// The part that cannot be read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The message breaks a rule that every broker has.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The subscription expression cannot be read.
    #[error("bad subscription {expression:?} of topic {topic}: {reason}")]
    Subscription {
        /// The topic.
        topic: String,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The queue is not assigned to this consumer.
    #[error("queue {queue} is not assigned to this consumer")]
    NotAssigned {
        /// The queue.
        queue: crate::MessageQueue,
    },
    /// The file of a broadcasting consumer's offsets.
    #[error("offset file {}", path.display())]
    OffsetFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another consumer of this machine has the same file for its offsets: give this one an instance name, or a
    /// directory of its own.
    #[error("offset file {} belongs to another consumer", path.display())]
    OffsetFileInUse {
        /// The file.
        path: PathBuf,
    },
    /// The deadline passed before a request could be sent.
    #[error("the deadline of {deadline_ms} ms passed")]
    Deadline {
        /// The whole deadline, in milliseconds.
        deadline_ms: u64,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    Stopped,
}

/// What is wrong with a message before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A topic or group name with wrong characters or of a wrong length.
    #[error("bad name {name:?}: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// Brokers refuse empty bodies.
    #[error("message without a body for topic {topic}")]
    EmptyBody {
        /// The topic.
        topic: String,
    },
    /// The body is too big, even compressed.
    #[error("message body of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// Of the body.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// All properties together are too big.
    #[error("message properties of {bytes} bytes exceed the limit of {limit} bytes")]
    PropertiesTooLarge {
        /// Encoded.
        bytes: usize,
        /// The limit of the stored layout.
        limit: usize,
    },
    /// A property that cannot be stored, because its text holds a separator or is empty.
    #[error("bad message property {name:?}: {reason}")]
    Property {
        /// The property.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A batch of no messages.
    #[error("a batch without messages")]
    EmptyBatch,
    /// Messages of one batch go to one topic, undelayed, and not to a retry topic.
    #[error("message {index} of the batch {reason}")]
    Batch {
        /// Position of the message, from 0.
        index: usize,
        /// The rule it breaks.
        reason: &'static str,
    },
}

/// A send that failed, after all its attempts.
#[derive(Debug, thiserror::Error)]
#[error("send failed after {attempts} attempts, {}", if *.outcome == Outcome::Unknown { "outcome unknown" } else { "nothing was stored" })]
pub struct SendError {
    /// Requests that were tried.
    pub attempts: u32,
    /// Over all attempts: unknown as soon as one of them is.
    pub outcome: Outcome,
    /// The message's unique key, to look for it when the outcome is unknown.
    pub msg_id: String,
    /// What the last attempt ended with.
    #[source]
    pub source: Box<ClientError>,
}

impl SendError {
    /// Whether the message may have been stored all the same.
    pub fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }

    /// The response code of the last attempt, if the broker answered at all.
    pub fn code(&self) -> Option<i32> {
        self.source.code()
    }
}

impl ClientError {
    /// Whether the request may have taken effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoAnswer { .. } | Self::BadAnswer { .. } => Outcome::Unknown,
            Self::Refused { outcome, .. } => *outcome,
            _ => Outcome::Failed,
        }
    }

    /// The response code, if the other side answered with one.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Wraps what a connection ended a call with.
    pub(crate) fn from_call(addr: &str, request: &'static str, source: CallError) -> Self {
        let addr = addr.to_owned();
        match source {
            CallError::NotSent { reason: source, .. } => Self::NotSent { addr, request, source },
            CallError::Unknown { reason: source, .. } => Self::NoAnswer { addr, request, source },
        }
    }
}

/// The name of a response code, for people.
fn code_name(code: i32) -> &'static str {
    protocol::code::response_name(code).unwrap_or("unknown code")
}

/// Name of the extension field in which our brokers say whether a refused write was proposed.
const OUTCOME_FIELD: &str = "outcome";

/// Whether a refused request may have been done, from its code and from what the broker says itself.
///
/// Without the field only codes that are given before anything is proposed count as "not done".
pub(crate) fn refused_outcome(code: i32, ext: &protocol::ExtFields) -> Outcome {
    match ext.get(OUTCOME_FIELD) {
        Some("none") => Outcome::Failed,
        Some(_) => Outcome::Unknown,
        None => match code {
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED
            | ResponseCode::MESSAGE_ILLEGAL
            | ResponseCode::NO_PERMISSION
            | ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::QUERY_NOT_FOUND
            | ResponseCode::SUBSCRIPTION_PARSE_FAILED
            | ResponseCode::SUBSCRIPTION_NOT_EXIST
            | ResponseCode::SUBSCRIPTION_NOT_LATEST
            | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
            | ResponseCode::INVALID_PARAMETER
            | ResponseCode::GO_AWAY => Outcome::Failed,
            _ => Outcome::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_word_on_the_outcome_is_unknown_unless_the_code_tells() {
        let mut ext = protocol::ExtFields::default();
        assert_eq!(refused_outcome(1, &ext), Outcome::Unknown);
        assert_eq!(refused_outcome(14, &ext), Outcome::Unknown);
        assert_eq!(refused_outcome(13, &ext), Outcome::Failed);
        ext.insert("outcome", "none");
        assert_eq!(refused_outcome(14, &ext), Outcome::Failed);
        ext.insert("outcome", "unknown");
        assert_eq!(refused_outcome(14, &ext), Outcome::Unknown);
    }

    #[test]
    fn messages_name_the_thing_and_both_numbers() {
        let error = MessageError::TooLarge { bytes: 4_194_305, limit: 4_194_304 };
        assert_eq!(error.to_string(), "message body of 4194305 bytes exceeds the limit of 4194304 bytes");
    }
}

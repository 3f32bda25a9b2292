//! Sending: from what was sent to a committed message.
//!
//! A send is checked, made into units and proposed in place, in the order it came ([`start`]); what is left is to wait
//! ([`Started::finish`]). So sends of one connection keep their order, and thousands may be under way at once.

pub mod back;
pub mod check;
pub mod requests;
mod unit;

use std::time::Duration;

use protocol::ResponseCode as code;
use raft::{Proposal, ProposeError, Receipt};

use crate::admin::create;
use crate::leader::submit::SubmitError;
use crate::node::Node;
use crate::refusal::Refusal;
use crate::stats::{MessageType, name as stat};
use check::Admission;
use unit::Ready;

pub use unit::Send;

/// A send that is committed and can be consumed.
#[derive(Debug)]
pub struct Sent {
    /// Where its entry is in the log, and each message in its queue and in the log.
    pub receipt: Receipt,
    /// The queue.
    pub queue_id: i32,
    /// The message's, given by the broker if it came without; of a batch, the batch's own if it has one.
    pub unique_key: Option<String>,
}

/// A send was not acknowledged.
#[derive(Debug)]
pub enum SendError {
    /// Nothing was stored, and this is why.
    Refused(Refusal),
    /// The topic or group that it needs was not created; see there whether the outcome is known.
    NotCreated(SubmitError),
    /// Nothing was stored: another node leads, or none does.
    NotLeader,
    /// Nothing was stored: this node is stopped, or applies nothing.
    Stopped,
    /// It may be stored; the text says why nobody knows.
    Unknown(String),
}

impl From<Refusal> for SendError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What comes of a proposal.
pub trait Outcome: Future<Output = Result<Receipt, ProposeError>> + std::marker::Send {}

impl<F: Future<Output = Result<Receipt, ProposeError>> + std::marker::Send> Outcome for F {}

/// A send that is under way.
pub enum Started<F> {
    /// It has its place in the order of proposals.
    Proposed(Proposed<F>),
    /// A topic or a group has to be created first.
    Lacks(Box<(Send, Admission)>),
}

/// A send that was proposed.
pub struct Proposed<F> {
    outcome: F,
    /// Monotonic time of the proposal.
    began: Duration,
    count: u32,
    bytes: u64,
    kind: MessageType,
    topic: String,
    queue_id: i32,
    unique_key: Option<String>,
}

/// Checks a send, and proposes it if nothing has to be created first. Does not wait.
///
/// # Errors
/// `Refused`, with the first thing that is wrong.
pub fn start(node: &Node, send: Send) -> Result<Started<impl Outcome + use<>>, SendError> {
    if node.group.is_disk_full() {
        return Err(disk_full().into());
    }
    let admission = check::admit(&send.header, &node.live(), &node.group.tables(), node.now_ms())?;
    if admission.new_topics.is_empty() && admission.new_groups.is_empty() {
        propose(node, &send, &admission).map(Started::Proposed)
    } else {
        Ok(Started::Lacks(Box::new((send, admission))))
    }
}

impl<F: Outcome> Started<F> {
    /// Creates what is missing, and waits until the messages are committed and applied here.
    ///
    /// # Errors
    /// As [`SendError`] says, at the latest after `syncFlushTimeout`.
    pub async fn finish(self, node: &Node) -> Result<Sent, SendError> {
        match self {
            Self::Proposed(proposed) => proposed.finish(node).await,
            Self::Lacks(lacks) => {
                let (send, mut admission) = *lacks;
                let topics = std::mem::take(&mut admission.new_topics);
                let groups = std::mem::take(&mut admission.new_groups);
                create::create(node, topics, groups).await.map_err(SendError::NotCreated)?;
                propose(node, &send, &admission)?.finish(node).await
            }
        }
    }
}

/// Takes its place in the log's order here and now; only the waiting is left.
fn propose(
    node: &Node,
    send: &Send,
    admission: &Admission,
) -> Result<Proposed<impl Outcome + use<>>, SendError> {
    let Ready { units, count, bytes, kind, topic, queue_id, unique_key } =
        unit::prepare(node, send, admission)?;
    let outcome = node.group.raft.propose(Proposal::units(units, count));
    Ok(Proposed { outcome, began: node.monotonic(), count, bytes, kind, topic, queue_id, unique_key })
}

impl<F: Outcome> Proposed<F> {
    async fn finish(self, node: &Node) -> Result<Sent, SendError> {
        let Self { outcome, began, count, bytes, kind, topic, queue_id, unique_key } = self;
        let receipt = settled(node, outcome).await?;
        node.stats.topic_in(&topic).took(kind, u64::from(count), bytes);
        node.stats.counter(stat::BROKER_PUT_NUMS, &node.config.identity.cluster).add(u64::from(count));
        node.stats.put_times.record(node.monotonic().saturating_sub(began));
        Ok(Sent { receipt, queue_id, unique_key })
    }
}

/// What comes of a proposal of messages within `syncFlushTimeout`.
///
/// # Errors
/// As [`SendError`] says.
async fn settled(node: &Node, proposed: impl Outcome) -> Result<Receipt, SendError> {
    let within = Duration::from_millis(node.live().storage.sync_flush_timeout_ms);
    let Ok(outcome) = tokio::time::timeout(within, proposed).await else {
        return Err(SendError::Unknown(format!("no majority has the message after {within:?}")));
    };
    outcome.map_err(|error| match error {
        ProposeError::NotLeader { .. } => SendError::NotLeader,
        ProposeError::Stopped | ProposeError::Halted(_) => SendError::Stopped,
        ProposeError::NoRoom { .. } => disk_full().into(),
        ProposeError::Overloaded => {
            let remark = "[REJECTREQUEST]system busy, start flow control for a while: too much is in flight";
            Refusal::new(code::SYSTEM_BUSY, remark).into()
        }
        error @ ProposeError::TooLarge { .. } => {
            Refusal::new(code::MESSAGE_ILLEGAL, error.to_string()).into()
        }
        // A member that reads no effects joined since it was asked: certainly nothing was stored.
        error @ ProposeError::Level { .. } => {
            Refusal::new(code::SERVICE_NOT_AVAILABLE, error.to_string()).into()
        }
        error => SendError::Unknown(error.to_string()),
    })
}

fn disk_full() -> Refusal {
    let remark = "the disk is full: service not available now, maybe disk full, store path has no room left";
    Refusal::new(code::SERVICE_NOT_AVAILABLE, remark)
}

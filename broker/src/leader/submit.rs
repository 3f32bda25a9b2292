//! Getting a change of the tables committed, from whichever node wants it.

use std::time::Duration;

use bytes::Bytes;
use raft::{CallError, Proposal, ProposeError, Receipt};
use store::codec::{self, CodecError};

use crate::leader::peer_call::{PeerRequest, PeerResponse};
use crate::state::{Change, Outcome};

/// A change was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Nothing was proposed: no leader is known, or it cannot be reached.
    #[error("no leader serves now")]
    NoLeader,
    /// Nothing was proposed: the node is too busy or stopped.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be committed or lost.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl SubmitError {
    /// Whether the change certainly did not and will not happen.
    pub fn is_none(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// Proposes `change` here, or at the leader, and waits until it is applied there.
///
/// A node that led when it was asked and no longer leads refuses: what it decided may be old by now (it may have been
/// stopped in between), and whoever asked may have asked the new leader for something newer. Only a change that makes
/// what is missing, or that nobody minds to come late, goes to the new leader then.
///
/// # Errors
/// As [`SubmitError`] says, at the latest after `within`.
pub async fn submit(raft: &raft::Node, change: Change, within: Duration) -> Result<Outcome, SubmitError> {
    let led = raft.view().is_leader();
    match submit_here(raft, &change, within).await {
        Err(SubmitHereError::NotLeader { leader: Some(leader) }) if !led || change.may_come_late() => {
            submit_at(raft, leader, change, within).await
        }
        Err(SubmitHereError::NotLeader { .. }) => Err(SubmitError::NoLeader),
        Err(SubmitHereError::Other(error)) => Err(error),
        Ok(outcome) => Ok(outcome),
    }
}

/// A change was not acknowledged by this node.
pub enum SubmitHereError {
    /// Nothing was proposed: this node does not lead.
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<raft::NodeId>,
    },
    /// Anything else.
    Other(SubmitError),
}

/// Proposes `change` on this node only.
///
/// # Errors
/// As [`SubmitHereError`] says.
pub async fn submit_here(
    raft: &raft::Node,
    change: &Change,
    within: Duration,
) -> Result<Outcome, SubmitHereError> {
    let proposal =
        proposal(change).map_err(|error| SubmitHereError::Other(SubmitError::Refused(error.to_string())))?;
    outcome_of(raft.propose(proposal), within).await
}

/// Proposes what was decided while this node led `term`, in that term or not at all.
///
/// # Errors
/// As [`SubmitError`] says.
pub async fn submit_in_term(
    raft: &raft::Node,
    term: u64,
    change: &Change,
    within: Duration,
) -> Result<Outcome, SubmitError> {
    let proposal = proposal(change).map_err(|error| SubmitError::Refused(error.to_string()))?;
    match outcome_of(raft.propose_in_term(term, proposal), within).await {
        Err(SubmitHereError::NotLeader { .. }) => Err(SubmitError::NoLeader),
        Err(SubmitHereError::Other(error)) => Err(error),
        Ok(outcome) => Ok(outcome),
    }
}

/// A change as the log has it.
///
/// # Errors
/// If it is too large.
pub fn proposal(change: &Change) -> Result<Proposal, CodecError> {
    Ok(Proposal::command(codec::encode(change)?))
}

async fn outcome_of(
    proposed: impl Future<Output = Result<Receipt, ProposeError>>,
    within: Duration,
) -> Result<Outcome, SubmitHereError> {
    let receipt = match tokio::time::timeout(within, proposed).await {
        Err(_) => {
            return Err(SubmitHereError::Other(SubmitError::Unknown(format!(
                "not applied within {within:?}"
            ))));
        }
        Ok(Err(ProposeError::NotLeader { leader })) => return Err(SubmitHereError::NotLeader { leader }),
        Ok(Err(error @ ProposeError::Unknown)) => {
            return Err(SubmitHereError::Other(SubmitError::Unknown(error.to_string())));
        }
        Ok(Err(error)) => return Err(SubmitHereError::Other(SubmitError::Refused(error.to_string()))),
        Ok(Ok(receipt)) => receipt,
    };
    codec::decode(receipt.reply.values.first().map_or(&[][..], |value| value))
        .map_err(|error| SubmitHereError::Other(SubmitError::Unknown(format!("unreadable outcome: {error}"))))
}

async fn submit_at(
    raft: &raft::Node,
    leader: raft::NodeId,
    change: Change,
    within: Duration,
) -> Result<Outcome, SubmitError> {
    let request = codec::encode(&PeerRequest::Propose(change));
    let request = request.map_err(|error| SubmitError::Refused(error.to_string()))?;
    let response = match raft.call_peer(leader, Bytes::from(request), within).await {
        Err(CallError::NoAnswer { node, reason }) => {
            return Err(SubmitError::Unknown(format!(
                "no answer from leader {}: {reason}",
                raft::node_name(node)
            )));
        }
        Err(CallError::UnknownPeer(_) | CallError::NotSent { .. }) => return Err(SubmitError::NoLeader),
        Err(error) => return Err(SubmitError::Refused(error.to_string())),
        Ok(response) => response,
    };
    outcome_at_leader(codec::decode(&response))
}

/// What came of a change that the leader was asked for.
///
/// # Errors
/// As the leader says.
pub fn outcome_at_leader(response: Result<PeerResponse, CodecError>) -> Result<Outcome, SubmitError> {
    match response {
        Ok(PeerResponse::Outcome(outcome)) => Ok(outcome),
        Ok(PeerResponse::Refused(reason)) => Err(SubmitError::Refused(reason)),
        Ok(PeerResponse::NotLeader) => Err(SubmitError::NoLeader),
        Ok(PeerResponse::Failed(reason)) => Err(SubmitError::Unknown(reason)),
        Ok(other) => Err(SubmitError::Unknown(format!("unexpected answer {other:?}"))),
        Err(error) => Err(SubmitError::Unknown(format!("unreadable answer: {error}"))),
    }
}

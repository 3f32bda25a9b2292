//! The requests that pull: codes 11 and 361.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::pull::{PullRequest, PullResponse, sys_flag};
use protocol::{Command, ResponseCode as code};
use remoting::Reply;

use crate::clients::subscription;
use crate::door::exchange::{Answer, Origin, header, not_submitted, refuse};
use crate::leader::forward;
use crate::leader::who_answers::{Verdict, who_answers};
use crate::node::Node;
use crate::pull;
use crate::pull::held::{PullError, Pulled, Unfit};

/// How long a node that may not judge an offset looks for the leader.
const LEADER_WITHIN: Duration = Duration::from_millis(500);

/// Takes one pull.
pub fn pull(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(PullRequest, request, answer);
    serve(node, origin, request, header, answer, true);
}

/// `may_ask`: the client may be asked for a subscription that is newer than what is known.
fn serve(
    node: &Arc<Node>,
    origin: Origin,
    request: Command,
    header: PullRequest,
    answer: Answer,
    may_ask: bool,
) {
    // A pull that waits is held by the node, which must not be held by it.
    let weak = Arc::downgrade(node);
    let flags = header.sys_flag;
    let then = move |pulled| match pulled {
        Ok(pulled) => told(&request, pulled, answer),
        Err(PullError::LeaderMustJudge) => {
            if let Some(node) = weak.upgrade() {
                tokio::spawn(ask_leader(node, origin, request, flags, answer));
            }
        }
        Err(error) if may_ask && is_not_latest(&error) && subscription::may_ask(&origin, &request) => {
            if let Some(node) = weak.upgrade() {
                tokio::spawn(ask_client(node, origin, request, answer));
            }
        }
        Err(error) => answer.send(not_pulled(&request, error)),
    };
    pull::pull(node, header, Box::new(then));
}

fn is_not_latest(error: &PullError) -> bool {
    matches!(error, PullError::Unfit(Unfit::Refused(refusal)) if refusal.code == code::SUBSCRIPTION_NOT_LATEST)
}

/// The client has a newer subscription than this node was told: it is asked for it, once.
async fn ask_client(node: Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(PullRequest, request, answer);
    subscription::ask(&node, &origin, &header.consumer_group).await;
    serve(&node, origin, request, header, answer, false);
}

/// A node that does not lead would have to move the consumer: the leader decides.
async fn ask_leader(node: Arc<Node>, origin: Origin, request: Command, flags: i32, answer: Answer) {
    match who_answers(&node.group, LEADER_WITHIN).await {
        Verdict::Here if node.group.is_ready() => pull(&node, origin, request, answer),
        Verdict::There(leader) if !origin.is_forwarded() => {
            // Held at this node, not over there: the leader knows the group by its own clients.
            let request = request.with("sysFlag", flags & !sys_flag::SUSPEND);
            forward::forward_and_answer(&node.group, leader, &origin, &request, answer).await;
        }
        _ => {
            let remark = "no leader serves this broker group now, and this node may not judge the offset";
            answer.send(refuse(&request, code::SYSTEM_BUSY, remark));
        }
    }
}

fn told(request: &Command, pulled: Pulled, mut answer: Answer) {
    if pulled.was_held {
        answer.is_held();
    }
    let look = pulled.look;
    let response = PullResponse {
        suggest_which_broker_id: pulled.suggest_broker_id,
        next_begin_offset: look.next,
        min_offset: look.min,
        max_offset: look.max,
        topic_sys_flag: pulled.topic_sys_flag,
        group_sys_flag: pulled.group_sys_flag,
        ..PullResponse::default()
    };
    let mut head =
        Command::response_to(request, look.code()).with_header(&response).with_remark(look.status.name());
    if let Some(term) = pulled.term {
        head = head.with("term", term);
    }
    answer.send(Reply { head, chunks: look.found.chunks });
}

fn not_pulled(request: &Command, error: PullError) -> Command {
    match error {
        PullError::Unfit(Unfit::Forbidden(by, remark)) => {
            refuse(request, code::NO_PERMISSION, remark).with("forbiddenType", by as i32)
        }
        PullError::Unfit(Unfit::Refused(refusal)) => refuse(request, refusal.code, refusal.remark),
        PullError::NotCreated(error) => not_submitted(request, &error),
        // A follower may not have applied the group yet; the client pulls again.
        PullError::Unfit(Unfit::NewGroup) | PullError::NotAppliedYet => {
            refuse(request, code::SYSTEM_BUSY, "the group is being created")
        }
        PullError::NotReset(error) => refuse(request, code::SYSTEM_BUSY, error.to_string()),
        PullError::TooManyReads => {
            refuse(request, code::SYSTEM_BUSY, "too many pulls of old messages wait for the disk")
        }
        PullError::LeaderMustJudge => {
            refuse(request, code::SYSTEM_BUSY, "only the leader may judge the offset")
        }
        PullError::Failed(reason) => {
            refuse(request, code::SYSTEM_ERROR, format!("store getMessage return null: {reason}"))
        }
    }
}

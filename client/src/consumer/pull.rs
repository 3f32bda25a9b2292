//! One pull: request, answer, and what the answer says.

use std::time::Duration;

use protocol::command::pull::{PullRequest, PullResponse, sys_flag};
use protocol::{Command, RequestCode, ResponseCode};

use crate::core::Core;
use crate::error::ClientError;
use crate::queue::MessageQueue;
use crate::received::ReceivedMessage;
use crate::transport::{bad_answer, refused};

/// How much longer than the broker may hold a pull its answer is waited for: brokers look at held pulls every 5 s.
const ANSWER_MARGIN: Duration = Duration::from_secs(10);

/// What came of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// There are messages.
    Found,
    /// Nothing was stored from the offset on, so far.
    NoNewMessage,
    /// What was stored does not match the subscription; go on at `next_offset`.
    NoMatchedMessage,
    /// The offset is outside the queue; go on at `next_offset`.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct PullResult {
    /// What came of it.
    pub status: PullStatus,
    /// Messages by queue offset, matching the subscription.
    pub messages: Vec<ReceivedMessage>,
    /// Where the next pull should begin.
    pub next_offset: i64,
    /// The queue's first message.
    pub min_offset: i64,
    /// The queue's end, exclusive.
    pub max_offset: i64,
    /// The node that answered.
    pub node: String,
    /// Id of the node that should be asked next; 0 is the leader.
    pub(crate) suggested_node: i64,
}

/// What to pull.
pub(crate) struct Pull<'a> {
    pub(crate) group: &'a str,
    pub(crate) queue: &'a MessageQueue,
    pub(crate) offset: i64,
    pub(crate) messages_max: i32,
    /// The subscription expression, sent along so that a broker which has just started need not know us.
    pub(crate) expression: &'a str,
    pub(crate) sub_version: i64,
    /// How long the broker may hold the request while there is nothing; zero for an answer at once.
    pub(crate) hold: Duration,
}

impl Pull<'_> {
    /// Asks one node.
    pub(crate) async fn ask(&self, core: &Core, node: &str) -> Result<PullResult, ClientError> {
        let header = PullRequest {
            consumer_group: self.group.to_owned(),
            topic: self.queue.topic.clone(),
            queue_id: self.queue.queue_id,
            queue_offset: self.offset,
            max_msg_nums: self.messages_max,
            sys_flag: sys_flag::build(false, !self.hold.is_zero(), true, false),
            commit_offset: 0,
            suspend_timeout_ms: self.hold.as_millis() as i64,
            subscription: Some(self.expression.to_owned()),
            sub_version: self.sub_version,
            expression_type: Some(protocol::subscription::TAG.to_owned()),
            ..PullRequest::default()
        };
        let request = Command::request(RequestCode::PULL_MESSAGE).with_header(&header);
        let timeout = if self.hold.is_zero() { core.config.call_timeout } else { self.hold + ANSWER_MARGIN };
        let answer = core.transport.answer(node, request, timeout).await?;
        self.read(node, &answer)
    }

    fn read(&self, node: &str, answer: &Command) -> Result<PullResult, ClientError> {
        let code = RequestCode::PULL_MESSAGE;
        let status = match answer.code {
            ResponseCode::SUCCESS => PullStatus::Found,
            ResponseCode::PULL_NOT_FOUND => PullStatus::NoNewMessage,
            ResponseCode::PULL_RETRY_IMMEDIATELY => PullStatus::NoMatchedMessage,
            ResponseCode::PULL_OFFSET_MOVED => PullStatus::OffsetMoved,
            _ => return Err(refused(node, code, answer)),
        };
        let header = PullResponse::read(answer).map_err(|error| bad_answer(node, code, "header", error))?;
        let messages = if status == PullStatus::Found {
            ReceivedMessage::all_of(&answer.body, &self.queue.broker_name)
                .map_err(|error| bad_answer(node, code, "messages", error))?
        } else {
            Vec::new()
        };
        Ok(PullResult {
            status,
            messages,
            next_offset: header.next_begin_offset,
            min_offset: header.min_offset,
            max_offset: header.max_offset,
            node: node.to_owned(),
            suggested_node: header.suggest_which_broker_id,
        })
    }
}

//! What a send comes back with.

use protocol::command::send::SendResponse;
use protocol::{Command, ResponseCode};

use crate::error::ClientError;
use crate::queue::MessageQueue;
use crate::transport::bad_answer;

/// How sure the broker is of a message that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// Stored as the broker promises.
    Ok,
    /// Stored; the disk did not confirm in time.
    FlushDiskTimeout,
    /// Stored; the copy was not confirmed in time. Not given by broker groups with an election.
    FlushSlaveTimeout,
    /// Stored; there is no copy. Not given by broker groups with an election.
    SlaveNotAvailable,
}

/// Where a message was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// Anything but [`SendStatus::Ok`] may still be lost.
    pub status: SendStatus,
    /// The unique key that the client gave it; of a batch those of all messages, joined by commas.
    pub msg_id: String,
    /// The broker's own id, with the address and the commitlog offset in it; of a batch those of all, joined by
    /// commas.
    pub offset_msg_id: String,
    /// The queue it stands in.
    pub queue: MessageQueue,
    /// Its place there; of a batch that of the first message, the others follow.
    pub queue_offset: i64,
    /// The id of the transaction, as far as there is one.
    pub transaction_id: Option<String>,
    /// The Raft term in which it was committed, where the broker tells.
    pub term: Option<u64>,
    /// The Raft log index of its entry, where the broker tells.
    pub log_index: Option<u64>,
    /// The node that answered.
    pub node: String,
    /// Requests it took.
    pub attempts: u32,
}

impl SendResult {
    /// The commitlog offset, of a batch that of its first message.
    pub fn commitlog_offset(&self) -> Option<u64> {
        let first = self.offset_msg_id.split(',').next()?;
        protocol::message::id::parse_offset_message_id(first)
            .ok()
            .and_then(|(_, offset)| u64::try_from(offset).ok())
    }
}

/// The status that a response code stands for; `None` for those that say the message was not taken.
fn status_of(code: i32) -> Option<SendStatus> {
    match code {
        ResponseCode::SUCCESS => Some(SendStatus::Ok),
        ResponseCode::FLUSH_DISK_TIMEOUT => Some(SendStatus::FlushDiskTimeout),
        ResponseCode::FLUSH_SLAVE_TIMEOUT => Some(SendStatus::FlushSlaveTimeout),
        ResponseCode::SLAVE_NOT_AVAILABLE => Some(SendStatus::SlaveNotAvailable),
        _ => None,
    }
}

/// Reads the answer to a send.
pub(super) fn read(
    answer: &Command,
    request: i32,
    node: &str,
    queue: &MessageQueue,
    msg_id: &str,
    attempts: u32,
) -> Result<SendResult, ClientError> {
    let Some(status) = status_of(answer.code) else {
        return Err(crate::transport::refused(node, request, answer));
    };
    let header = SendResponse::read(answer).map_err(|error| bad_answer(node, request, "header", error))?;
    let number = |name: &str| answer.ext.get(name).and_then(|text| text.parse().ok());
    Ok(SendResult {
        status,
        msg_id: msg_id.to_owned(),
        offset_msg_id: header.msg_id,
        queue: MessageQueue { queue_id: header.queue_id, ..queue.clone() },
        queue_offset: header.queue_offset,
        transaction_id: header.transaction_id,
        term: number("term"),
        log_index: number("index"),
        node: node.to_owned(),
        attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_where_the_message_is() {
        let answer = Command::request(0)
            .with("msgId", "0A00000100002A9F0000000000000030")
            .with("queueId", 3)
            .with("queueOffset", 12)
            .with("term", 4);
        let queue = MessageQueue::new("T", "a", -1);
        let result = read(&answer, 310, "a:1", &queue, "key", 2).unwrap();
        assert_eq!(
            (result.queue.queue_id, result.queue_offset, result.commitlog_offset()),
            (3, 12, Some(48))
        );
        assert_eq!((result.term, result.log_index, result.attempts), (Some(4), None, 2));
    }

    #[test]
    fn a_success_without_its_fields_is_an_unknown_outcome() {
        let queue = MessageQueue::new("T", "a", 0);
        let error = read(&Command::request(0), 310, "a:1", &queue, "key", 1).unwrap_err();
        assert_eq!(error.outcome(), crate::Outcome::Unknown);
    }
}

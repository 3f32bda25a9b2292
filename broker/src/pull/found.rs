//! What lies in a queue for a pull, and what to say if nothing does.

use bytes::Bytes;
use protocol::ResponseCode as code;

/// What a look at a queue showed. Source of the names: RocketMQ `GetMessageStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are messages.
    Found,
    /// There are messages, none of them wanted.
    NoMatchedMessage,
    /// The queue is empty.
    NoMessageInQueue,
    /// Behind the first message that is kept.
    OffsetTooSmall,
    /// Just at the end.
    OffsetOverflowOne,
    /// Beyond the end.
    OffsetOverflowBadly,
    /// An operator set another offset.
    OffsetReset,
}

impl Status {
    /// As RocketMQ's remark has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// Messages for one pull.
#[derive(Debug, Default)]
pub struct Found {
    /// Stored units, without a copy; neighbours in the log are one slice.
    pub chunks: Vec<Bytes>,
    /// How many messages.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// The result of a look.
#[derive(Debug)]
pub struct Look {
    /// What there was.
    pub status: Status,
    /// Where the pull asked to read.
    pub asked: i64,
    /// Where to pull next.
    pub next: i64,
    /// First offset of the queue.
    pub min: i64,
    /// End of the queue, exclusive.
    pub max: i64,
    /// The messages.
    pub found: Found,
}

impl Look {
    /// The response code for it.
    pub fn code(&self) -> i32 {
        match self.status {
            Status::Found => code::SUCCESS,
            Status::NoMatchedMessage => code::PULL_RETRY_IMMEDIATELY,
            Status::OffsetOverflowOne => code::PULL_NOT_FOUND,
            Status::NoMessageInQueue if self.asked == 0 => code::PULL_NOT_FOUND,
            _ => code::PULL_OFFSET_MOVED,
        }
    }
}

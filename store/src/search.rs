//! Finding a queue offset by time.

use std::io;

use crate::QueueOffset;
use crate::commitlog::{LogReader, ReadError};
use crate::consume_queue::ConsumeQueue;

/// Which side to take when no message, or several, have exactly the wanted time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first of equal ones, or the first later one.
    Lower,
    /// The last of equal ones, or the last earlier one.
    Upper,
}

/// Why a search by time failed.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The consume queue.
    #[error("cannot read the consume queue: {0}")]
    Queue(#[from] io::Error),
    /// The commitlog.
    #[error("cannot read the commitlog: {0}")]
    Log(#[from] ReadError),
}

/// The queue offset for a store timestamp, as RocketMQ answers: code 29, `SEARCH_OFFSET_BY_TIMESTAMP`.
///
/// # Errors
/// If queue or log cannot be read.
pub fn offset_by_time(
    queue: &ConsumeQueue,
    log: &LogReader,
    timestamp_ms: u64,
    boundary: Boundary,
) -> Result<QueueOffset, SearchError> {
    unimplemented!()
}

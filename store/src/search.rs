//! Finding a queue offset by time.

use std::io;

use protocol::message;

use crate::QueueOffset;
use crate::commitlog::{LogReader, ReadError};
use crate::consume_queue::{ConsumeQueue, partition_point};

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
    /// What a unit of the queue points at.
    #[error("no message at {queue_offset} of {topic}-{queue_id}: {source}")]
    Unit {
        /// The topic.
        topic: String,
        /// The queue.
        queue_id: u32,
        /// The unit.
        queue_offset: QueueOffset,
        /// What is wrong with the message.
        source: message::UnitError,
    },
}

/// The queue offset for a store timestamp, as RocketMQ answers: code 29, `SEARCH_OFFSET_BY_TIMESTAMP`. In an empty
/// queue that is its next offset, which RocketMQ calls 0, for its empty queues have always begun there.
///
/// # Errors
/// If queue or log cannot be read.
pub fn offset_by_time(
    queue: &ConsumeQueue,
    log: &LogReader,
    timestamp_ms: u64,
    boundary: Boundary,
) -> Result<QueueOffset, SearchError> {
    let (min, max) = (queue.min().0, queue.max().0);
    let time_at = |at: u64| store_timestamp(queue, log, QueueOffset(at));
    // A unit that is trimmed while we look is older than everything that is left.
    let found = match boundary {
        Boundary::Lower => {
            partition_point(min, max, |at| Ok(time_at(at)?.is_none_or(|time| time < timestamp_ms)))
        }
        Boundary::Upper => {
            partition_point(min, max, |at| Ok(time_at(at)?.is_none_or(|time| time <= timestamp_ms)))
        }
    };
    let found = found.map_err(|error: SearchError| error)?;
    Ok(QueueOffset(match boundary {
        Boundary::Lower => found,
        Boundary::Upper if min == max => min,
        Boundary::Upper if found == min => 0, // before all: RocketMQ says 0, wherever the queue begins
        Boundary::Upper => found - 1,
    }))
}

/// When the message at `at` was stored; `None` if it is trimmed.
///
/// # Errors
/// If queue or log cannot be read.
pub fn store_timestamp(
    queue: &ConsumeQueue,
    log: &LogReader,
    at: QueueOffset,
) -> Result<Option<u64>, SearchError> {
    let Some(unit) = queue.unit(at)? else { return Ok(None) };
    let bytes = match log.slice(unit.offset, unit.size) {
        Err(ReadError::Purged { .. }) => return Ok(None),
        other => other?,
    };
    let view = message::parse(&bytes).map_err(|source| SearchError::Unit {
        topic: queue.topic().to_owned(),
        queue_id: queue.queue_id(),
        queue_offset: at,
        source,
    })?;
    Ok(Some(view.store_timestamp_ms as u64))
}

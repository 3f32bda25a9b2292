//! Why a history cannot be one.

use thiserror::Error;

/// A history that cannot be one.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// A line that is not an event.
    #[error("line {line} of the history is not an event")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What the reader said.
        source: serde_json::Error,
    },
    /// The first event must say what the run is about.
    #[error("the history does not begin with a `start` event")]
    NoStart,
    /// An event of the operation's function lacks a member.
    #[error("event {event} lacks `{member}`")]
    Missing {
        /// Its index.
        event: u64,
        /// Name of the member in the line.
        member: &'static str,
    },
    /// An invocation by a process that still waits for another.
    #[error("event {event}: process {process} invokes while its event {pending} is pending")]
    Busy {
        /// The second invocation.
        event: u64,
        /// Who.
        process: u64,
        /// The first invocation.
        pending: u64,
    },
    /// An invocation by a process that had an unknown outcome before.
    #[error("event {event}: process {process} was retired by event {by}")]
    Retired {
        /// The invocation.
        event: u64,
        /// Who.
        process: u64,
        /// The unknown outcome.
        by: u64,
    },
    /// A completion without a matching invocation.
    #[error("event {event} completes nothing that process {process} has invoked")]
    Unmatched {
        /// The completion.
        event: u64,
        /// Who.
        process: u64,
    },
    /// Indexes or times that go back.
    #[error("event {event} stands after event {before}, but is not later")]
    Backwards {
        /// The later line.
        event: u64,
        /// The line before it.
        before: u64,
    },
}

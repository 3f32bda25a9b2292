//! JSON as RocketMQ's peers really write it (fastjson 1.2.83), and as they can read it.
//!
//! Reading is lenient: unquoted and single-quoted names, integer keys (`{0:"a"}`), whole objects as keys
//! (`{{"topic":"T"}:1}`), numbers in quotes, enum ordinals, stray commas, `$ref`. Writing is compact and strict but
//! for the one form that clients insist on: maps with message queues as keys, see [`write_queue_map`].

pub(crate) mod body;
mod member;
mod reference;
pub(crate) mod scan;
mod tree;
mod write;

use thiserror::Error;

pub use member::{FromJson, FromKey, Members, from_slice};
pub use tree::parse;
pub use write::{push_string, to_bytes, write_queue_map};

/// The most values one body may hold. A registration of 100,000 topics has about a million; without a bound, a
/// frame of 16 MiB full of brackets would take half a gigabyte.
pub const VALUES_MAX: usize = 1 << 21;

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// The text ends where more must come.
    #[error("JSON text ends at byte {at}, in the middle of a value")]
    Truncated {
        /// The byte offset of the end.
        at: usize,
    },
    /// A character that cannot stand there.
    #[error("unexpected {found:?} at byte {at} of a JSON text")]
    Unexpected {
        /// The byte offset of the character.
        at: usize,
        /// The character.
        found: char,
    },
    /// A backslash with something unknown behind it.
    #[error("unknown escape at byte {at} of a JSON text")]
    Escape {
        /// The byte offset behind the backslash.
        at: usize,
    },
    /// Nested too deeply.
    #[error("JSON text is nested deeper than {limit} levels")]
    TooDeep {
        /// The most levels that are read.
        limit: usize,
    },
    /// More values than we are willing to hold in memory.
    #[error("JSON text has more than {limit} values")]
    TooManyValues {
        /// The most values that are read.
        limit: usize,
    },
    /// The text is fine, but a member is not what it has to be.
    #[error("JSON member {name}: expected {expected}")]
    Member {
        /// The name of the member; empty for the whole text.
        name: String,
        /// What it should be, such as `64-bit number`.
        expected: &'static str,
    },
}

impl JsonError {
    /// The error for a member that is not what it has to be.
    pub fn member(name: &str, expected: &'static str) -> Self {
        Self::Member { name: name.to_owned(), expected }
    }
}

//! The two encodings of a command's header.

pub(crate) mod binary;
pub(crate) mod json;

use thiserror::Error;

use crate::json::JsonError;

/// Why a header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// A JSON header is not a JSON object.
    #[error("header is not a JSON object: {0}")]
    Json(#[from] JsonError),
    /// A number of a JSON header is not one, or does not fit 32 bits.
    #[error("header member {name} is not a 32-bit number: {value:?}")]
    Number {
        /// The member.
        name: &'static str,
        /// What stands there, cut after 64 characters.
        value: String,
    },
    /// A binary header ends before one of its fields does.
    #[error("{field} needs {needed} bytes of the header, {left} are left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// The bytes it needs.
        needed: usize,
        /// The bytes that are there.
        left: usize,
    },
    /// A length in a binary header is negative.
    #[error("length of {field} is negative: {length}")]
    NegativeLength {
        /// The field.
        field: &'static str,
        /// The length.
        length: i32,
    },
    /// A binary header goes on behind its last field.
    #[error("{bytes} bytes follow the last field of the header")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
}

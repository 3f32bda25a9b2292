//! Why bytes are not a frame, or a command cannot become one.

use thiserror::Error;

use crate::header::HeaderError;

/// Why bytes are not a frame, or a command cannot become one. After a failed [`decode`](crate::frame::decode) the stream
/// has lost its boundaries: close it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The announced length is negative or does not even cover the mark.
    #[error("frame length {length} is impossible")]
    Length {
        /// The length as it stands there.
        length: i32,
    },
    /// The frame would be too long.
    #[error("frame of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// Its bytes, the length included.
        bytes: u64,
        /// [`FRAME_BYTES_MAX`](crate::FRAME_BYTES_MAX)
        limit: usize,
    },
    /// The header is announced to be longer than what the frame has left for it.
    #[error("header of {header_bytes} bytes does not fit the {left} bytes of its frame")]
    HeaderTooLong {
        /// The announced header.
        header_bytes: usize,
        /// What the frame has left for it, or the most that can be announced.
        left: usize,
    },
    /// The header has an encoding that does not exist.
    #[error("unknown header type {header_type}")]
    HeaderType {
        /// The type byte.
        header_type: u8,
    },
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A number does not fit its field of the binary header.
    #[error("{field} {value} does not fit the 16 bits of the binary header")]
    FieldTooWide {
        /// The field.
        field: &'static str,
        /// Its value.
        value: i32,
    },
    /// A text does not fit its field of the binary header.
    #[error("{field} of {bytes} bytes exceeds the limit of {limit} bytes")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most it can have.
        limit: usize,
    },
}

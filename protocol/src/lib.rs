//! RocketMQ's words and byte formats: frames, headers, codes, the stored message unit, JSON bodies.
//!
//! No I/O, no async, no clock, no randomness: bytes and values in, bytes and values out. Everything that comes
//! from the outside is checked here once and answered with a typed error; nothing in this crate panics on input,
//! and nothing allocates by a length that the input merely claims.
//!
//! Where to start reading: [`frame`] (bytes to [`Command`]), [`command`] (typed headers of each request family),
//! [`message`] (the unit that is stored and pulled byte for byte).

pub mod allocate;
pub mod code;
pub mod command;
pub mod compression;
pub mod delay;
mod ext;
pub mod frame;
mod frame_error;
mod header;
pub mod json;
mod language;
pub mod message;
pub mod names;
pub mod perm;
pub mod proof;
pub mod route;
pub mod subscription;
pub mod version;

pub use code::{request as RequestCode, response as ResponseCode};
pub use command::{Command, Header, HeaderEncoding};
pub use ext::{ExtFields, FieldError};
pub use frame::{FRAME_BYTES_MAX, FrameError};
pub use header::HeaderError;
pub use language::Language;
pub use version::VERSION;

//! One command: what a frame says, and the typed headers of each request family.

pub mod admin;
mod envelope;
pub mod heartbeat;
pub(crate) mod macros;
pub mod offset;
pub mod pull;
pub mod query;
pub mod route;
pub mod send;

pub use envelope::{Command, Header, HeaderEncoding};
pub(crate) use macros::header;

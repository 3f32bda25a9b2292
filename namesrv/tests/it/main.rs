//! A whole name server over real sockets.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]

mod failover;
mod proof;
mod replay;
mod service;
mod support;

//! Servers and clients over real sockets of the loopback interface.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]

mod back_pressure;
mod calls;
mod closing;
mod gathering;
mod hostile;
mod support;

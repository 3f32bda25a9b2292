//! Frames over TCP: accept, connect, match replies to requests, shut down. What the frames mean is the
//! business of the [`Handler`]; this crate never asks.
//!
//! A connection has two tasks. One reads, takes whole frames off the bytes and calls the handler in place.
//! The other gathers the queued frames into vectored writes. Between them stand two bounds: reading stops
//! while the requests that are not answered yet, with their replies, hold too many bytes (see
//! [`ServerConfig`]), and requests of our own wait while the queue to the peer is full.
//!
//! - One reply is one frame and is written whole; frames of different replies never interleave.
//! - Requests may flow both ways over one connection. Each side numbers its own.
//! - A closed connection fails the calls that wait on it at once.
//! - What was never written is told apart from what was written and not answered: see [`CallError`].

mod budget;
mod client;
mod config;
mod connection;
mod error;
mod lifecycle;
mod log_limit;
mod outbox;
mod pending;
mod read;
mod registry;
mod reply;
mod server;
mod shared;
mod write;

pub use client::Client;
pub use config::{ClientConfig, ServerConfig};
pub use connection::Connection;
pub use error::{CallError, NotSent, Unknown};
pub use log_limit::LogLimit;
pub use reply::{Handler, Reply, Responder};
pub use server::Server;
pub use shared::Shared;

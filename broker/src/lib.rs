//! RocketMQ's semantics over the replicated log: what clients send, pull, ask and are told.
//!
//! This is the one crate where all parts meet: `protocol` (words and bytes), `remoting` (frames over TCP), `store`
//! (the log and what is built from it) and `raft` (who leads, what is committed). A message's way: `handler.rs`
//! finds the processor, `processor/send.rs` checks and proposes, `apply.rs` makes the committed entry visible,
//! `processor/pull.rs` hands it out.

mod apply;
mod clients;
mod clock_watch;
pub mod config;
mod consumer_offset;
mod digest;
mod events;
mod exchange;
mod fitness;
mod gate;
mod handler;
mod http;
mod local_time;
mod long_poll;
mod maintenance;
mod metrics;
mod peer;
mod peers;
mod processor;
mod registration;
mod repair;
mod room;
mod rpc_times;
mod run;
mod schedule;
mod server;
mod stats;
mod submit;
mod tables;
mod watchdog;

pub use config::BrokerConfig;
pub use run::{RunError, run};

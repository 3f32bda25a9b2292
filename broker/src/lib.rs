//! RocketMQ's semantics over the replicated log: what clients send, pull, ask and are told.
//!
//! This is the one crate where all parts meet: `protocol` (words and bytes), `remoting` (frames over TCP), `store`
//! (the log and what is built from it) and `raft` (who leads, what is committed). `Node` is this process,
//! `Group` the Raft group that it is a member of. A feature is a folder (`send`, `pull`, `delay`, …): its typed
//! functions, and the requests that are translated to them. A message's way: `door/remoting.rs` takes the frame,
//! `route.rs` says who answers and which function does, `send/` checks and proposes, `state/apply.rs` makes the committed
//! entry visible, `pull/` hands it out.

mod admin;
mod clients;
pub mod config;
mod consumer;
mod delay;
mod door;
mod events;
mod group;
mod housekeeping;
mod leader;
mod local_time;
mod metrics;
mod node;
mod open;
mod pull;
mod refusal;
mod route;
mod run;
mod send;
mod state;
mod stats;

pub use config::BrokerConfig;
pub use open::RunError;
pub use run::run;

//! Stories of whole nodes, several in one process, over real sockets and files.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on fails")]
#![expect(clippy::result_large_err, reason = "what was seen instead is for the reader of a failure")]

mod damage;
mod disk;
mod election;
mod fence;
mod group;
mod halt;
mod identity;
mod model;
mod network;
mod one_node;
mod proxy;
mod replication;
mod retention;
mod sim;
mod transfer;
mod units;

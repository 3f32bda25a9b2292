//! Stories of whole nodes, several in one process, over real sockets and files.

mod election;
mod group;
mod network;
mod one_node;
mod replication;
mod retention;
mod transfer;
mod units;

//! What a node does by itself, besides the tasks of single features.
//!
//! | file | keeps |
//! |---|---|
//! | `clock_watch.rs` | an eye on a wall clock that jumps |
//! | `disk.rs` | room on the disk for Raft's own writes |
//! | `fitness.rs` | the lead with a node that can serve |
//! | `prefer_leader.rs` | the lead with the node that the operator prefers |
//! | `registrar.rs`, `registration.rs` | the name servers informed |
//! | `repair.rs` | the log intact |
//! | `retention.rs` | no segment longer than asked for |
//! | `rounds.rs` | what is done every ten seconds, in order |
//! | `silent_clients.rs` | no client that went without a word |
//! | `system_topics.rs` | the topics that every broker has |
//! | `ticks.rs` | the time between two looks |
//! | `watchdog.rs` | the lead from a node whose runtime stands still |
//! | `write_out.rs` | consume queues and key index on their way to the disk |

pub mod clock_watch;
pub mod disk;
pub mod fitness;
pub mod prefer_leader;
pub mod registrar;
pub mod registration;
pub mod repair;
pub mod retention;
pub mod rounds;
pub mod silent_clients;
pub mod system_topics;
pub mod ticks;
pub mod watchdog;
pub mod write_out;

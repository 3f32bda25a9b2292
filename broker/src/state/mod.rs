//! What is replicated besides messages: the tables, the commands and effects that change them, and how a committed entry
//! is taken in.
//!
//! A new replicated table: a file of its own with the struct and its changes, a field in `tables.rs`, a section in
//! `sections.rs` (kind, version, golden bytes), its bytes in `size.rs`; a new command or effect: a variant in `change.rs` or a
//! kind in `effect.rs`, taken in by `apply.rs`.

pub mod apply;
mod change;
mod effect;
mod group;
mod lock;
pub mod room;
mod sections;
mod shared;
mod size;
mod tables;
mod topic;
mod wire;

pub use change::{Change, LockedQueue, OffsetRow, Outcome, RequestMode};
pub use effect::{Effect, LevelDelivered};
pub use group::GroupConfig;
pub use lock::Locks;
pub use sections::Sink;
pub use size::BYTES_MAX;
pub use tables::{Tables, Version};
pub use topic::{FilterType, TopicConfig};
pub use wire::data_version;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::golden;

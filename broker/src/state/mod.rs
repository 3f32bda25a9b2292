//! What is replicated besides messages: the tables, the commands and effects that change them, and how a committed entry
//! is taken in.
//!
//! A new replicated table: a file with the struct, its changes and its golden bytes, and a line in `tables.rs`. A new command
//! or effect: a variant in `change.rs` or a kind in `effect.rs`, taken in by `tables.rs` or `apply.rs`.

pub mod apply;
mod begins;
mod change;
mod configs;
mod delay_progress;
mod effect;
mod forbidden;
mod group;
mod groups;
mod lock;
mod offsets;
mod properties;
mod request_modes;
pub mod room;
mod section;
mod shared;
mod tables;
mod topic;
mod topics;
mod version;
mod wire;

pub use change::{Change, LockedQueue, OffsetRow, Outcome, RequestMode};
pub use effect::{Effect, LevelDelivered};
pub use group::GroupConfig;
pub use section::Sink;
pub use tables::{BYTES_MAX, Tables};
pub use topic::{FilterType, TopicConfig};
pub use version::Version;
pub use wire::data_version;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::golden;

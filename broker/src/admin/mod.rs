//! What operators and their tools ask: topics, groups, configuration, figures of a node, single messages.

#![expect(clippy::needless_pass_by_value, reason = "requests have one signature, `route::Function`")]

pub mod config;
pub mod create;
pub mod digest;
pub mod group;
pub mod message_query;
pub mod runtime;
pub mod topic;

//! Consumers: pull, where the application leads, and push, where this crate does.

mod assigned;
mod calls;
mod dispatch;
mod engine;
mod filter;
mod inbox;
mod lite_pull;
mod local_offsets;
mod locks;
mod member;
mod offset_store;
mod offsets;
mod outlet;
mod process_queue;
mod pull;
mod pull_consumer;
mod pull_loop;
mod push;
mod push_builder;
mod rebalance;
mod settings;
mod start;
mod subscriptions;

pub use lite_pull::LitePullConsumer;
pub use outlet::{Consume, Handler};
pub use protocol::allocate::Strategy;
pub use pull::{PullResult, PullStatus};
pub use pull_consumer::{PullConsumer, PullConsumerBuilder, PullOptions};
pub use push::PushConsumer;
pub use push_builder::PushConsumerBuilder;
pub use settings::MessageModel;
pub use start::ConsumeFrom;

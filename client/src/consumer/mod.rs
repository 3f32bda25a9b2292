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
mod offsets;
mod process_queue;
mod pull;
mod pull_consumer;
mod pull_loop;
mod push;
mod rebalance;
mod start;
mod subscriptions;

pub use dispatch::{Consume, Handler};
pub use lite_pull::LitePullConsumer;
pub use protocol::allocate::Strategy;
pub use pull::{PullResult, PullStatus};
pub use pull_consumer::{PullConsumer, PullConsumerBuilder, PullOptions};
pub use push::{MessageModel, PushConsumer, PushConsumerBuilder};
pub use start::ConsumeFrom;

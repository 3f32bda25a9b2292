//! A client for RocketMQ and for Trireme: producer, consumers, and calls for operators.
//!
//! - [`Producer`] sends: waiting for the answer, one-way, in batches, in order by key.
//! - [`PushConsumer`] receives as one member of a group, [`LitePullConsumer`] too, but is polled; [`PullConsumer`] reads queues that the application
//!   chooses.
//! - [`Admin`] creates topics and groups, asks and sets what operators want to know and set.
//!
//! Every error says whether the request may have taken effect all the same: see [`Outcome`]. A client asks name
//! servers where things are, again every 30 s, and *at once* after anything failed: while a broker group elects a
//! new leader, requests wait for the election and for nothing else.
//!
//! It knows nothing of how brokers work inside, and uses nothing of theirs.

mod admin;
mod config;
mod consumer;
mod core;
mod error;
mod heartbeat;
mod inbound;
mod message;
mod namesrv;
mod producer;
mod queue;
mod received;
mod retry;
mod route;
mod route_cache;
mod transport;

pub use admin::{Admin, IdError, ResetTo, TimeRange};
pub use config::ClientConfig;
pub use consumer::{
    Consume, ConsumeFrom, Handler, LitePullConsumer, MessageModel, PullConsumer, PullConsumerBuilder,
    PullOptions, PullResult, PullStatus, PushConsumer, PushConsumerBuilder, Strategy,
};
pub use error::{ClientError, MessageError, Outcome, SendError};
pub use message::{BODY_BYTES_MAX, Message};
pub use producer::{
    Compression, Producer, ProducerBuilder, QueueChoice, SendOptions, SendResult, SendStatus, Sending,
};
/// Codes, headers and bodies as they travel, for [`Admin`].
pub use protocol;
pub use queue::MessageQueue;
pub use received::ReceivedMessage;
pub use retry::RetryPolicy;
pub use route::TopicRoute;

//! A client for RocketMQ and for Trireme: producer, consumers, and calls for operators.
//!
//! # Sending
//!
//! ```no_run
//! use client::{Message, Producer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Name servers, `host:port`, separated by `;`. Nothing needs to be up yet.
//!     let producer = Producer::builder("my_producers", "127.0.0.1:9876").start().await?;
//!     // On return it is on the disks of a majority.
//!     let message = Message::new("TopicTest", "Hello").with_tag("TagA").with_keys(["order-7"]);
//!     let sent = producer.send(message).await?;
//!     println!("{} is at {}, offset {}", sent.msg_id, sent.queue, sent.queue_offset);
//!     producer.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! A [`Producer`] also sends [without waiting](Producer::send_async) for each answer, [one-way](Producer::send_oneway),
//! in [batches](Producer::send_batch), [compressed](Compression), and [in order by a key](Producer::send_by_key).
//!
//! # Receiving
//!
//! ```no_run
//! use std::sync::Arc;
//! use client::{Consume, ConsumeFrom, PushConsumer, ReceivedMessage};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let consumer = PushConsumer::builder("my_consumers", "127.0.0.1:9876")
//!         .subscribe("TopicTest", "TagA || TagB") // or "*"
//!         .consume_from(ConsumeFrom::First)
//!         .start(|message: Arc<ReceivedMessage>| async move {
//!             println!("{} says {:?}", message.queue, message.body);
//!             Consume::Success // or Later: it comes again after a while
//!         })
//!         .await?;
//!     tokio::signal::ctrl_c().await?;
//!     consumer.shutdown().await; // stores how far it came
//!     Ok(())
//! }
//! ```
//!
//! | | who says which queues | who fetches | offsets |
//! |---|---|---|---|
//! | [`PushConsumer`] | the members of its group divide them | the crate, and calls a handler | kept and stored for you |
//! | [`LitePullConsumer`] | the members of its group divide them | you, with `poll` | stored when you `commit`, or with the next `poll` |
//! | [`PullConsumer`] | you, with `assign` or at each `pull` | you | yours; it can keep and store them too |
//!
//! A message comes *at least* once: again after a crash, or when members come and go. Handling should not mind.
//!
//! # Order
//!
//! Messages of one queue are stored in the order in which their sends were answered, and come in that order. So what
//! must stay in order shares a key with [`Producer::send_by_key`], is sent one after the other, and is received with
//! [`PushConsumerBuilder::start_in_order`]. A push consumer started with `start` handles messages of one queue side by
//! side.
//!
//! # Errors, and what they leave behind
//!
//! What the outside can cause is an error value: [`ClientError`], or [`SendError`] for a send. A send is tried again
//! within its [`RetryPolicy`] before it fails, and then says what is the one thing that matters: may the message have
//! been stored all the same?
//!
//! ```no_run
//! # async fn example(producer: client::Producer) {
//! use client::{ClientError, Message, MessageError, Outcome};
//!
//! match producer.send(Message::new("TopicTest", "Hello")).await {
//!     Ok(sent) => println!("stored, after {} attempts", sent.attempts),
//!     Err(error) if error.outcome == Outcome::Unknown => println!("look for {} before sending again", error.msg_id),
//!     Err(error) => match &*error.source {
//!         ClientError::Message(MessageError::TooLarge { bytes, limit }) => println!("{bytes} of {limit} bytes"),
//!         ClientError::Refused { code, remark, .. } => println!("the broker says {code}: {remark}"),
//!         other => println!("certainly not stored: {other}"),
//!     },
//! }
//! # }
//! ```
//!
//! Retries can store a message twice, when an attempt got no answer and took effect all the same: the copies have one
//! [`msg_id`](ReceivedMessage::msg_id). A producer with [`retries(0)`](ProducerBuilder::retries) never does, and leaves
//! the unknown to you.
//!
//! # When a leader dies
//!
//! Routes are asked for every 30 s, and *at once* after anything failed: while a broker group elects a new leader,
//! sends and pulls wait for the election and for nothing else. A leader that falls silent without closing its
//! connections is left as soon as another one leads: sends ask after 250 ms, held pulls after half a second and then
//! at growing intervals of up to 4 s.
//!
//! # Operating
//!
//! [`Admin`] creates topics and groups, finds messages, moves offsets, and asks what operators want to know.
//! [`ClientConfig`] has the time-outs and the name servers that all of the above share.
//!
//! # What is not here
//!
//! Transactions, timers at an arbitrary time (brokers of RocketMQ 5 take [`Message::with_delivery_at`], Trireme refuses
//! it; the 18 [delay levels](Message::with_delay_level) work with both), SQL92 filters, pop consumption, request-reply,
//! message traces, TLS and ACL. Batches are never compressed. It knows nothing of how brokers work inside, and uses
//! nothing of theirs.
//!
//! The examples run against `trireme up` as they are: `cargo run -p client --example producer`; there are also
//! `consumer`, `ordered`, `many`, `pull`, `broadcast`, `retry`, `admin` and `throughput`.

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

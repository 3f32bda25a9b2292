//! What the other roles leave out: odd sizes and names, batches, compression, order, queries, members of a group.

mod groups;

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{
    Admin, BODY_BYTES_MAX, ClientConfig, ClientError, Compression, Consume, ConsumeFrom, Message,
    MessageError, Producer, PushConsumer, PushConsumerBuilder, ReceivedMessage, SendError, TimeRange,
};
use tokio::time::Instant;

use crate::{Done, Options, say, told};

/// Longest wait for what must come.
const WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest name of a topic.
const TOPIC_BYTES_MAX: usize = 127;

/// Runs all checks and says what came of each.
pub async fn run(options: &Options) -> Done {
    let odd = Odd::new(options).await?;
    check("batch", odd.batch()).await;
    for (name, kind) in [("zlib", Compression::Zlib), ("lz4", Compression::Lz4), ("zstd", Compression::Zstd)]
    {
        check(&format!("compressed-{name}"), odd.compressed(kind)).await;
    }
    check("largest-body", odd.largest_body()).await;
    check("body-one-byte-over", odd.body_over_the_limit()).await;
    check("empty-body", odd.empty_body()).await;
    check("large-properties", odd.large_properties()).await;
    check("properties-over-the-limit", odd.properties_over_the_limit()).await;
    check("longest-topic", odd.longest_topic()).await;
    check("illegal-names", odd.illegal_names()).await;
    check("tags-300", odd.many_tags()).await;
    check("query", odd.query()).await;
    check("offsets", odd.offsets()).await;
    check("async-window", odd.async_window()).await;
    check("oneway-then-shutdown", odd.oneway_then_shutdown()).await;
    check("unknown-topic", odd.unknown_topic()).await;
    check("in-order", odd.in_order()).await;
    check("shared-queues", odd.shared_queues()).await;
    check("broadcasting", odd.broadcasting()).await;
    check("retry", odd.retry()).await;
    check("dead-letters", odd.dead_letters()).await;
    check("stuck-handler", odd.stuck_handler()).await;
    check("consume-from", odd.consume_from()).await;
    check("subscription-changed", odd.subscription_changed()).await;
    odd.producer.shutdown().await;
    odd.admin.shutdown().await;
    Ok(())
}

async fn check(name: &str, work: impl Future<Output = Done>) {
    let came = work.await;
    say(came.map_or_else(|error| format!("CHECK {name} {}", told(&*error)), |()| format!("CHECK {name} ok")));
}

fn expect(holds: bool, what: impl Display) -> Done {
    if holds { Ok(()) } else { Err(what.to_string().into()) }
}

/// Looks again until `look` is true.
async fn wait_for(what: &str, mut look: impl FnMut() -> bool) -> Done {
    let deadline = Instant::now() + WITHIN;
    while !look() {
        expect(Instant::now() < deadline, format!("waited {} s for {what}", WITHIN.as_secs()))?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// What a consumer was given, in the order of coming.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Arc<ReceivedMessage>>>>);

impl Kept {
    fn keep(&self, message: Arc<ReceivedMessage>) {
        self.0.lock().expect("nobody panics while it is held").push(message);
    }

    fn all(&self) -> Vec<Arc<ReceivedMessage>> {
        self.0.lock().expect("nobody panics while it is held").clone()
    }

    fn count(&self) -> usize {
        self.0.lock().expect("nobody panics while it is held").len()
    }

    /// The bodies without repeats, sorted.
    fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> =
            self.all().iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect();
        bodies.sort();
        bodies.dedup();
        bodies
    }
}

struct Odd {
    config: ClientConfig,
    topic: String,
    group: String,
    producer: Producer,
    admin: Admin,
}

impl Odd {
    async fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let (config, group) = (options.config(), options.text("group"));
        let producer = Producer::builder(format!("{group}-p"), &config).start().await?;
        let admin = Admin::start(&config).await?;
        Ok(Self { config, topic: options.text("topic"), group, producer, admin })
    }

    fn group(&self, name: &str) -> String {
        format!("{}-{name}", self.group)
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.topic)
    }

    /// A consumer of a group of its own, from the first message on.
    fn consumer(&self, name: &str, topic: &str, expression: &str) -> PushConsumerBuilder {
        PushConsumer::builder(self.group(name), &self.config)
            .subscribe(topic, expression)
            .consume_from(ConsumeFrom::First)
            .rebalance_interval(Duration::from_secs(2))
    }

    /// Starts a consumer that keeps what it is given.
    async fn keep(&self, builder: PushConsumerBuilder) -> Result<(PushConsumer, Kept), ClientError> {
        let kept = Kept::default();
        let keeper = kept.clone();
        let handler = move |message: Arc<ReceivedMessage>| {
            keeper.keep(message);
            async { Consume::Success }
        };
        Ok((builder.start(handler).await?, kept))
    }

    /// Sends a message and returns it as received; its tag tells it from all others.
    async fn round_trip(
        &self,
        by: &Producer,
        message: Message,
    ) -> Result<Arc<ReceivedMessage>, Box<dyn Error>> {
        let (topic, body) = (message.topic.clone(), message.body.clone());
        let sent = by.send(message.with_tag("mark")).await?;
        let mark = sent.msg_id;
        let (consumer, kept) = self.keep(self.consumer(&mark, &topic, "mark")).await?;
        let find = || kept.all().into_iter().find(|message| message.msg_id() == mark);
        let came = wait_for("the message", || find().is_some()).await;
        consumer.shutdown().await;
        came?;
        let received = find().ok_or("it is gone again")?;
        expect(received.body == body, "another body came back")?;
        Ok(received)
    }

    async fn batch(&self) -> Done {
        let message = |number| {
            Message::new(&self.topic, format!("批量 {number}"))
                .with_tag("batch")
                .with_keys([format!("batch-{number}")])
        };
        let sent = self.producer.send_batch((0..20).map(message).collect()).await?;
        expect(sent.msg_id.split(',').count() == 20, format!("ids {}", sent.msg_id))?;
        let (consumer, kept) = self.keep(self.consumer("batch", &self.topic, "batch")).await?;
        let came = wait_for("the batch", || kept.count() >= 20).await;
        consumer.shutdown().await;
        came?;
        let mut all = kept.all();
        all.sort_by_key(|message| message.queue_offset);
        for (number, message) in all.iter().enumerate() {
            let place = (message.queue.queue_id, message.queue_offset);
            expect(
                place == (sent.queue.queue_id, sent.queue_offset + number as i64),
                format!("at {place:?}"),
            )?;
            expect(message.keys().eq([format!("batch-{number}")]), format!("key at {number}"))?;
            expect(message.body == format!("批量 {number}"), format!("body at {number}"))?;
        }
        expect(all.len() == 20, format!("{} messages", all.len()))
    }

    async fn compressed(&self, kind: Compression) -> Done {
        let by = Producer::builder(self.group("compressing"), &self.config).compression(kind).start().await?;
        let body = "压缩 compressible ".repeat(4_000);
        let plain_bytes = body.len();
        let received = self.round_trip(&by, Message::new(&self.topic, body)).await;
        by.shutdown().await;
        let stored = received?.stored_bytes;
        expect(stored < plain_bytes / 2, format!("stored in {stored} bytes"))
    }

    async fn largest_body(&self) -> Done {
        // Xorshift: bytes that no compression makes smaller.
        let mut state = 7_u64;
        let body: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(BODY_BYTES_MAX)
        .collect();
        let by = Producer::builder(self.group("raw"), &self.config).compress_above(None).start().await?;
        let received = self.round_trip(&by, Message::new(&self.topic, body)).await;
        by.shutdown().await;
        received.map(drop)
    }

    /// A send that must be refused before it leaves.
    async fn refused(&self, message: Message, wanted: impl Fn(&MessageError) -> bool) -> Done {
        match self.producer.send(message).await {
            Ok(_) => Err("it was taken".into()),
            Err(SendError { source, attempts: 0, .. }) => match *source {
                ClientError::Message(error) if wanted(&error) => Ok(()),
                error => Err(format!("another error: {error}").into()),
            },
            Err(error) => Err(format!("it was sent: {error}").into()),
        }
    }

    async fn body_over_the_limit(&self) -> Done {
        let message = Message::new(&self.topic, vec![b'x'; BODY_BYTES_MAX + 1]);
        self.refused(message, |error| matches!(error, MessageError::TooLarge { .. })).await?;
        // A producer that lets it pass hears the broker's own refusal.
        let by = Producer::builder(self.group("large"), &self.config)
            .body_bytes_max(usize::MAX)
            .compress_above(None)
            .start()
            .await?;
        let answer = by.send(Message::new(&self.topic, vec![b'x'; BODY_BYTES_MAX + 1])).await;
        by.shutdown().await;
        match answer {
            Err(error) if error.code() == Some(client::protocol::ResponseCode::MESSAGE_ILLEGAL) => Ok(()),
            other => Err(format!("the broker says {other:?}").into()),
        }
    }

    async fn empty_body(&self) -> Done {
        let message = Message::new(&self.topic, "");
        self.refused(message, |error| matches!(error, MessageError::EmptyBody { .. })).await
    }

    async fn large_properties(&self) -> Done {
        let value = "值".repeat(9_000);
        let message = Message::new(&self.topic, "large properties").with_property("large", &value);
        let received = self.round_trip(&self.producer, message).await?;
        expect(received.property("large") == Some(&value), "another property came back")
    }

    async fn properties_over_the_limit(&self) -> Done {
        let message = Message::new(&self.topic, "x").with_property("large", "x".repeat(33_000));
        self.refused(message, |error| matches!(error, MessageError::PropertiesTooLarge { .. })).await
    }

    async fn longest_topic(&self) -> Done {
        let topic = format!("{}{}", self.topic, "x".repeat(TOPIC_BYTES_MAX - self.topic.len()));
        self.round_trip(&self.producer, Message::new(topic, "a")).await.map(drop)
    }

    async fn illegal_names(&self) -> Done {
        let is_name = |error: &MessageError| matches!(error, MessageError::Name { .. });
        for topic in ["a b", "", "主题", &"x".repeat(TOPIC_BYTES_MAX + 1)] {
            self.refused(Message::new(topic, "a"), is_name)
                .await
                .map_err(|error| format!("{topic:?}: {error}"))?;
        }
        let group = Producer::builder("a b", &self.config).start().await;
        expect(matches!(group, Err(ClientError::Message(MessageError::Name { .. }))), "the group was taken")
    }

    async fn many_tags(&self) -> Done {
        for tag in ["other", "many299"] {
            self.producer.send(Message::new(&self.topic, tag).with_tag(tag)).await?;
        }
        let tags: Vec<String> = (0..300).map(|number| format!("many{number}")).collect();
        let (consumer, kept) = self.keep(self.consumer("many", &self.topic, &tags.join(" || "))).await?;
        let came = wait_for("the subscribed one", || kept.count() > 0).await;
        consumer.shutdown().await;
        came?;
        expect(kept.bodies() == ["many299"], format!("{:?}", kept.bodies()))
    }

    async fn query(&self) -> Done {
        let body = "to be found";
        let key = format!("键{}", self.producer.client_id().replace(['#', '@'], "-"));
        let message = Message::new(&self.topic, body).with_keys([key.as_str(), "second"]);
        let sent = self.producer.send(message).await?;
        let deadline = Instant::now() + WITHIN;
        let by_key = loop {
            let found = self.admin.messages_by_key(&self.topic, &key, 32, TimeRange::ALL).await?;
            if !found.is_empty() {
                break found;
            }
            expect(Instant::now() < deadline, "the key never came into the index")?;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        expect(by_key.len() == 1 && by_key[0].body == body, format!("by key {}", by_key.len()))?;
        let by_offset_id = self.admin.message_by_offset_id(&sent.offset_msg_id).await?;
        expect(by_offset_id.body == body, "by offset id another body")?;
        let by_unique_id =
            self.admin.messages_by_unique_key(&self.topic, &sent.msg_id, TimeRange::ALL).await?;
        expect(by_unique_id.len() == 1 && by_unique_id[0].body == body, "by unique id another body")
    }

    async fn offsets(&self) -> Done {
        let topic = self.topic("offsets");
        self.producer.send(Message::new(&topic, "0")).await?; // makes the topic
        let queue = self.producer.queues(&topic).await?.pop().ok_or("no queue")?;
        let first = self.admin.max_offset(&queue).await?;
        let mut times = Vec::new();
        for number in 0..10 {
            let sent = self.producer.send_to(Message::new(&topic, number.to_string()), queue.clone()).await?;
            expect(sent.queue_offset == first + number, format!("offset {}", sent.queue_offset))?;
            times.push(self.admin.message_by_offset_id(&sent.offset_msg_id).await?.store_timestamp_ms);
            tokio::time::sleep(Duration::from_millis(2)).await; // another millisecond for the next one
        }
        let ends = (self.admin.min_offset(&queue).await?, self.admin.max_offset(&queue).await?);
        expect(ends == (0, first + 10), format!("{ends:?}"))?;
        for (time, offset) in [(times[0] - 10_000, 0), (times[5], first + 5), (times[9] + 60_000, first + 10)]
        {
            let found = self.admin.offset_at(&queue, time).await?;
            expect(found == offset, format!("{found} instead of {offset}"))?;
        }
        let earliest = self.admin.earliest_store_time(&queue).await?.ok_or("no earliest time")?;
        expect(earliest <= times[0], format!("earliest {earliest}"))
    }

    async fn async_window(&self) -> Done {
        let topic = self.topic("async");
        let by = Producer::builder(self.group("async"), &self.config).async_max(8, 4_096).start().await?;
        for number in 0..500 {
            drop(by.send_async(Message::new(&topic, number.to_string())).await?);
        }
        by.flush().await;
        let stats = self.admin.topic_stats(&topic).await?.offset_table;
        let stored: i64 = stats.values().map(|ends| ends.max_offset - ends.min_offset).sum();
        for number in 500..600 {
            drop(by.send_async(Message::new(&topic, number.to_string())).await?);
        }
        by.shutdown().await;
        expect(stored == 500, format!("{stored} stored after the flush"))?;
        let stats = self.admin.topic_stats(&topic).await?.offset_table;
        let stored: i64 = stats.values().map(|ends| ends.max_offset - ends.min_offset).sum();
        expect(stored == 600, format!("{stored} stored after the shutdown"))
    }

    async fn oneway_then_shutdown(&self) -> Done {
        let by = Producer::builder(self.group("oneway"), &self.config).start().await?;
        for number in 0..100 {
            by.send_oneway(Message::new(&self.topic, number.to_string()).with_tag("oneway")).await?;
        }
        by.shutdown().await;
        let (consumer, kept) = self.keep(self.consumer("oneway", &self.topic, "oneway")).await?;
        let came = wait_for("all of it", || kept.bodies().len() == 100).await;
        consumer.shutdown().await;
        came
    }

    async fn unknown_topic(&self) -> Done {
        let topic = self.topic("never-sent-to");
        match self.admin.topic_route(&topic).await {
            Err(ClientError::NoRoute { .. }) => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    }
}

//! Checks of consumer groups: order, division of queues, broadcasting, retries, beginnings, changed subscriptions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use client::{Consume, ConsumeFrom, LitePullConsumer, Message, MessageModel, ReceivedMessage};

use super::{Kept, Odd, expect, wait_for};
use crate::Done;

const KEYS: usize = 5;
const EACH: usize = 40;
const SHARED: usize = 200;

impl Odd {
    async fn send_numbers(&self, topic: &str, numbers: impl Iterator<Item = usize>) -> Done {
        for number in numbers {
            self.producer.send(Message::new(topic, number.to_string())).await?;
        }
        Ok(())
    }

    pub(super) async fn in_order(&self) -> Done {
        let topic = self.topic("in-order");
        for number in 0..KEYS * EACH {
            let key = format!("order-{}", number % KEYS);
            self.producer.send_by_key(Message::new(&topic, number.to_string()), key).await?;
        }
        let kept = Kept::default();
        let keeper = kept.clone();
        let consumer = self.consumer("in-order", &topic, "*").order_pause(Duration::from_millis(50));
        let consumer = consumer
            .start_in_order(move |message: Arc<ReceivedMessage>| {
                // Now and then one is not taken at once; its queue has to wait for it.
                let is_later = message.queue_offset % 17 == 3 && message.reconsume_times == 0;
                if !is_later {
                    keeper.keep(message);
                }
                async move { if is_later { Consume::Later } else { Consume::Success } }
            })
            .await?;
        let came = wait_for("all of it", || kept.count() >= KEYS * EACH).await;
        consumer.shutdown().await;
        came?;
        let mut by_key: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for message in kept.all() {
            let number: usize = String::from_utf8_lossy(&message.body).parse()?;
            by_key.entry(number % KEYS).or_default().push(number);
        }
        for (key, numbers) in by_key {
            expect(numbers.is_sorted() && numbers.len() == EACH, format!("key {key}: {numbers:?}"))?;
        }
        Ok(())
    }

    pub(super) async fn shared_queues(&self) -> Done {
        let topic = self.topic("shared");
        self.producer.send(Message::new(&topic, "0")).await?;
        let (first, kept_first) = self.keep(self.consumer("shared", &topic, "*")).await?;
        let (second, kept_second) = self.keep(self.consumer("shared", &topic, "*")).await?;
        let queues = |consumer: &client::PushConsumer| {
            consumer.queues().iter().filter(|(queue, _)| queue.topic == topic).count()
        };
        let divided = wait_for("two queues each", || queues(&first) == 2 && queues(&second) == 2).await;
        let work = async {
            divided?;
            self.send_numbers(&topic, 1..SHARED).await?;
            let all = || kept_first.bodies().len() + kept_second.bodies().len() >= SHARED;
            wait_for("all of it", all).await?;
            // The one that stays takes the other's queues at once, not at the next look.
            first.shutdown().await;
            wait_for("all queues at one", || queues(&second) == 4).await?;
            self.send_numbers(&topic, SHARED..SHARED + 20).await?;
            wait_for("the rest", || {
                kept_second.bodies().iter().any(|body| *body == (SHARED + 19).to_string())
            })
            .await
        };
        let came = work.await;
        first.shutdown().await;
        second.shutdown().await;
        came?;
        let (one, two) = (kept_first.count(), kept_second.count());
        expect(one > 0 && two > 20, format!("{one} and {two} messages"))?;
        expect(one + two == SHARED + 20, format!("{} messages instead of {}", one + two, SHARED + 20))
    }

    pub(super) async fn broadcasting(&self) -> Done {
        let topic = self.topic("broadcasting");
        self.send_numbers(&topic, 0..SHARED).await?;
        let start = |name: &str| {
            let builder = self.consumer("broadcasting", &topic, "*").model(MessageModel::Broadcasting);
            self.keep(builder.instance_name(name))
        };
        let (first, kept_first) = start("one").await?;
        let (second, kept_second) = start("two").await?;
        let is_locked = matches!(start("two").await, Err(client::ClientError::OffsetFileInUse { .. }));
        let came = wait_for("all of it, twice", || {
            kept_first.bodies().len() == SHARED && kept_second.bodies().len() == SHARED
        })
        .await;
        first.shutdown().await;
        second.shutdown().await;
        came?;
        expect(is_locked, "two consumers shared one offset file")?;
        // The first one comes back and goes on where it was.
        let (first, kept) = start("one").await?;
        let work = async {
            self.send_numbers(&topic, SHARED..SHARED + 10).await?;
            wait_for("what is new", || kept.bodies().len() >= 10).await
        };
        let came = work.await;
        first.shutdown().await;
        came?;
        expect(kept.count() == 10, format!("{} messages after the restart", kept.count()))
    }

    pub(super) async fn retry(&self) -> Done {
        let topic = self.topic("retry");
        let kept = Kept::default();
        let keeper = kept.clone();
        let consumer = self.consumer("retry", &topic, "*");
        let consumer = consumer
            .start(move |message: Arc<ReceivedMessage>| {
                let is_first = message.reconsume_times == 0;
                keeper.keep(message);
                async move { if is_first { Consume::LaterAt { delay_level: 1 } } else { Consume::Success } }
            })
            .await?;
        let work = async {
            self.producer.send(Message::new(&topic, "once more").with_keys(["键"])).await?;
            wait_for("the second time", || kept.count() >= 2).await
        };
        let came = work.await;
        consumer.shutdown().await;
        came?;
        let all = kept.all();
        let times: Vec<i32> = all.iter().map(|message| message.reconsume_times).collect();
        expect(times == [0, 1], format!("{times:?}"))?;
        let is_same = all[0].topic == all[1].topic && all[0].msg_id() == all[1].msg_id();
        expect(is_same && all[1].keys().eq(["键"]), "it came back as another message")
    }

    pub(super) async fn dead_letters(&self) -> Done {
        let topic = self.topic("dead");
        let consumer = self.consumer("dead", &topic, "*").reconsume_max(0);
        let consumer = consumer.start(|_message: Arc<ReceivedMessage>| async { Consume::Later }).await?;
        self.producer.send(Message::new(&topic, "nobody wants it")).await?;
        let dead = format!("%DLQ%{}", self.group("dead"));
        let (reader, kept) = self.keep(self.consumer("undertaker", &dead, "*")).await?;
        let came = wait_for("the dead letter", || kept.bodies() == ["nobody wants it"]).await;
        reader.shutdown().await;
        consumer.shutdown().await;
        came
    }

    pub(super) async fn stuck_handler(&self) -> Done {
        let topic = self.topic("stuck");
        self.send_numbers(&topic, 0..20).await?;
        let stuck = Arc::new(AtomicU32::new(0));
        let counted = stuck.clone();
        let consumer = self.consumer("stuck", &topic, "*").consume_timeout(Duration::from_millis(500));
        let consumer = consumer
            .start(move |message: Arc<ReceivedMessage>| {
                let is_stuck = message.body == "7" && message.reconsume_times == 0;
                counted.fetch_add(u32::from(is_stuck), Ordering::Relaxed);
                async move {
                    if is_stuck {
                        std::future::pending::<()>().await;
                    }
                    Consume::Success
                }
            })
            .await?;
        let is_at_end = || {
            let queues = consumer.queues();
            let of_topic = queues.iter().filter(|(queue, _)| queue.topic == topic);
            of_topic.map(|(_, offset)| offset).sum::<i64>() == 20
        };
        let came = wait_for("the ends of all queues", is_at_end).await;
        consumer.shutdown().await;
        came?;
        expect(stuck.load(Ordering::Relaxed) == 1, "no handler was stuck")
    }

    pub(super) async fn consume_from(&self) -> Done {
        let topic = self.topic("from");
        self.send_numbers(&topic, 0..10).await?;
        let queue = self.producer.queues(&topic).await?.remove(0);
        let sent = self.producer.send_to(Message::new(&topic, "10"), queue).await?;
        let at = self.admin.message_by_offset_id(&sent.offset_msg_id).await?.store_timestamp_ms;
        // For a group that was never seen brokers answer 0 as long as the first message is there, so that more than
        // what is wanted may come.
        let polled = |name: &'static str, from: ConsumeFrom| {
            let builder = LitePullConsumer::builder(self.group(name), &self.config);
            builder.subscribe(&topic, "*").consume_from(from).start_polled()
        };
        for (name, from, least) in
            [("first", ConsumeFrom::First, 11), ("time", ConsumeFrom::Timestamp(at), 1)]
        {
            let mut consumer = polled(name, from).await?;
            let mut bodies = Vec::new();
            let deadline = tokio::time::Instant::now() + super::WITHIN;
            let is_all =
                |bodies: &Vec<String>| bodies.len() >= least && bodies.iter().any(|body| body == "10");
            while !is_all(&bodies) && tokio::time::Instant::now() < deadline {
                let messages = consumer.poll(Duration::from_millis(500)).await?;
                bodies.extend(
                    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()),
                );
            }
            consumer.commit().await?;
            consumer.shutdown().await;
            expect(is_all(&bodies), format!("{name}: {bodies:?}"))?;
        }
        Ok(())
    }

    pub(super) async fn subscription_changed(&self) -> Done {
        let (topic, other) = (self.topic("changed"), self.topic("changed-too"));
        let send = async |topic: &str, tag: &str| -> Done {
            self.producer.send(Message::new(topic, format!("{tag} of {topic}")).with_tag(tag)).await?;
            Ok(())
        };
        send(&topic, "A").await?;
        send(&other, "A").await?;
        let (consumer, kept) = self.keep(self.consumer("changed", &topic, "A")).await?;
        let work = async {
            wait_for("the first", || kept.count() == 1).await?;
            consumer.subscribe(&topic, "B")?;
            consumer.subscribe(&other, "*")?;
            wait_for("the other topic", || kept.count() == 2).await?;
            send(&topic, "A").await?;
            send(&topic, "B").await?;
            wait_for("the other tag", || kept.count() == 3).await?;
            consumer.unsubscribe(&other);
            let left = || consumer.queues().iter().all(|(queue, _)| queue.topic != other);
            wait_for("the end of the other topic", left).await
        };
        let came = work.await;
        consumer.shutdown().await;
        came?;
        let mut wanted = [format!("A of {topic}"), format!("A of {other}"), format!("B of {topic}")];
        wanted.sort();
        expect(kept.bodies() == wanted, format!("{:?}", kept.bodies()))?;
        // The next life of the group wants yet something else, and goes on from the stored offsets.
        send(&topic, "C").await?;
        let (consumer, kept) = self.keep(self.consumer("changed", &topic, "C || D")).await?;
        let came = wait_for("the new tag", || kept.count() == 1).await;
        consumer.shutdown().await;
        came
    }
}

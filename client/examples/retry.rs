//! What becomes of messages that a consumer does not take: they come again, and in the end go to the dead letters.
//!
//! `cargo run -p client --example retry [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876 RetryTest`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use client::protocol::names;
use client::{Consume, ConsumeFrom, Message, Producer, PushConsumer, ReceivedMessage};
use tokio::sync::mpsc;

const GROUP: &str = "example_hesitant";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "RetryTest".to_owned());

    let (told, mut came) = mpsc::unbounded_channel();
    let consumer = PushConsumer::builder(GROUP, namesrv.as_str())
        .subscribe(&topic, "*")
        .consume_from(ConsumeFrom::First)
        .reconsume_max(2)
        .consume_timeout(Duration::from_secs(60)) // a handler that takes longer counts as "later"
        .start(move |message: Arc<ReceivedMessage>| {
            println!("{:?}, time {}", message.body, message.reconsume_times + 1);
            let _ = told.send(message.reconsume_times); // nobody listens any more: the program is ending
            async move {
                if message.body == "hopeless" || message.reconsume_times == 0 {
                    // After a second; `Consume::Later` waits longer each time.
                    Consume::LaterAt { delay_level: 1 }
                } else {
                    Consume::Success
                }
            }
        })
        .await?;
    let producer = Producer::builder("example_retry_producers", namesrv.as_str()).start().await?;
    for body in ["good the second time", "hopeless"] {
        producer.send(Message::new(&topic, body)).await?;
    }
    producer.shutdown().await;
    let mut times = 0;
    while times < 5 {
        tokio::time::timeout(PATIENCE, came.recv()).await?.ok_or("the consumer is gone")?;
        times += 1;
    }

    // Dead letters are a topic like any other.
    let (told, mut dead) = mpsc::unbounded_channel();
    let undertaker = PushConsumer::builder("example_undertakers", namesrv.as_str())
        .subscribe(names::dlq_topic(GROUP), "*")
        .consume_from(ConsumeFrom::First)
        .start(move |message: Arc<ReceivedMessage>| {
            let _ = told.send(message);
            async { Consume::Success }
        })
        .await?;
    let letter = tokio::time::timeout(PATIENCE, dead.recv()).await?.ok_or("the consumer is gone")?;
    println!("{:?} is in {}", letter.body, letter.queue.topic);
    undertaker.shutdown().await;
    consumer.shutdown().await;
    Ok(())
}

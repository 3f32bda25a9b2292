//! Two members of a broadcasting group: each of them gets every message, and remembers in a file of its own how far
//! it has come.
//!
//! `cargo run -p client --example broadcast [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876 BroadcastTest`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use client::{Consume, ConsumeFrom, Message, MessageModel, Producer, PushConsumer, ReceivedMessage};
use tokio::sync::mpsc;

const MESSAGES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "BroadcastTest".to_owned());

    let producer = Producer::builder("example_speakers", namesrv.as_str()).start().await?;
    let run = producer.client_id().to_owned(); // tells this run's messages from those of earlier ones
    for number in 0..MESSAGES {
        producer.send(Message::new(&topic, format!("news {number}")).with_property("run", &run)).await?;
    }
    producer.shutdown().await;

    // A directory for this run only. A real consumer keeps its own, or it begins from the first message each time.
    let offsets_dir = std::env::temp_dir().join(format!("example-offsets-{}", std::process::id()));
    let (heard, mut news) = mpsc::unbounded_channel();
    let mut members = Vec::new();
    for name in ["first", "second"] {
        let (heard, run) = (heard.clone(), run.clone());
        let member = PushConsumer::builder("example_listeners", namesrv.as_str())
            .subscribe(&topic, "*")
            .consume_from(ConsumeFrom::First)
            .model(MessageModel::Broadcasting)
            .instance_name(name)
            .offsets_dir(&offsets_dir)
            .start(move |message: Arc<ReceivedMessage>| {
                if message.property("run") == Some(&run) {
                    let _ = heard.send((name, message.msg_id())); // nobody listens any more: the program is ending
                }
                async { Consume::Success }
            })
            .await?;
        members.push(member);
    }
    // By their ids, since a message may come again.
    let (mut first, mut second) = (HashSet::new(), HashSet::new());
    while first.len() + second.len() < 2 * MESSAGES {
        match tokio::time::timeout(PATIENCE, news.recv()).await?.ok_or("no member is left")? {
            ("first", id) => first.insert(id),
            (_, id) => second.insert(id),
        };
    }
    let (first, second) = (first.len(), second.len());
    println!("{MESSAGES} messages sent, {first} came to the first member and {second} to the second");
    for member in members {
        member.shutdown().await;
    }
    std::fs::remove_dir_all(offsets_dir)?;
    Ok(())
}

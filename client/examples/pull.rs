//! Fetches messages when it wants them: once by queues and offsets of its own choice, once as a member of a group.
//!
//! `cargo run -p client --example pull [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876 PullTest`.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use client::{ConsumeFrom, LitePullConsumer, Message, Producer, PullConsumer, PullOptions};

const MESSAGES: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "PullTest".to_owned());

    let producer = Producer::builder("example_pull_producers", namesrv.as_str()).start().await?;
    for number in 0..MESSAGES {
        producer.send(Message::new(&topic, format!("number {number}"))).await?;
    }
    producer.shutdown().await;

    // The application chooses the queue and the offset, and keeps in mind where it was.
    let mut reader = PullConsumer::builder("example_readers", namesrv.as_str()).start().await?;
    let mut read = 0;
    for queue in reader.queues(&topic).await? {
        let mut offset = reader.min_offset(&queue).await?;
        let end = reader.max_offset(&queue).await?;
        while offset < end {
            let pulled = reader.pull(&queue, offset, &PullOptions::default()).await?;
            read += pulled.messages.len();
            offset = pulled.next_offset;
        }
        println!("{queue} ends at {end}");
    }
    println!("{read} messages read");
    reader.shutdown().await;

    // The group divides the queues and remembers the offsets; the application fetches.
    let mut member = LitePullConsumer::builder("example_pollers", namesrv.as_str())
        .subscribe(&topic, "*")
        .consume_from(ConsumeFrom::First)
        .start_polled()
        .await?;
    let mut polled = HashSet::new();
    loop {
        let messages = member.poll(Duration::from_secs(3)).await?;
        if messages.is_empty() {
            break;
        }
        polled.extend(messages.into_iter().map(|message| message.msg_id()));
        member.commit().await?; // what is not committed comes again
    }
    println!("{} messages polled; the next run begins behind them", polled.len());
    member.shutdown().await;
    Ok(())
}

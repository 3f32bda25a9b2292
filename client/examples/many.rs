//! Sends much at once: in batches, compressed, and without waiting for each answer.
//!
//! `cargo run -p client --example many [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876 ManyTest`.

use std::error::Error;

use client::{Compression, Message, Producer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "ManyTest".to_owned());

    let producer = Producer::builder("example_many_producers", namesrv)
        .compression(Compression::Zstd)
        .compress_above(Some(1_024))
        .async_max(64, 1 << 20)
        .start()
        .await?;

    // A batch is one request: all of it is stored in one queue, side by side, or nothing is.
    let batch = (0..100).map(|number| Message::new(&topic, format!("batched {number}"))).collect();
    let sent = producer.send_batch(batch).await?;
    println!("100 messages from offset {} of {} on", sent.queue_offset, sent.queue);

    // Big bodies are compressed; whoever receives them does not notice.
    let sent = producer.send(Message::new(&topic, "all work and no play ".repeat(50_000))).await?;
    println!("1 MB, compressed, at offset {} of {}", sent.queue_offset, sent.queue);

    // Up to 64 sends are under way at the same time; `send_async` waits for room when there are more.
    let mut under_way = Vec::new();
    for number in 0..1_000 {
        under_way.push(producer.send_async(Message::new(&topic, format!("in passing {number}"))).await?);
    }
    let mut stored = 0;
    for sending in under_way {
        match sending.await {
            Ok(_) => stored += 1,
            Err(error) => println!("{error}"),
        }
    }
    println!("{stored} of 1000 asynchronous sends stored");

    // Nobody ever answers to a one-way message.
    producer.send_oneway(Message::new(&topic, "if it arrives, it arrives")).await?;
    producer.shutdown().await;
    Ok(())
}

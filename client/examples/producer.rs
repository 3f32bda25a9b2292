//! Sends fifty messages a second, and tells when a send failed, waited or was answered by a new leader.
//!
//! `cargo run -p client --example producer [NAMESRV] [TOPIC] [COUNT]`, by default `127.0.0.1:9876 TopicTest 500`. Start
//! it against `trireme up`, kill the leader, and watch; `RUST_LOG=client=debug` shows each attempt.

use std::error::Error;
use std::time::{Duration, Instant};

use client::{Message, Producer};

/// A send that took longer is worth a line.
const SLOW: Duration = Duration::from_millis(100);

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "an example measures by the machine's own clock")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "TopicTest".to_owned());
    let count: u64 = args.next().map_or(Ok(500), |text| text.parse())?;

    let producer =
        Producer::builder("example_producers", namesrv).send_timeout(Duration::from_secs(10)).start().await?;
    let mut node = String::new();
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop); // one wait for all rounds: Ctrl-C may come while a message is being sent
    let mut stored = 0;
    for number in 0..count {
        tokio::select! {
            _ = interval.tick() => {}
            _ = &mut stop => break,
        }
        let message = Message::new(&topic, format!("Hello RocketMQ {number}"))
            .with_tag("TagA")
            .with_keys([format!("order-{number}")]);
        let begun = Instant::now();
        match producer.send(message).await {
            Ok(sent) => {
                stored += 1;
                if sent.node != node || begun.elapsed() > SLOW {
                    println!("message {number} was answered by {} after {:?}", sent.node, begun.elapsed());
                    node.clone_from(&sent.node);
                }
                if number.is_multiple_of(100) {
                    println!("{} is at {}, offset {}", sent.msg_id, sent.queue, sent.queue_offset);
                }
            }
            Err(error) => {
                let told = if error.is_unknown() { "may have been stored" } else { "was not stored" };
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                println!("message {number} {told}: {cause}");
            }
        }
    }
    producer.shutdown().await;
    println!("{stored} messages stored");
    Ok(())
}

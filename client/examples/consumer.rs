//! Receives messages as one member of a group, until none has come for a while or Ctrl-C. Start it twice to see the
//! queues divided, and the example `producer` beside it for something to receive.
//!
//! `cargo run -p client --example consumer [NAMESRV] [TOPIC] [TAGS] [SECONDS]`, by default
//! `127.0.0.1:9876 TopicTest '*' 10`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Consume, ConsumeFrom, PushConsumer, ReceivedMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "TopicTest".to_owned());
    let tags = args.next().unwrap_or_else(|| "*".to_owned());
    let patience = Duration::from_secs(args.next().map_or(Ok(10), |text| text.parse())?);

    // A message may come again, after a failure for instance. It has the same id then, which a program that must not
    // do things twice looks at.
    let received = Arc::new(Mutex::new(HashSet::new()));
    let seen = received.clone();
    let consumer = PushConsumer::builder("example_consumers", namesrv)
        .subscribe(topic, tags)
        .consume_from(ConsumeFrom::First)
        .start(move |message: Arc<ReceivedMessage>| {
            let count = {
                let mut seen = seen.lock().expect("no handler panics");
                seen.insert(message.msg_id()).then(|| seen.len())
            };
            async move {
                if count.is_some_and(|count| count % 100 == 1) {
                    let body = String::from_utf8_lossy(&message.body);
                    println!("{}, offset {}: {body}", message.queue, message.queue_offset);
                }
                Consume::Success
            }
        })
        .await?;
    let mut before = 0;
    loop {
        tokio::select! {
            stop = tokio::signal::ctrl_c() => break stop?,
            () = tokio::time::sleep(patience) => {}
        }
        let now = received.lock().expect("no handler panics").len();
        if now == before {
            break;
        }
        before = now;
    }
    for (queue, offset) in consumer.queues() {
        println!("{queue} is consumed up to {offset}");
    }
    consumer.shutdown().await;
    println!("{} messages received", received.lock().expect("no handler panics").len());
    Ok(())
}

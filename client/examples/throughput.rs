//! How fast a group takes messages: a number of sends in flight for some seconds, then the rate and the latencies.
//!
//! `cargo run --release -p client --example throughput -- [NAMESRV] [SECONDS] [IN_FLIGHT] [BODY_BYTES] [BATCH]`,
//! by default `127.0.0.1:9876 10 256 1024 1`. Load generator and group share this machine if both run on it.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Message, Producer};

const TOPIC: &str = "Throughput";

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "an example measures by the machine's own clock")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |text| text.parse());
    let namesrv = args.first().cloned().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let seconds = number(1, 10)?;
    let in_flight = number(2, 256)?;
    let body = Bytes::from(vec![b'x'; number(3, 1024)? as usize]);
    let batch = number(4, 1)?.max(1);

    let producer = Producer::builder("throughput_producers", namesrv)
        .send_timeout(Duration::from_secs(10))
        .compress_above(None)
        .start()
        .await?;
    let producer = Arc::new(producer);
    producer.send(Message::new(TOPIC, body.clone())).await?; // makes the topic
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let senders: Vec<_> = (0..in_flight)
        .map(|_| tokio::spawn(send_until(Arc::clone(&producer), body.clone(), batch, until)))
        .collect();
    let mut latencies = Vec::new();
    let mut failed = 0;
    for sender in senders {
        let (mut taken, errors) = sender.await?;
        latencies.append(&mut taken);
        failed += errors;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |percent: f64| {
        latencies.get((latencies.len() as f64 * percent / 100.0) as usize).copied().unwrap_or_default()
    };
    println!(
        "{:.0} msg/s, {} sends of {batch} in {elapsed:.1} s, {failed} failed; p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        (latencies.len() as u64 * batch) as f64 / elapsed,
        latencies.len(),
        at(50.0),
        at(99.0),
        at(99.9),
        latencies.last().copied().unwrap_or_default(),
    );
    producer.shutdown().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an example measures by the machine's own clock")]
async fn send_until(
    producer: Arc<Producer>,
    body: Bytes,
    batch: u64,
    until: Instant,
) -> (Vec<Duration>, u64) {
    let (mut latencies, mut failed) = (Vec::new(), 0);
    loop {
        let begun = Instant::now();
        if begun >= until {
            return (latencies, failed);
        }
        let sent = if batch == 1 {
            producer.send(Message::new(TOPIC, body.clone())).await
        } else {
            producer.send_batch((0..batch).map(|_| Message::new(TOPIC, body.clone())).collect()).await
        };
        match sent {
            Ok(_) => latencies.push(begun.elapsed()),
            Err(_) => failed += 1,
        }
    }
}

//! What a consumer of old messages costs the producers: paced sends alone, and the same sends beside a consumer that reads
//! from the first message on as fast as it can, in turns.
//!
//! `cargo run --release -p client --example cold_reads -- [NAMESRV] [MESSAGES_A_SECOND] [GIB] [SECONDS] [ROUNDS] [READERS]`, by
//! default `127.0.0.1:9876 20000 10 20 3 1`. First so many GiB are written, unless the topic has them; so the first half of them
//! should be more than what the machine keeps in memory, or its caches dropped, if the disk itself is to be measured. Load
//! generator and group share this machine if both run on it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Message, Producer, PullConsumer, PullOptions};

const OLD: &str = "ColdReads";
const NEW: &str = "ColdReadsSends";
const BODY_BYTES: usize = 1024;
const SENDERS: u64 = 128;
const BATCH: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |text| text.parse());
    let namesrv = args.first().cloned().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let (rate, gib) = (number(1, 20_000)?, number(2, 10)?);
    let (seconds, rounds, readers) = (number(3, 20)?, number(4, 3)?, number(5, 1)?);

    let producer = Producer::builder("cold_reads_producers", namesrv.as_str())
        .send_timeout(Duration::from_secs(10))
        .compress_above(None)
        .start()
        .await?;
    let producer = Arc::new(producer);
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    for topic in [OLD, NEW] {
        producer.send(Message::new(topic, body.clone())).await?; // makes the topic
    }
    fill(&producer, namesrv.as_str(), &body, gib << 30).await?;

    for round in 1..=rounds {
        for with_reader in [false, true] {
            let stop = Arc::new(AtomicBool::new(false));
            let read = Arc::new(AtomicU64::new(0));
            let reading: Vec<_> = (0..if with_reader { readers } else { 0 })
                .map(|_| tokio::spawn(read_old(namesrv.clone(), Arc::clone(&read), Arc::clone(&stop))))
                .collect();
            let (mut latencies, elapsed) = send(&producer, &body, rate, seconds).await?;
            stop.store(true, Ordering::Relaxed);
            for reader in reading {
                reader.await?.map_err(|error| error.to_string())?;
            }
            latencies.sort_unstable();
            let at = |percent: f64| {
                latencies
                    .get((latencies.len() as f64 * percent / 100.0) as usize)
                    .copied()
                    .unwrap_or_default()
            };
            println!(
                "round {round} {}: {:.0} msg/s of {rate}; p50 {:?}, p99 {:?}; {:.1} MiB/s of old messages read",
                if with_reader { "beside a cold consumer" } else { "alone" },
                latencies.len() as f64 / elapsed,
                at(50.0),
                at(99.0),
                read.load(Ordering::Relaxed) as f64 / elapsed / f64::from(1 << 20),
            );
        }
    }
    producer.shutdown().await;
    Ok(())
}

/// Sends until the topic has so many bytes.
async fn fill(
    producer: &Arc<Producer>,
    namesrv: &str,
    body: &Bytes,
    bytes: u64,
) -> Result<(), Box<dyn Error>> {
    let mut consumer = PullConsumer::builder("cold_reads_look", namesrv).start().await?;
    let mut there = 0;
    for queue in consumer.queues(OLD).await? {
        there += consumer.max_offset(&queue).await?.max(0) as u64;
    }
    consumer.shutdown().await;
    let wanted = bytes / BODY_BYTES as u64;
    let left = Arc::new(AtomicU64::new(wanted.saturating_sub(there) / BATCH as u64));
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let (producer, body, left) = (Arc::clone(producer), body.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let batch = (0..BATCH).map(|_| Message::new(OLD, body.clone())).collect();
                    if producer.send_batch(batch).await.is_err() {
                        left.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await?;
    }
    println!("{wanted} old messages of {BODY_BYTES} bytes");
    Ok(())
}

/// Sends `rate` messages a second; each has its time, and its latency counts from then on.
#[expect(clippy::disallowed_methods, reason = "an example measures by the machine's own clock")]
async fn send(
    producer: &Arc<Producer>,
    body: &Bytes,
    rate: u64,
    seconds: u64,
) -> Result<(Vec<Duration>, f64), Box<dyn Error>> {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (producer, body, next) = (Arc::clone(producer), body.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rate * seconds {
                        return latencies;
                    }
                    let due = begun + Duration::from_nanos(number * 1_000_000_000 / rate);
                    tokio::time::sleep_until(due.into()).await;
                    if producer.send(Message::new(NEW, body.clone())).await.is_ok() {
                        latencies.push(due.elapsed());
                    }
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.append(&mut sender.await?);
    }
    Ok((latencies, begun.elapsed().as_secs_f64()))
}

/// Reads all queues from the beginning, again and again; counts the bytes.
async fn read_old(
    namesrv: String,
    read: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut consumer = PullConsumer::builder("cold_reads_consumers", namesrv.as_str()).start().await?;
    let queues = consumer.queues(OLD).await?;
    let mut offsets = vec![0; queues.len()];
    'all: loop {
        for (queue, offset) in queues.iter().zip(&mut offsets) {
            for _ in 0..16 {
                if stop.load(Ordering::Relaxed) {
                    break 'all;
                }
                let pulled = consumer.pull(queue, *offset, &PullOptions::default()).await?;
                let bytes: usize = pulled.messages.iter().map(|message| message.body.len()).sum();
                read.fetch_add(bytes as u64, Ordering::Relaxed);
                *offset = if pulled.messages.is_empty() { 0 } else { pulled.next_offset };
            }
        }
    }
    consumer.shutdown().await;
    Ok(())
}

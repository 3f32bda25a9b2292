//! Sends the steps of several orders, each order with a key of its own, and receives them in order.
//!
//! `cargo run -p client --example ordered [NAMESRV] [TOPIC]`, by default `127.0.0.1:9876` and `OrderTest`. It ends when
//! every step of every order has come, and says so if one came out of turn, or again.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex};

use client::{Consume, ConsumeFrom, Message, Producer, PushConsumer, ReceivedMessage};
use tokio::sync::Notify;

const ORDERS: u64 = 20;
const STEPS: u64 = 25;

/// What has come so far: the steps of each order.
#[derive(Default)]
struct Received {
    steps: BTreeMap<u64, BTreeSet<u64>>,
    out_of_turn: u64,
    /// A step whose acknowledgement was lost is sent again, and what was not seen as consumed comes again.
    again: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut args = std::env::args().skip(1);
    let namesrv = args.next().unwrap_or_else(|| "127.0.0.1:9876".to_owned());
    let topic = args.next().unwrap_or_else(|| "OrderTest".to_owned());

    let producer = Producer::builder("example_order_producers", namesrv.as_str()).start().await?;
    let run = producer.client_id().to_owned(); // tells this run's messages from those of earlier ones
    for step in 0..STEPS {
        for order in 0..ORDERS {
            let message = Message::new(&topic, format!("{order} {step}")).with_property("run", &run);
            producer.send_by_key(message, format!("order-{order}")).await?;
        }
    }
    println!("{} messages sent", ORDERS * STEPS);

    let (received, all_came) = (Arc::new(Mutex::new(Received::default())), Arc::new(Notify::new()));
    let handler = {
        let (received, all_came, run) = (received.clone(), all_came.clone(), run.clone());
        move |message: Arc<ReceivedMessage>| {
            if message.property("run") == Some(&run) && take(&received, &message) {
                all_came.notify_one();
            }
            async { Consume::Success }
        }
    };
    let consumer = PushConsumer::builder("example_order_consumers", namesrv.as_str())
        .subscribe(topic, "*")
        .consume_from(ConsumeFrom::First)
        .start_in_order(handler)
        .await?;
    all_came.notified().await;
    consumer.shutdown().await;
    producer.shutdown().await;
    let received = received.lock().expect("no handler panics");
    println!("all came, {} of them out of turn, {} again", received.out_of_turn, received.again);
    Ok(())
}

/// Notes a message; true if it was the last one to come.
fn take(received: &Mutex<Received>, message: &ReceivedMessage) -> bool {
    let text = String::from_utf8_lossy(&message.body);
    let numbers = text.split_once(' ').and_then(|(order, step)| {
        let (order, step): (u64, u64) = (order.parse().ok()?, step.parse().ok()?);
        Some((order, step))
    });
    let Some((order, step)) = numbers else { return false };
    let mut received = received.lock().expect("no handler panics");
    let came: &mut BTreeSet<u64> = received.steps.entry(order).or_default();
    let in_turn = came.last().map_or(0, |last| last + 1);
    if !came.insert(step) {
        received.again += 1;
    } else if step != in_turn {
        received.out_of_turn += 1;
    }
    received.steps.len() as u64 == ORDERS && received.steps.values().all(|came| came.len() as u64 == STEPS)
}

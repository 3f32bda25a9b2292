//! The conformance program of our own client. Command line and output lines are described in
//! `conformance/README.md`.
//!
//! It is built as an example of the crate: `cargo build -p client --example conformance`.

mod odd;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::{
    ClientConfig, Consume, ConsumeFrom, LitePullConsumer, Message, Producer, PullConsumer, PushConsumer,
    ReceivedMessage, SendError, SendResult, SendStatus,
};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::Instant;

const PROPERTY: &str = "city";
const PROPERTY_VALUE: &str = "上海";
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const POLL_WAIT: Duration = Duration::from_millis(500);

type Done = Result<(), Box<dyn Error>>;

/// One protocol line in one write, so that lines of several threads do not mix.
fn say(line: impl Display) {
    let line = line.to_string().split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    let mut out = std::io::stdout().lock();
    // A runner that has gone away hears nothing; the program ends when its input does.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// An error with all its causes.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}

/// The command line: names and values behind the role.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let defaults = [("tag", "*"), ("poll-ms", "30000"), ("give-up-s", "60")];
        let mut options: HashMap<_, _> =
            defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").ok_or(format!("odd word {name}"))?.to_owned();
            let value = words.next().ok_or(format!("--{name} has no value"))?;
            options.insert(name, value);
        }
        match ["namesrv", "topic", "group"].iter().find(|name| !options.contains_key(**name)) {
            Some(name) => Err(format!("--{name} is missing")),
            None => Ok(Self(options)),
        }
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(&self.text("namesrv"));
        config.route_poll_interval = Duration::from_millis(self.number("poll-ms").max(1));
        config
    }
}

fn body_of(number: u64) -> String {
    format!("第 {number} 号消息：你好，世界 🚣")
}

fn tag_of(number: u64) -> &'static str {
    if number.is_multiple_of(2) { "TagA" } else { "TagB" }
}

fn message_of(topic: &str, number: u64) -> Message {
    Message::new(topic, body_of(number))
        .with_tag(tag_of(number))
        .with_keys([format!("key-{number}")])
        .with_property(PROPERTY, PROPERTY_VALUE)
}

/// Prints what arrived: RECV, and BAD beside it when the content is not what was sent.
fn report(message: &ReceivedMessage) {
    let tag = message.tag().unwrap_or_default();
    let key = message.keys().next().unwrap_or_default();
    let body = String::from_utf8_lossy(&message.body);
    let number = key.strip_prefix("key-").and_then(|digits| digits.parse::<u64>().ok());
    let shown = number.map_or_else(|| "-1".to_owned(), |number| number.to_string());
    say(format!("RECV {shown} {tag} {key} {} {}", message.queue.queue_id, message.queue_offset));
    let property = message.property(PROPERTY).unwrap_or_default();
    match number {
        Some(number) if body != body_of(number) => say(format!("BAD {shown} body {body}")),
        Some(number) if tag != tag_of(number) => say(format!("BAD {shown} tag {tag}")),
        Some(_) if property != PROPERTY_VALUE => say(format!("BAD {shown} property {property}")),
        Some(_) => {}
        None => say(format!("BAD {shown} key {key}")),
    }
}

/// Returns when the runner says STOP or has gone away.
async fn stopped() {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "STOP" {
            return;
        }
    }
}

/// Prints the answer to one send, and says whether it was an acknowledgement.
fn answered(number: u64, answer: &Result<SendResult, SendError>) -> bool {
    match answer {
        Ok(sent) if sent.status == SendStatus::Ok => {
            say(format!("ACK {number} {} {} {}", sent.msg_id, sent.queue.queue_id, sent.queue_offset));
            true
        }
        Ok(sent) => {
            say(format!("FAIL {number} {:?}", sent.status));
            false
        }
        Err(error) => {
            say(format!("FAIL {number} {}", told(error)));
            false
        }
    }
}

async fn send(options: &Options) -> Done {
    let producer = Producer::builder(options.text("group"), options.config()).start().await?;
    say("READY");
    let topic = options.text("topic");
    let give_up_at = Instant::now() + Duration::from_secs(options.number("give-up-s"));
    let mut next = options.number("first");
    for _ in 0..options.number("sync") {
        while !answered(next, &producer.send(message_of(&topic, next)).await) && Instant::now() < give_up_at {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        next += 1;
        tokio::time::sleep(Duration::from_millis(options.number("interval-ms"))).await;
    }
    for _ in 0..options.number("oneway") {
        match producer.send_oneway(message_of(&topic, next)).await {
            Ok(_) => say(format!("SENT {next}")),
            Err(error) => say(format!("FAIL {next} {}", told(&error))),
        }
        next += 1;
    }
    let mut under_way = Vec::new();
    for _ in 0..options.number("async") {
        under_way.push((next, producer.send_async(message_of(&topic, next)).await?));
        next += 1;
    }
    for (number, sending) in under_way {
        answered(number, &sending.await);
    }
    producer.shutdown().await;
    Ok(())
}

async fn push(options: &Options) -> Done {
    let consumer = PushConsumer::builder(options.text("group"), options.config())
        .subscribe(options.text("topic"), options.text("tag"))
        .consume_from(ConsumeFrom::First)
        .start(|message: Arc<ReceivedMessage>| async move {
            report(&message);
            Consume::Success
        })
        .await?;
    say("READY");
    stopped().await;
    consumer.shutdown().await;
    Ok(())
}

async fn pull(options: &Options) -> Done {
    let mut consumer = PullConsumer::builder(options.text("group"), options.config())
        .expression(options.text("tag"))
        .consume_from(ConsumeFrom::First)
        .start()
        .await?;
    let queues = consumer.queues(&options.text("topic")).await?;
    consumer.assign(queues).await?;
    say("READY");
    let mut stop = pin!(stopped());
    while let Some(messages) = unless(stop.as_mut(), consumer.poll(POLL_WAIT)).await {
        messages?.iter().for_each(report);
    }
    consumer.commit().await?;
    consumer.shutdown().await;
    Ok(())
}

async fn lite(options: &Options) -> Done {
    let mut consumer = LitePullConsumer::builder(options.text("group"), options.config())
        .subscribe(options.text("topic"), options.text("tag"))
        .consume_from(ConsumeFrom::First)
        .start_polled()
        .await?;
    say("READY");
    let mut stop = pin!(stopped());
    while let Some(messages) = unless(stop.as_mut(), consumer.poll(POLL_WAIT)).await {
        messages?.iter().for_each(|message| report(message));
    }
    consumer.commit().await?;
    consumer.shutdown().await;
    Ok(())
}

/// What `work` gives; `None` if `stop` came first.
async fn unless<T>(stop: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop => None,
        done = work => Some(done),
    }
}

#[tokio::main]
async fn main() -> Done {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut words = std::env::args().skip(1);
    let role = words.next().unwrap_or_default();
    let options = match Options::parse(words) {
        Ok(options) if ["send", "push", "pull", "lite", "odd"].contains(&role.as_str()) => options,
        wrong => {
            let why = wrong.err().unwrap_or_else(|| format!("unknown role {role:?}"));
            eprintln!("{why}\nusage: conformance send|push|pull|lite|odd --namesrv A --topic T --group G …");
            std::process::exit(2);
        }
    };
    match role.as_str() {
        "send" => send(&options).await?,
        "push" => push(&options).await?,
        "pull" => pull(&options).await?,
        "lite" => lite(&options).await?,
        _ => odd::run(&options).await?,
    }
    say("DONE");
    Ok(())
}

//! The conformance program of the Rust client. Command line and output lines are described in
//! `conformance/README.md`.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocketmq_client_rust::{
    ClientConfig, ClientError, ClientOptions, ClientResult, ClientRuntime, ClientRuntimeConfig,
    ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, DefaultLitePullConsumer, DefaultMQProducer,
    DefaultMQPushConsumer, MQPushConsumer, MessageListenerConcurrently,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_model::result::{SendResult, SendStatus};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::RuntimeOwner;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

const PROPERTY: &str = "city";
const PROPERTY_VALUE: &str = "上海";
const CONSUME_THREADS: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

type Done = Result<(), Box<dyn Error>>;

/// One protocol line in one write, so that lines of several threads do not mix.
fn say(line: impl Display) {
    let line = line.to_string().split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    let mut out = std::io::stdout().lock();
    // A runner that has gone away hears nothing; the program ends when its input does.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// The command line: names and values behind the role.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let defaults = [("tag", "*"), ("poll-ms", "30000"), ("give-up-s", "60")];
        let mut options: HashMap<_, _> = defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut words = words;
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

    fn client(&self) -> ClientOptions {
        let mut config = ClientConfig::default();
        config.set_namesrv_addr(self.text("namesrv").into());
        config.set_poll_name_server_interval(self.number("poll-ms") as u32);
        ClientOptions::legacy(config)
    }
}

fn body_of(number: u64) -> String {
    format!("第 {number} 号消息：你好，世界 🚣")
}

fn tag_of(number: u64) -> &'static str {
    if number % 2 == 0 { "TagA" } else { "TagB" }
}

fn message_of(topic: &str, number: u64) -> Message {
    Message::builder()
        .topic(topic)
        .tags(tag_of(number))
        .key(format!("key-{number}"))
        .raw_property(PROPERTY, PROPERTY_VALUE)
        .expect("the property's name is not reserved")
        .body(body_of(number))
        .build_unchecked()
}

/// Prints what arrived: RECV, and BAD beside it when the content is not what was sent.
fn report(message: &MessageExt) {
    let property = |name: &str| message.property(&name.into()).map(|value| value.to_string()).unwrap_or_default();
    let (tag, key) = (property("TAGS"), property("KEYS"));
    let body = message.body().map(|body| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
    let number = key.strip_prefix("key-").and_then(|digits| digits.parse::<u64>().ok());
    let shown = number.map_or_else(|| "-1".to_owned(), |number| number.to_string());
    say(format!("RECV {shown} {tag} {key} {} {}", message.queue_id(), message.queue_offset()));
    match number {
        Some(number) if body != body_of(number) => say(format!("BAD {shown} body {body}")),
        Some(number) if tag != tag_of(number) => say(format!("BAD {shown} tag {tag}")),
        Some(_) if property(PROPERTY) != PROPERTY_VALUE => say(format!("BAD {shown} property {}", property(PROPERTY))),
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
fn told(number: u64, result: Option<&SendResult>, error: Option<&ClientError>) -> bool {
    match (result, error) {
        (Some(result), _) if result.send_status == SendStatus::SendOk => {
            let queue =
                result.message_queue.as_ref().map_or_else(|| "-".to_owned(), |queue| queue.queue_id().to_string());
            let id = result.msg_id.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            say(format!("ACK {number} {id} {queue} {}", result.queue_offset));
            true
        }
        (Some(result), _) => {
            say(format!("FAIL {number} {:?}", result.send_status));
            false
        }
        (None, Some(error)) => {
            say(format!("FAIL {number} {error}"));
            false
        }
        (None, None) => {
            say(format!("FAIL {number} no result"));
            false
        }
    }
}

async fn send(client: Arc<ClientRuntime>, options: &Options) -> Done {
    let mut producer = DefaultMQProducer::builder(client)
        .producer_group(options.text("group"))
        .client_options(options.client())
        .build();
    producer.start().await?;
    say("READY");
    let topic = options.text("topic");
    let give_up_at = Instant::now() + Duration::from_secs(options.number("give-up-s"));
    let mut next = options.number("first");
    for _ in 0..options.number("sync") {
        send_until_acked(&producer, &topic, next, give_up_at).await;
        next += 1;
        tokio::time::sleep(Duration::from_millis(options.number("interval-ms"))).await;
    }
    for _ in 0..options.number("oneway") {
        match producer.send_oneway(message_of(&topic, next)).await {
            Ok(()) => say(format!("SENT {next}")),
            Err(error) => say(format!("FAIL {next} {error}")),
        }
        next += 1;
    }
    send_async(&producer, &topic, next, options.number("async"), give_up_at).await;
    producer.shutdown().await;
    Ok(())
}

async fn send_until_acked(producer: &DefaultMQProducer, topic: &str, number: u64, give_up_at: Instant) {
    loop {
        let answer = producer.send(message_of(topic, number)).await;
        let acked = match &answer {
            Ok(result) => told(number, result.as_ref(), None),
            Err(error) => told(number, None, Some(error)),
        };
        if acked || Instant::now() > give_up_at {
            return;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn send_async(producer: &DefaultMQProducer, topic: &str, first: u64, count: u64, give_up_at: Instant) {
    let (answered, mut answers) = mpsc::unbounded_channel();
    for number in first..first + count {
        let tell = answered.clone();
        let begun = producer
            .send_with_callback(message_of(topic, number), move |result, error| {
                told(number, result, error);
                // Nobody listens any more once the time is over.
                let _ = tell.send(());
            })
            .await;
        if let Err(error) = begun {
            told(number, None, Some(&error));
            let _ = answered.send(());
        }
    }
    for _ in 0..count {
        if tokio::time::timeout_at(give_up_at.into(), answers.recv()).await.is_err() {
            return;
        }
    }
}

struct Reporter;

impl MessageListenerConcurrently for Reporter {
    fn consume_message(
        &self,
        messages: &[&MessageExt],
        _context: &ConsumeConcurrentlyContext,
    ) -> ClientResult<ConsumeConcurrentlyStatus> {
        messages.iter().for_each(|message| report(message));
        Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
    }
}

async fn push(client: Arc<ClientRuntime>, options: &Options) -> Done {
    let mut consumer = DefaultMQPushConsumer::builder(client)
        .consumer_group(options.text("group"))
        .client_options(options.client())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        // The default of 20 is more than the client's own runtime takes on two cores: what does not fit there is
        // sent back to the broker unseen and comes again by the retry topic.
        .consume_thread_min(CONSUME_THREADS)
        .consume_thread_max(CONSUME_THREADS)
        .build();
    consumer.subscribe(options.text("topic"), options.text("tag")).await?;
    consumer.register_message_listener_concurrently(Reporter);
    consumer.start().await?;
    say("READY");
    stopped().await;
    consumer.shutdown().await;
    Ok(())
}

async fn pull(client: Arc<ClientRuntime>, options: &Options) -> Done {
    let consumer = DefaultLitePullConsumer::builder(client)
        .consumer_group(options.text("group"))
        .client_options(options.client())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build()?;
    consumer.subscribe_with_expression(&options.text("topic"), &options.text("tag")).await?;
    consumer.start().await?;
    say("READY");
    let mut stop = std::pin::pin!(stopped());
    loop {
        tokio::select! {
            () = &mut stop => break,
            messages = consumer.poll_with_timeout(500) => messages.iter().for_each(report),
        }
    }
    consumer.shutdown().await;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let role = words.next().unwrap_or_default();
    let options = match Options::parse(words) {
        Ok(options) if ["send", "push", "pull"].contains(&role.as_str()) => options,
        wrong => {
            let why = wrong.err().unwrap_or_else(|| format!("unknown role {role:?}"));
            eprintln!("{why}\nusage: conformance-client send|push|pull --namesrv A --topic T --group G …");
            std::process::exit(2);
        }
    };
    let owner = RuntimeOwner::new()?;
    let telemetry = TelemetryRuntimeGuard::noop();
    let client = ClientRuntime::try_new(
        owner.root_context().component("conformance"),
        ClientRuntimeConfig::default(),
        telemetry.handle(),
    )?;
    owner.block_on(async {
        match role.as_str() {
            "send" => send(client.clone(), &options).await?,
            "push" => push(client.clone(), &options).await?,
            _ => pull(client.clone(), &options).await?,
        }
        client.shutdown().await;
        Done::Ok(())
    })?;
    say("DONE");
    Ok(())
}

//! `checkMsgSendRT`, `clusterRT` and `sendMsgStatus`: how long sends take.

use std::time::Duration;

use anyhow::bail;
use client::{ClientError, Message, Producer, QueueChoice, SendError, SendOptions, SendResult};
use serde_json::{Value, json};

use super::send_message::status;
use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// The group that tools measure as.
const GROUP: &str = "TOOLS_PRODUCER";
/// Bytes of the message that opens the connection before anything is measured.
const FIRST_BYTES: u32 = 16;

/// Flags of `checkMsgSendRT`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckMsgSendRt {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// How many messages to send
    #[arg(short = 'a', long = "amount", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    amount: u32,
    /// Bytes of each message
    #[arg(short = 's', long = "size", value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
}

impl Verb for CheckMsgSendRt {
    const NAME: &'static str = "checkMsgSendRT";
    const ABOUT: &'static str = "Send messages to the queues of a topic in turn, and tell how long each took";
    const EXAMPLES: &'static [&'static str] = &["-t TopicTest", "-t TopicTest -a 1000 -s 4096"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let producer = Producer::builder(GROUP, context.config()).heartbeats(false).start().await?;
        let report = self.measure(context, &producer).await;
        producer.shutdown().await;
        report
    }
}

impl CheckMsgSendRt {
    async fn measure(&self, context: &Context, producer: &Producer) -> anyhow::Result<Report> {
        let mut table = Table::new(&[
            ("brokerName", "Broker"),
            ("queueId", "Queue"),
            ("sendResult", "Sent"),
            ("rtMs", "Time ms"),
            ("error", "Error"),
        ]);
        let queues = producer.queues(&self.topic).await?;
        if queues.is_empty() {
            return Err(ClientError::NoQueue { topic: self.topic.clone(), what: "send to" }.into());
        }
        let mut times = Times::default();
        for queue in queues.iter().cycle().take(self.amount as usize) {
            let options = SendOptions { queue: QueueChoice::Queue(queue.clone()), ..SendOptions::default() };
            let message = Message::new(&self.topic, body(self.size));
            let (result, took) = timed(context, producer.send_with(message, options)).await;
            times.add(&result, took);
            table.push(vec![
                json!(queue.broker_name),
                json!(queue.queue_id),
                json!(result.is_ok()),
                json!(ms(took)),
                error(&result),
            ]);
        }
        let total =
            json!({"avgRtMs": times.average_ms(), "successCount": times.sent, "failCount": times.failed});
        Ok(Report::Parts(vec![("sends", Report::Table(table)), ("total", Report::facts(total))]))
    }
}

/// Flags of `sendMsgStatus`.
#[derive(Debug, clap::Args)]
pub(crate) struct SendMsgStatus {
    /// The broker group, by name: the topic that is called like it gets the messages
    #[arg(short = 'b', long = "brokerName", value_name = "NAME")]
    broker: String,
    /// Bytes of each message
    #[arg(short = 's', long = "messageSize", value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// How many messages to send
    #[arg(short = 'c', long = "count", value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Verb for SendMsgStatus {
    const NAME: &'static str = "sendMsgStatus";
    const ABOUT: &'static str =
        "Send messages to the topic that is called like a broker group, and show each result";
    const EXAMPLES: &'static [&'static str] = &["-b RaftNode00", "-b RaftNode00 -c 10 -s 1024"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let producer = Producer::builder(GROUP, context.config()).heartbeats(false).start().await?;
        let report = self.send_all(context, &producer).await;
        producer.shutdown().await;
        report
    }
}

impl SendMsgStatus {
    async fn send_all(&self, context: &Context, producer: &Producer) -> anyhow::Result<Report> {
        let mut table = Table::new(&[
            ("rtMs", "Time ms"),
            ("sendStatus", "Result"),
            ("msgId", "Message id"),
            ("offsetMsgId", "Offset message id"),
            ("brokerName", "Broker"),
            ("queueId", "Queue"),
            ("queueOffset", "Offset"),
        ]);
        producer.send(Message::new(&self.broker, body(FIRST_BYTES))).await?;
        for _ in 0..self.count {
            let (sent, took) =
                timed(context, producer.send(Message::new(&self.broker, body(self.size)))).await;
            let sent = sent?;
            table.push(vec![
                json!(ms(took)),
                json!(status(sent.status)),
                json!(sent.msg_id),
                json!(sent.offset_msg_id),
                json!(sent.queue.broker_name),
                json!(sent.queue.queue_id),
                json!(sent.queue_offset),
            ]);
        }
        Ok(Report::Table(table))
    }
}

/// Flags of `clusterRT`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterRt {
    /// How many messages to send a round and broker group
    #[arg(short = 'a', long = "amount", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    amount: u32,
    /// Bytes of each message
    #[arg(short = 's', long = "size", value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// One cluster only
    #[arg(short = 'c', long = "cluster", value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Whether lines are printed in place of a table: time|room|cluster|broker|average in ms
    #[arg(short = 'p', long = "print", alias = "print log", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    lines: JavaBool,
    /// What those lines call this machine's place
    #[arg(
        short = 'm',
        long = "machine",
        alias = "machine room",
        value_name = "ROOM",
        default_value = "noname"
    )]
    room: String,
    /// Seconds between two rounds
    #[arg(short = 'i', long = "interval", value_name = "SECONDS", default_value_t = 10)]
    interval: u64,
    /// How many rounds; until Ctrl-C if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

impl Verb for ClusterRt {
    const NAME: &'static str = "clusterRT";
    const ABOUT: &'static str =
        "Send messages to every broker group, round after round, and tell how long they took";
    const EXAMPLES: &'static [&'static str] =
        &["-a 10 -i 1", "-c RaftCluster -a 100 --rounds 1", "-p true -m room-7"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let producer = Producer::builder(GROUP, context.config()).heartbeats(false).start().await?;
        let report = self.all_rounds(context, &producer).await;
        producer.shutdown().await;
        report
    }
}

impl ClusterRt {
    async fn all_rounds(&self, context: &Context, producer: &Producer) -> anyhow::Result<Report> {
        let mut round = 1;
        loop {
            let report = self.round(context, producer).await?;
            if self.rounds == Some(round) {
                return Ok(report);
            }
            context.print(&report)?;
            tokio::time::sleep(Duration::from_secs(self.interval)).await;
            round = round.saturating_add(1);
        }
    }

    async fn round(&self, context: &Context, producer: &Producer) -> anyhow::Result<Report> {
        let mut table = Table::new(&[
            ("cluster", "Cluster"),
            ("brokerName", "Broker"),
            ("avgRtMs", "Average ms"),
            ("successCount", "Sent"),
            ("failCount", "Failed"),
            ("error", "Last error"),
        ]);
        let mut lines = Vec::new();
        let clusters = context.admin().await?.cluster_info().await?.cluster_addr_table;
        if let Some(cluster) = self.cluster.as_ref().filter(|cluster| !clusters.contains_key(*cluster)) {
            return Err(ClientError::NoCluster { cluster: cluster.clone() }.into());
        }
        for (cluster, groups) in &clusters {
            if self.cluster.as_ref().is_some_and(|wanted| wanted != cluster) {
                continue;
            }
            for group in groups {
                let (times, last) = self.send_all(context, producer, group).await;
                let now = time::text(context.now_ms());
                let average = times.average_ms();
                lines.push(format!("{now}|{}|{cluster}|{group}|{average:.0}", self.room));
                table.push(vec![
                    json!(cluster),
                    json!(group),
                    json!(average),
                    json!(times.sent),
                    json!(times.failed),
                    last,
                ]);
            }
        }
        if lines.is_empty() {
            bail!("the name server knows no broker group");
        }
        Ok(if self.lines.0 { Report::Done(lines.join("\n")) } else { Report::Table(table) })
    }

    async fn send_all(&self, context: &Context, producer: &Producer, group: &str) -> (Times, Value) {
        let mut times = Times::default();
        let mut last = Value::Null;
        for _ in 0..self.amount {
            let (result, took) = timed(context, producer.send(Message::new(group, body(self.size)))).await;
            times.add(&result, took);
            if result.is_err() {
                last = error(&result);
            }
        }
        (times, last)
    }
}

/// A number of sends, and how long all but the first took: that one opens connections.
#[derive(Debug, Default)]
struct Times {
    sent: u32,
    failed: u32,
    first: Duration,
    others: Duration,
}

impl Times {
    fn add<T>(&mut self, result: &Result<T, SendError>, took: Duration) {
        if self.sent + self.failed == 0 {
            self.first = took;
        } else {
            self.others += took;
        }
        *(if result.is_ok() { &mut self.sent } else { &mut self.failed }) += 1;
    }

    fn average_ms(&self) -> f64 {
        match self.sent + self.failed {
            0 | 1 => ms(self.first),
            all => ms(self.others / (all - 1)),
        }
    }
}

async fn timed(
    context: &Context,
    send: impl Future<Output = Result<SendResult, SendError>>,
) -> (Result<SendResult, SendError>, Duration) {
    let begun = context.monotonic();
    let result = send.await;
    (result, context.monotonic().saturating_sub(begun))
}

fn error<T>(result: &Result<T, SendError>) -> Value {
    result.as_ref().err().map_or(Value::Null, |error| json!(error.to_string()))
}

/// Milliseconds with two places.
fn ms(took: Duration) -> f64 {
    (took.as_secs_f64() * 100_000.0).round() / 100.0
}

fn body(bytes: u32) -> Vec<u8> {
    vec![b'a'; bytes as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_send_does_not_count_unless_it_is_the_only_one() {
        let mut times = Times::default();
        times.add(&Ok(()), Duration::from_millis(500));
        assert!((times.average_ms() - 500.0).abs() < 0.01);
        times.add(&Ok(()), Duration::from_millis(2));
        times.add(&Ok(()), Duration::from_millis(4));
        assert!((times.average_ms() - 3.0).abs() < 0.01);
        assert_eq!((times.sent, times.failed), (3, 0));
    }
}

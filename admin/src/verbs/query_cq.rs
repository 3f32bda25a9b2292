//! `queryCq`: a look into a consume queue.

use anyhow::Context as _;
use client::ClientError;
use client::protocol::json as lenient;
use serde_json::{Value, json};

use crate::context::Context;
use crate::report::{Report, Table};
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryCq {
    /// The topic
    #[arg(short = 't', long = "topic", value_name = "TOPIC")]
    topic: String,
    /// The queue
    #[arg(short = 'q', long = "queue", value_name = "ID")]
    queue: i32,
    /// The first place in the queue
    #[arg(short = 'i', long = "index", value_name = "OFFSET")]
    index: i64,
    /// How many places to show
    #[arg(short = 'c', long = "count", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..))]
    count: i32,
    /// The broker, host:port; a leader of the topic if not given
    #[arg(short = 'b', long = "broker", value_name = "ADDR")]
    broker: Option<String>,
    /// Also whether the filter of this consumer group lets each message pass
    #[arg(short = 'g', long = "consumer", value_name = "GROUP")]
    group: Option<String>,
}

impl Verb for QueryCq {
    const NAME: &'static str = "queryCq";
    const ABOUT: &'static str =
        "Show what a consume queue holds: where each message lies, and the hash of its tag";
    const EXAMPLES: &'static [&'static str] =
        &["-t TopicTest -q 0 -i 0", "-t TopicTest -q 0 -i 100 -c 50 -b 127.0.0.1:30911 -g my_consumers"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let addr = match &self.broker {
            Some(addr) => addr.clone(),
            None => {
                let leaders = admin.leaders_of_topic(&self.topic).await?;
                let leader = leaders.into_iter().next().map(|(_, addr)| addr);
                leader.ok_or_else(|| ClientError::NoRoute { topic: self.topic.clone() })?
            }
        };
        let body = admin.consume_queue_at(
            &addr,
            (&self.topic, self.queue),
            self.index,
            self.count,
            self.group.as_deref(),
        );
        let body = lenient::parse(&body.await?).context("the answer is not JSON")?;
        Ok(report(&body, &addr, self.index, self.group.is_some()))
    }
}

fn report(body: &Value, addr: &str, index: i64, is_filtered: bool) -> Report {
    // A broker that was asked for what is gone begins with what is left.
    let first = index.max(body["minQueueIndex"].as_i64().unwrap_or(0));
    let mut table = Table::new(&[
        ("index", "Place"),
        ("physicOffset", "Commitlog offset"),
        ("physicSize", "Bytes"),
        ("tagsCode", "Tag hash"),
        ("eval", "Passes"),
    ]);
    for (at, unit) in (first..).zip(body["queueData"].as_array().into_iter().flatten()) {
        let fact = |name: &str| unit[name].clone();
        table.push(vec![
            json!(at),
            fact("physicOffset"),
            fact("physicSize"),
            fact("tagsCode"),
            if is_filtered { fact("eval") } else { Value::Null },
        ]);
    }
    let mut facts =
        json!({"addr": addr, "minQueueIndex": body["minQueueIndex"], "maxQueueIndex": body["maxQueueIndex"]});
    for name in ["subscriptionData", "filterData"] {
        if !body[name].is_null() {
            facts[name] = body[name].clone();
        }
    }
    Report::Parts(vec![("queue", Report::facts(facts)), ("units", Report::Table(table))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_what_is_left() {
        let body = json!({"minQueueIndex": 5, "maxQueueIndex": 7, "queueData": [{"physicOffset": 1}]});
        assert!(report(&body, "a:1", 0, false).to_json().contains(r#""index":5"#));
        assert!(report(&body, "a:1", 6, false).to_json().contains(r#""index":6"#));
    }
}

//! `consumerStatus`: what the members of a consumer group say of themselves.

use client::protocol::json as lenient;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::{JavaBool, Verb};

/// Flags of `consumerStatus`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumerStatus {
    /// The consumer group
    #[arg(short = 'g', long = "consumerGroup", value_name = "GROUP")]
    group: String,
    /// One member only
    #[arg(short = 'i', long = "clientId", value_name = "ID")]
    client: Option<String>,
    /// Ask this broker which members there are
    #[arg(short = 'b', long = "brokerAddr", value_name = "ADDR")]
    broker: Option<String>,
    /// Also its threads
    #[arg(short = 's', long = "jstack", value_name = "true|false", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    threads: JavaBool,
}

impl Verb for ConsumerStatus {
    const NAME: &'static str = "consumerStatus";
    const ABOUT: &'static str = "What each member of a consumer group says of itself";
    const EXAMPLES: &'static [&'static str] = &["-g my_consumers", "-g my_consumers -i 10.0.0.1@4711"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let clients = match &self.client {
            Some(client) => vec![client.clone()],
            None => {
                let connection = match &self.broker {
                    Some(addr) => admin.consumer_connection_at(addr, &self.group).await?,
                    None => admin.consumer_connection(&self.group).await?,
                };
                connection.connection_set.into_iter().map(|connection| connection.client_id).collect()
            }
        };
        let is_one = clients.len() == 1;
        let mut all = Map::new();
        for client in clients {
            let info = match admin.consumer_running_info(&self.group, &client, self.threads.0).await {
                Ok(info) => lenient::parse(&info)?,
                Err(error) if is_one => return Err(error.into()),
                // One that does not answer is worth telling.
                Err(error) => json!({ "error": error.to_string() }),
            };
            all.insert(client, info);
        }
        Ok(Report::Shown(Box::new(shown(&all)), Value::Object(all)))
    }
}

/// Everything as tables.
fn shown(all: &Map<String, Value>) -> Report {
    Report::Parts(vec![
        ("clients", Report::Table(clients(all))),
        ("queues", Report::Table(queues(all))),
        ("topics", Report::Table(topics(all))),
        ("subscriptions", Report::Done(agreement(all))),
        ("threads", Report::Done(threads(all))),
    ])
}

fn clients(all: &Map<String, Value>) -> Table {
    let mut table = Table::new(&[
        ("clientId", "Client"),
        ("version", "Version"),
        ("type", "Type"),
        ("orderly", "In order"),
        ("start", "Started"),
        ("subscriptions", "Subscribes"),
        ("error", "Error"),
    ]);
    for (client, info) in all {
        let fact = |name: &str| info["properties"][name].clone();
        let start = info["properties"]["PROP_CONSUMER_START_TIMESTAMP"].as_str();
        let start = start.and_then(|text| text.parse().ok()).map(time::text);
        table.push(vec![
            json!(client),
            fact("PROP_CLIENT_VERSION"),
            fact("PROP_CONSUME_TYPE"),
            fact("PROP_CONSUMEORDERLY"),
            json!(start),
            json!(subscriptions(info).join(", ")),
            info["error"].clone(),
        ]);
    }
    table
}

/// Topics with their expressions, sorted.
fn subscriptions(info: &Value) -> Vec<String> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let all = info["subscriptionSet"].as_array().into_iter().flatten();
    let mut all: Vec<_> =
        all.map(|one| format!("{}: {}", text(one, "topic"), text(one, "subString"))).collect();
    all.sort();
    all
}

fn queues(all: &Map<String, Value>) -> Table {
    let mut table = Table::new(&[
        ("clientId", "Client"),
        ("topic", "Topic"),
        ("brokerName", "Broker"),
        ("queueId", "Queue"),
        ("commitOffset", "Consumed up to"),
        ("cachedMsgCount", "Waiting in it"),
        ("lastPull", "Last pull"),
        ("lastConsume", "Last consumed"),
    ]);
    for (client, info) in all {
        for (queue, place) in info["mqTable"].as_object().into_iter().flatten() {
            // The name of the queue is JSON in JSON.
            let queue = lenient::parse(queue.as_bytes()).unwrap_or_default();
            let at = |name: &str| json!(time::text_or_nothing(place[name].as_i64().unwrap_or(0)));
            table.push(vec![
                json!(client),
                queue["topic"].clone(),
                queue["brokerName"].clone(),
                queue["queueId"].clone(),
                place["commitOffset"].clone(),
                place["cachedMsgCount"].clone(),
                at("lastPullTimestamp"),
                at("lastConsumeTimestamp"),
            ]);
        }
    }
    table
}

fn topics(all: &Map<String, Value>) -> Table {
    let mut table = Table::new(&[
        ("clientId", "Client"),
        ("topic", "Topic"),
        ("pullRT", "Pull ms"),
        ("pullTPS", "Pulled/s"),
        ("consumeRT", "Consume ms"),
        ("consumeOKTPS", "Consumed/s"),
        ("consumeFailedTPS", "Failed/s"),
        ("consumeFailedMsgs", "Failed"),
    ]);
    for (client, info) in all {
        for (topic, status) in info["statusTable"].as_object().into_iter().flatten() {
            let fact = |name: &str| status[name].clone();
            table.push(vec![
                json!(client),
                json!(topic),
                fact("pullRT"),
                fact("pullTPS"),
                fact("consumeRT"),
                fact("consumeOKTPS"),
                fact("consumeFailedTPS"),
                fact("consumeFailedMsgs"),
            ]);
        }
    }
    table
}

/// Members that subscribe to different things take messages from each other: worth a warning.
fn agreement(all: &Map<String, Value>) -> String {
    let mut answered = all.values().filter(|info| info["error"].is_null()).map(subscriptions);
    match answered.next() {
        Some(first) if answered.any(|other| other != first) => {
            "WARNING: the members of this group do not subscribe to the same".to_owned()
        }
        _ => "All members subscribe to the same.".to_owned(),
    }
}

fn threads(all: &Map<String, Value>) -> String {
    let stack = |(client, info): (&String, &Value)| Some(format!("{client}\n{}", info["jstack"].as_str()?));
    all.iter().filter_map(stack).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_disagree_are_warned_about() {
        let of = |tags: &str| json!({"subscriptionSet": [{"topic": "T", "subString": tags}]});
        let all = |one: Value, other: Value| Map::from_iter([("a".to_owned(), one), ("b".to_owned(), other)]);
        assert!(agreement(&all(of("*"), of("*"))).starts_with("All"));
        assert!(agreement(&all(of("*"), of("TagA"))).starts_with("WARNING"));
        assert!(agreement(&all(of("*"), json!({"error": "gone"}))).starts_with("All"));
    }

    #[test]
    fn queues_are_read_from_names_that_are_json() {
        let info = json!({"mqTable": {r#"{"brokerName":"b","queueId":3,"topic":"T"}"#: {"commitOffset": 7}}});
        let table = Report::Table(queues(&Map::from_iter([("c".to_owned(), info)])));
        assert!(table.to_json().contains(r#""topic":"T","brokerName":"b","queueId":3,"commitOffset":7"#));
    }
}

//! A client that hides nothing: one request, one answer, no retry, no cache, no route.
//!
//! The workloads and stories count single attempts, so they must see every one of them. Header fields are
//! written here by their names on the wire rather than through the typed headers of `protocol`: a second
//! opinion about what the wire looks like.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use platform::{Clock, OsClock, Platform};
use protocol::message::{self, id::parse_offset_message_id};
use protocol::{Command, RequestCode, ResponseCode};
use remoting::{CallError, Client, ClientConfig};
use serde_json::{Value, json};

use crate::body;
use crate::outcome::{Outcome, of_mutation};

/// `sysFlag` of a pull that brings its own subscription.
const SUBSCRIPTION_IN_REQUEST: i32 = 4;
/// A connection must come up faster than this; everything is on one machine.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Where an acknowledged message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// In its queue.
    pub queue_offset: u64,
    /// In the commitlog.
    pub commitlog_offset: u64,
    /// Term of the leader that acknowledged, if it says so.
    pub term: Option<u64>,
    /// Log index of the message's entry, if the leader says so.
    pub log_index: Option<u64>,
}

/// One pulled message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// In its queue.
    pub queue_offset: u64,
    /// In the commitlog.
    pub commitlog_offset: u64,
    /// When it was sent, by the client's clock, in milliseconds.
    pub born_ms: i64,
    /// When it was stored, by the leader's clock, in milliseconds.
    pub stored_ms: i64,
    /// What its body says, or what is wrong with it.
    pub body: Result<body::Body, body::BodyError>,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order of the answer.
    pub messages: Vec<Pulled>,
    /// Where to go on.
    pub next: u64,
    /// First readable queue offset.
    pub min: u64,
    /// End of the readable queue offsets, exclusive.
    pub max: u64,
    /// Term of the leader that answered, if a leader did and says so.
    pub term: Option<u64>,
}

/// One queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// The topic.
    pub topic: Arc<str>,
    /// The queue's number.
    pub queue_id: u32,
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.queue_id)
    }
}

/// The client. Cloning gives another handle to the same connections.
#[derive(Clone)]
pub struct RawClient {
    client: Client,
    clock: Arc<OsClock>,
    group: Arc<str>,
}

impl RawClient {
    /// A client of the producer and consumer group `group`.
    pub fn new(group: &str) -> Self {
        let config = ClientConfig { connect_timeout: CONNECT_WITHIN, ..ClientConfig::default() };
        let client = Client::new(Platform::os(), config, None);
        Self { client, clock: Arc::new(OsClock::new()), group: group.into() }
    }

    /// Any request, and its answer whatever its code.
    ///
    /// # Errors
    /// No answer.
    pub async fn call(&self, addr: &str, request: Command, within: Duration) -> Result<Command, CallError> {
        self.client.call(addr, request, within).await
    }

    /// Any request that must succeed.
    ///
    /// # Errors
    /// No answer, or one with another code than success.
    pub async fn ask(&self, addr: &str, request: Command, within: Duration) -> Result<Command> {
        let code = request.code;
        let reply = self.call(addr, request, within).await?;
        let remark = reply.remark.as_deref().unwrap_or_default();
        ensure!(
            reply.code == ResponseCode::SUCCESS,
            "request {code} at {addr}: code {} {remark}",
            reply.code
        );
        Ok(reply)
    }

    /// One attempt to send one message.
    pub async fn send(
        &self,
        addr: &str,
        queue: &Queue,
        body: Vec<u8>,
        within: Duration,
    ) -> (Outcome, Option<Sent>) {
        let answer = self.call(addr, self.send_request(queue, body, ""), within).await;
        match (of_mutation(&answer), answer) {
            (Outcome::Acked, Ok(reply)) => match sent(&reply, queue) {
                Ok(sent) => (Outcome::Acked, Some(sent)),
                Err(error) => (Outcome::Unknown(format!("unreadable acknowledgement: {error:#}")), None),
            },
            (outcome, _) => (outcome, None),
        }
    }

    /// One attempt to send one message that is to be delivered later.
    pub async fn send_delayed(
        &self,
        addr: &str,
        queue: &Queue,
        body: Vec<u8>,
        level: u8,
        within: Duration,
    ) -> Outcome {
        let properties = format!("DELAY\u{1}{level}\u{2}");
        of_mutation(&self.call(addr, self.send_request(queue, body, &properties), within).await)
    }

    fn send_request(&self, queue: &Queue, body: Vec<u8>, properties: &str) -> Command {
        Command::request(RequestCode::SEND_MESSAGE_V2)
            .with("a", &*self.group)
            .with("b", &*queue.topic)
            .with("c", "TBW102")
            .with("d", 4)
            .with("e", queue.queue_id)
            .with("f", 0)
            .with("g", self.clock.wall_ms())
            .with("h", 0)
            .with("i", properties)
            .with("j", 0)
            .with("k", false)
            .with("m", false)
            .with_body(body)
    }

    /// One pull of at most `count` messages from queue offset `from` on, answered at once.
    ///
    /// # Errors
    /// No answer, an answer that is not a page, a unit that cannot be read.
    pub async fn pull(
        &self,
        addr: &str,
        queue: &Queue,
        from: u64,
        count: u32,
        within: Duration,
    ) -> Result<Page> {
        let request = Command::request(RequestCode::PULL_MESSAGE)
            .with("consumerGroup", &*self.group)
            .with("topic", &*queue.topic)
            .with("queueId", queue.queue_id)
            .with("queueOffset", from)
            .with("maxMsgNums", count)
            .with("sysFlag", SUBSCRIPTION_IN_REQUEST)
            .with("commitOffset", 0)
            .with("suspendTimeoutMillis", 0)
            .with("subscription", "*")
            .with("subVersion", 0)
            .with("expressionType", "TAG");
        let reply = self.call(addr, request, within).await?;
        let empty = [
            ResponseCode::PULL_NOT_FOUND,
            ResponseCode::PULL_RETRY_IMMEDIATELY,
            ResponseCode::PULL_OFFSET_MOVED,
        ];
        let found = reply.code == ResponseCode::SUCCESS;
        let remark = reply.remark.as_deref().unwrap_or_default();
        ensure!(
            found || empty.contains(&reply.code),
            "pull of {queue} at {addr}: code {} {remark}",
            reply.code
        );
        Ok(Page {
            messages: if found { messages(&reply.body)? } else { Vec::new() },
            next: field(&reply, "nextBeginOffset")?,
            min: field(&reply, "minOffset")?,
            max: field(&reply, "maxOffset")?,
            term: number(&reply, "term"),
        })
    }

    /// Makes or changes a topic.
    ///
    /// # Errors
    /// As [`RawClient::ask`].
    pub async fn create_topic(&self, addr: &str, topic: &str, queues: u32, within: Duration) -> Result<()> {
        let request = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC)
            .with("topic", topic)
            .with("defaultTopic", "TBW102")
            .with("readQueueNums", queues)
            .with("writeQueueNums", queues)
            .with("perm", protocol::perm::READ_WRITE)
            .with("topicFilterType", "SINGLE_TAG")
            .with("topicSysFlag", 0)
            .with("order", false);
        self.ask(addr, request, within).await.map(drop)
    }

    /// Makes or changes a subscription group.
    ///
    /// # Errors
    /// As [`RawClient::ask`].
    pub async fn create_group(&self, addr: &str, group: &str, within: Duration) -> Result<()> {
        let config = json!({
            "groupName": group, "consumeEnable": true, "consumeFromMinEnable": true,
            "consumeBroadcastEnable": true, "retryQueueNums": 1, "retryMaxTimes": 16, "brokerId": 0,
            "whichBrokerWhenConsumeSlowly": 1, "notifyConsumerIdsChangedEnable": true,
        });
        let request = Command::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
        self.ask(addr, request.with_body(config.to_string()), within).await.map(drop)
    }

    /// All subscription groups that a node knows, as it answers.
    ///
    /// # Errors
    /// As [`RawClient::ask`]; a body that is not JSON.
    pub async fn groups(&self, addr: &str, within: Duration) -> Result<Value> {
        let request = Command::request(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
        let reply = self.ask(addr, request, within).await?;
        serde_json::from_slice(&reply.body).context("subscription groups")
    }

    /// Stores a consumer offset of this client's group, and waits for the answer.
    ///
    /// # Errors
    /// As [`RawClient::ask`].
    pub async fn store_offset(&self, addr: &str, queue: &Queue, offset: u64, within: Duration) -> Result<()> {
        let request = self.offset_request(RequestCode::UPDATE_CONSUMER_OFFSET, queue);
        self.ask(addr, request.with("commitOffset", offset), within).await.map(drop)
    }

    /// The consumer offset of this client's group.
    ///
    /// # Errors
    /// As [`RawClient::ask`].
    pub async fn query_offset(&self, addr: &str, queue: &Queue, within: Duration) -> Result<u64> {
        let request = self.offset_request(RequestCode::QUERY_CONSUMER_OFFSET, queue);
        field(&self.ask(addr, request, within).await?, "offset")
    }

    /// One attempt to store a consumer offset of this client's group.
    pub async fn commit_offset(&self, addr: &str, queue: &Queue, offset: u64, within: Duration) -> Outcome {
        let request = self.offset_request(RequestCode::UPDATE_CONSUMER_OFFSET, queue);
        let answer = self.call(addr, request.with("commitOffset", offset), within).await;
        match (of_mutation(&answer), answer) {
            // A success that did nothing: the operator's reset stands until a consumer has taken it.
            (Outcome::Acked, Ok(reply))
                if reply.remark.as_deref().is_some_and(|text| text.contains("reset")) =>
            {
                Outcome::Failed(reply.remark.unwrap_or_default())
            }
            (outcome, _) => outcome,
        }
    }

    /// One attempt to set the consumer offset of this client's group, as an operator does.
    pub async fn reset_offset(&self, addr: &str, queue: &Queue, offset: u64, within: Duration) -> Outcome {
        let request = Command::request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET)
            .with("topic", &*queue.topic)
            .with("group", &*self.group)
            .with("queueId", queue.queue_id)
            .with("offset", offset)
            .with("timestamp", 0)
            .with("isForce", true);
        of_mutation(&self.call(addr, request, within).await)
    }

    /// The consumer offset of this client's group; `None` if none is stored.
    ///
    /// # Errors
    /// No answer, or one that says neither.
    pub async fn stored_offset(&self, addr: &str, queue: &Queue, within: Duration) -> Result<Option<u64>> {
        let request = self.offset_request(RequestCode::QUERY_CONSUMER_OFFSET, queue);
        let reply = self.call(addr, request.with("setZeroIfNotFound", false), within).await?;
        match reply.code {
            ResponseCode::SUCCESS => field(&reply, "offset").map(Some),
            ResponseCode::QUERY_NOT_FOUND => Ok(None),
            code => anyhow::bail!("offset at {addr}: code {code} {}", reply.remark.unwrap_or_default()),
        }
    }

    fn offset_request(&self, code: i32, queue: &Queue) -> Command {
        Command::request(code)
            .with("consumerGroup", &*self.group)
            .with("topic", &*queue.topic)
            .with("queueId", queue.queue_id)
    }

    /// The end of a queue.
    ///
    /// # Errors
    /// As [`RawClient::ask`].
    pub async fn max_offset(&self, addr: &str, queue: &Queue, within: Duration) -> Result<u64> {
        let request = Command::request(RequestCode::GET_MAX_OFFSET)
            .with("topic", &*queue.topic)
            .with("queueId", queue.queue_id)
            .with("committed", true);
        field(&self.ask(addr, request, within).await?, "offset")
    }

    /// What the name server at `addr` says of a topic.
    ///
    /// # Errors
    /// As [`RawClient::ask`]; a body that is not JSON.
    pub async fn route(&self, addr: &str, topic: &str, within: Duration) -> Result<Value> {
        let request = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC)
            .with("topic", topic)
            .with("acceptStandardJsonOnly", true);
        let reply = self.ask(addr, request, within).await?;
        serde_json::from_slice(&reply.body).context("route")
    }
}

fn sent(reply: &Command, queue: &Queue) -> Result<Sent> {
    let queue_id: u64 = field(reply, "queueId")?;
    ensure!(queue_id == u64::from(queue.queue_id), "sent to {queue}, acknowledged in queue {queue_id}");
    let id = reply.ext.get("msgId").context("no `msgId`")?;
    let (_, commitlog_offset) = parse_offset_message_id(id)?;
    Ok(Sent {
        queue_offset: field(reply, "queueOffset")?,
        commitlog_offset: u64::try_from(commitlog_offset)?,
        term: number(reply, "term"),
        log_index: number(reply, "index"),
    })
}

fn messages(units: &Bytes) -> Result<Vec<Pulled>> {
    let mut messages = Vec::new();
    for unit in message::walk(units) {
        let view = message::parse(unit?)?;
        let body = match view.verify_body() {
            Ok(()) => body::decode(view.body),
            Err(error) => Err(error.into()),
        };
        messages.push(Pulled {
            queue_offset: u64::try_from(view.queue_offset)?,
            commitlog_offset: u64::try_from(view.physical_offset)?,
            born_ms: view.born_timestamp_ms,
            stored_ms: view.store_timestamp_ms,
            body,
        });
    }
    Ok(messages)
}

fn field(reply: &Command, name: &str) -> Result<u64> {
    let text = reply.ext.get(name).with_context(|| format!("the answer has no `{name}`"))?;
    text.parse().with_context(|| format!("`{name}` is {text:?}"))
}

fn number(reply: &Command, name: &str) -> Option<u64> {
    reply.ext.get(name)?.parse().ok()
}

//! What the stories share: a node on free ports, clients that talk to it, and a name server that only takes notes.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::BrokerConfig;
use broker::config::Machine;
use platform::{Net, Platform, PortBlock, TokioNet};
use protocol::command::route::{RegisterBroker, RegisterBrokerBody};
use protocol::message::{self, MessageView};
use protocol::{Command, RequestCode as code};
use remoting::{Client, ClientConfig, Connection, Handler, Responder, Server, ServerConfig};
use serde_json::Value;
use settings::Properties;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Long enough for a loaded machine; a story that works never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The names that the recorded broker had.
pub const CLUSTER: &str = "VecCluster";
pub const BROKER: &str = "broker-a";

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Takes a future one step on; its outcome if that was the last one.
pub async fn step<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        outcome = future => Some(outcome),
        () = std::future::ready(()) => None,
    }
}

/// A group of one node that runs.
pub struct Node {
    pub addr: String,
    http: String,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    dir: tempfile::TempDir,
    _ports: PortBlock,
}

impl Node {
    /// Where everything of it is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// With the properties `more`, and once it has its system topics and groups.
    pub async fn start(more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more).await
    }

    /// On what another has left.
    pub async fn start_in(dir: tempfile::TempDir, more: &str) -> Self {
        Self::start_on(dir, more, Platform::os()).await
    }

    async fn start_on(dir: tempfile::TempDir, more: &str, platform: Platform) -> Self {
        let ports = PortBlock::claim().unwrap();
        // Old clients come in two below it.
        let (port, http) = (ports.port(3), ports.port(4));
        let text = format!(
            "brokerClusterName={CLUSTER}\nbrokerName={BROKER}\nbrokerIP1=127.0.0.1\nbindAddress=127.0.0.1\n\
             listenPort={port}\nhttpPort={http}\nstorePathRootDir={}\nmappedFileSizeCommitLog=33554432\n{more}",
            dir.path().join("store").display()
        );
        let properties = Properties::parse(text.as_bytes(), "story.conf").unwrap();
        let config = BrokerConfig::read(properties, &Machine::loopback(dir.path())).unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(async move {
            broker::run(config, platform, stopped).await.unwrap();
        });
        let (addr, http) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{http}"));
        let node = Self { addr, http, stop, running, dir, _ports: ports };
        within("a node with its system topics and groups", node.is_up()).await;
        node
    }

    async fn is_up(&self) {
        let client = Client::new(Platform::os(), ClientConfig::default(), None);
        loop {
            assert!(!self.running.is_finished(), "the node ended at its start");
            let ask = Command::request(code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
            let told = client.call(&self.addr, ask, DEADLINE).await;
            if told.is_ok_and(|told| String::from_utf8_lossy(&told.body).contains("CID_RMQ_SYS_TRANS")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn stop(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        within("the node to stop", self.running).await.unwrap();
        self.dir
    }

    /// Stops it, and starts it again on what it has written.
    pub async fn restart(self, more: &str) -> Self {
        Self::start_in(self.stop().await, more).await
    }

    /// Stops it, and starts it again on what it has written, with another disk, clock or network.
    pub async fn restart_on(self, more: &str, platform: Platform) -> Self {
        Self::start_on(self.stop().await, more, platform).await
    }

    pub async fn connect(&self) -> Peer {
        Peer::connect(&self.addr, BTreeMap::new()).await
    }

    /// Where its store is.
    pub fn store(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    /// The texts of its events of a kind.
    pub async fn events(&self, kind: &str) -> Vec<String> {
        let told: Value = serde_json::from_str(&self.http("/events", "").await.1).unwrap();
        let events = told["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind);
        events.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Head and body of an HTTP view, asked for with the header lines `headers`.
    pub async fn http(&self, path: &str, headers: &str) -> (String, String) {
        let mut socket = within("a connection", TokioNet.connect(&self.http)).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", self.http);
        socket.writer.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("the HTTP answer", socket.reader.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    /// The series of the metrics in Prometheus' text whose name and labels are these, the common labels left out.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let (_, text) = self.http("/metrics", "").await;
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
        let mut found = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        let value = found.next()?.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert_eq!(found.next(), None, "several series are {name} {labels:?}");
        Some(value)
    }
}

/// One connection to a broker.
pub struct Peer {
    pub connection: Arc<Connection>,
    /// What the broker asks on its own.
    pub pushes: mpsc::UnboundedReceiver<Command>,
    _client: Client,
}

/// Notes what the broker asks, and answers what there is an answer for.
struct Pushes {
    seen: mpsc::UnboundedSender<Command>,
    answers: BTreeMap<i32, Command>,
}

impl Handler for Pushes {
    fn on_request(&self, _: &Arc<Connection>, request: Command, responder: Responder) {
        if let Some(answer) = self.answers.get(&request.code) {
            let reply = Command::response_to(&request, answer.code).with_body(answer.body.clone());
            responder.send(reply);
        }
        let _ = self.seen.send(request); // the story may be over
    }
}

impl Peer {
    /// `answers`: what it says when the broker asks, by request code.
    pub async fn connect(addr: &str, answers: BTreeMap<i32, Command>) -> Self {
        let (seen, pushes) = mpsc::unbounded_channel();
        let handler = Arc::new(Pushes { seen, answers });
        let client = Client::new(Platform::os(), ClientConfig::default(), Some(handler));
        let connection = client.connection(addr).await.unwrap();
        Self { connection, pushes, _client: client }
    }

    pub async fn call(&self, command: Command) -> Command {
        self.connection.call(command, DEADLINE).await.unwrap()
    }

    /// Calls, and wants success.
    pub async fn ok(&self, command: Command) -> Command {
        let request = command.code;
        let answer = self.call(command).await;
        assert_eq!(answer.code, 0, "request {request}: {:?}", answer.remark);
        answer
    }

    pub async fn next_push(&mut self, what: &str) -> Command {
        within(what, self.pushes.recv()).await.unwrap()
    }

    /// Makes a topic with `queues` queues.
    pub async fn create_topic(&self, topic: &str, queues: i32, perm: i32) {
        self.ok(create_topic(topic, queues, perm)).await;
    }

    /// Sends one message and returns its queue offset and its commitlog offset.
    pub async fn send(&self, topic: &str, queue_id: i32, properties: &str, body: &str) -> (i64, i64) {
        let answer = self.ok(send(topic, queue_id, properties, body.to_owned().into_bytes())).await;
        let id = protocol::message::id::parse_offset_message_id(answer.ext.get("msgId").unwrap()).unwrap();
        (answer.ext.required_i64("queueOffset").unwrap(), id.1)
    }

    pub async fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        let ask = Command::request(code::GET_MAX_OFFSET).with("topic", topic).with("queueId", queue_id);
        self.ok(ask).await.ext.required_i64("offset").unwrap()
    }

    /// Asks for the end of a queue until it is at least `end`.
    pub async fn wait_for_end(&self, topic: &str, queue_id: i32, end: i64) {
        within(&format!("{topic}/{queue_id} to reach {end}"), async {
            while self.max_offset(topic, queue_id).await < end {}
        })
        .await;
    }

    /// Stores a consumer offset, and waits until it is committed.
    pub async fn store_offset(&self, group: &str, topic: &str, queue_id: i32, offset: i64) -> Command {
        self.call(update_offset(group, topic, queue_id, offset)).await
    }

    /// The code of the answer, and the offset if there is one.
    pub async fn consumer_offset(&self, group: &str, topic: &str, queue_id: i32) -> (i32, Option<i64>) {
        let ask = Command::request(code::QUERY_CONSUMER_OFFSET)
            .with("consumerGroup", group)
            .with("topic", topic)
            .with("queueId", queue_id);
        let told = self.call(ask).await;
        (told.code, told.ext.i64("offset").unwrap())
    }

    /// The messages of a queue from `offset` on, of one pull.
    pub async fn pull(&self, group: &str, topic: &str, queue_id: i32, offset: i64) -> Pulled {
        Pulled(self.call(pull(group, topic, queue_id, offset, 4, 0)).await)
    }

    pub async fn heartbeat(&self, body: &str) -> Command {
        self.ok(Command::request(code::HEART_BEAT).with_body(body.to_owned())).await
    }
}

/// The answer to a pull.
pub struct Pulled(pub Command);

impl Pulled {
    pub fn units(&self) -> Vec<MessageView<'_>> {
        units(&self.0.body)
    }

    pub fn number(&self, name: &str) -> i64 {
        self.0.ext.required_i64(name).unwrap()
    }
}

pub fn units(body: &[u8]) -> Vec<MessageView<'_>> {
    message::walk(body).map(|unit| message::parse(unit.unwrap()).unwrap()).collect()
}

pub fn create_topic(topic: &str, queues: i32, perm: i32) -> Command {
    Command::request(code::UPDATE_AND_CREATE_TOPIC)
        .with("topic", topic)
        .with("defaultTopic", "TBW102")
        .with("readQueueNums", queues)
        .with("writeQueueNums", queues)
        .with("perm", perm)
        .with("topicFilterType", "SINGLE_TAG")
        .with("topicSysFlag", 0)
        .with("order", false)
}

/// A send with the short header.
pub fn send(topic: &str, queue_id: i32, properties: &str, body: impl Into<bytes::Bytes>) -> Command {
    Command::request(code::SEND_MESSAGE_V2)
        .with("a", "PG")
        .with("b", topic)
        .with("c", "TBW102")
        .with("d", 4)
        .with("e", queue_id)
        .with("f", 0)
        .with("g", 1_795_247_946_406_i64)
        .with("h", 0)
        .with("i", properties)
        .with("j", 0)
        .with("k", false)
        .with_body(body)
}

pub fn update_offset(group: &str, topic: &str, queue_id: i32, offset: i64) -> Command {
    Command::request(code::UPDATE_CONSUMER_OFFSET)
        .with("consumerGroup", group)
        .with("topic", topic)
        .with("queueId", queue_id)
        .with("commitOffset", offset)
}

pub fn pull(group: &str, topic: &str, queue_id: i32, offset: i64, sys_flag: i32, suspend_ms: u64) -> Command {
    Command::request(code::PULL_MESSAGE)
        .with("consumerGroup", group)
        .with("topic", topic)
        .with("queueId", queue_id)
        .with("queueOffset", offset)
        .with("maxMsgNums", 32)
        .with("sysFlag", sys_flag)
        .with("commitOffset", 0)
        .with("suspendTimeoutMillis", suspend_ms)
        .with("subscription", "*")
        .with("subVersion", 0)
        .with("expressionType", "TAG")
}

/// A heartbeat of one consumer, as the Java client writes it.
pub fn consumer_heartbeat(client: &str, group: &str, topic: &str, expression: &str, version: i64) -> String {
    format!(
        r#"{{"clientID":"{client}","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"{group}","messageModel":"CLUSTERING","subscriptionDataSet":[{{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"{expression}","subVersion":{version},"tagsSet":[],"topic":"{topic}"}}],"unitMode":false}}],"heartbeatFingerprint":0,"producerDataSet":[{{"groupName":"PG"}}],"withoutSub":false}}"#
    )
}

pub fn json(body: &[u8]) -> Value {
    protocol::json::parse(body).unwrap()
}

/// A name server that takes every registration, and notes the topics of the last one and their permissions.
pub struct NameServer {
    pub addr: SocketAddr,
    pub topics: Arc<Mutex<BTreeMap<String, i32>>>,
    _server: Server,
}

struct Notes(Arc<Mutex<BTreeMap<String, i32>>>);

impl Handler for Notes {
    fn on_request(&self, _: &Arc<Connection>, request: Command, responder: Responder) {
        if request.code == code::REGISTER_BROKER {
            let header = RegisterBroker::read(&request).unwrap();
            let body = RegisterBrokerBody::decode(&request.body, &header).unwrap();
            let table = body.topic_config_serialize_wrapper.topic_config_table;
            *self.0.lock().unwrap() = table.into_iter().map(|(topic, config)| (topic, config.perm)).collect();
        }
        responder.send(Command::response_to(&request, 0));
    }
}

impl NameServer {
    pub async fn start() -> Self {
        let topics = Arc::default();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server =
            Server::start(&TokioNet, any, Arc::new(Notes(Arc::clone(&topics))), ServerConfig::default());
        let server = server.await.unwrap();
        Self { addr: server.local_addr(), topics, _server: server }
    }

    pub fn knows(&self, topic: &str) -> bool {
        self.perm(topic).is_some()
    }

    pub fn perm(&self, topic: &str) -> Option<i32> {
        self.topics.lock().unwrap().get(topic).copied()
    }
}

/// A socket without a client behind it.
pub struct Raw {
    socket: platform::Connection,
    read: bytes::BytesMut,
}

impl Raw {
    pub async fn connect(addr: &str) -> Self {
        let socket = within("a connection", TokioNet.connect(addr)).await.unwrap();
        Self { socket, read: bytes::BytesMut::new() }
    }

    /// Writes; the other end may have closed by then.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.socket.writer.write_all(bytes).await;
        let _ = self.socket.writer.flush().await;
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        let _ = self.socket.writer.shutdown().await;
    }

    /// The next frame; `None` if the other end closed.
    pub async fn read(&mut self) -> Option<Command> {
        loop {
            if let Some(command) = protocol::frame::decode(&mut self.read).unwrap() {
                return Some(command);
            }
            let read = within("bytes or the end", self.socket.reader.read_buf(&mut self.read)).await;
            if read.is_err() || read.is_ok_and(|bytes| bytes == 0) {
                return None;
            }
        }
    }
}

//! A name server and broker nodes behind real sockets, answering from one table that the test changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use client::ClientConfig;
use client::protocol::command::send::SendRequest;
use client::protocol::message::{UnitFields, encode_unit, id, seal_unit};
use client::protocol::route::{BrokerData, QueueData, TopicRouteData};
use client::protocol::{Command, RequestCode, ResponseCode};
use platform::Platform;
use remoting::{Connection, Handler, Responder, Server, ServerConfig};

/// What a node does with a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSend {
    /// Stores it.
    Store,
    /// Answers with this code.
    Refuse(i32),
    /// Never answers.
    Silent,
}

/// What all nodes and the name server know.
#[derive(Default)]
pub struct World {
    /// Broker id to address, as the name server tells it.
    pub addrs: BTreeMap<i64, String>,
    pub queues: i32,
    /// Topics that exist. Others are made by the first send.
    pub topics: Vec<String>,
    /// By node address.
    pub on_send: BTreeMap<String, OnSend>,
    /// Units by topic and queue.
    pub stored: BTreeMap<(String, i32), Vec<bytes::BytesMut>>,
    /// By group, topic and queue.
    pub offsets: BTreeMap<(String, String, i32), i64>,
    /// Client ids of consumers, and where to reach them.
    pub consumers: BTreeMap<String, Arc<Connection>>,
    /// Codes of requests, in the order they came in, with the node.
    pub seen: Vec<(String, i32)>,
    /// Held pulls, with the node that holds them.
    held: Vec<(String, Command, Responder)>,
    /// Open connections to nodes.
    pub connections: usize,
    /// Nodes that take everything in and say nothing.
    frozen: BTreeSet<String>,
}

pub type Shared = Arc<Mutex<World>>;

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

struct Namesrv(Shared);

impl Handler for Namesrv {
    fn on_request(&self, _connection: &Arc<Connection>, request: Command, responder: Responder) {
        let world = lock(&self.0);
        let topic = request.ext.get("topic").unwrap_or_default().to_owned();
        let exists = world.topics.contains(&topic) || topic == "TBW102" || topic.starts_with("%RETRY%");
        if request.code != RequestCode::GET_ROUTEINFO_BY_TOPIC || !exists {
            responder.send(Command::response_to(&request, ResponseCode::TOPIC_NOT_EXIST));
            return;
        }
        let queues = if topic.starts_with("%RETRY%") { 1 } else { world.queues };
        let route = TopicRouteData {
            queue_datas: vec![QueueData {
                broker_name: "group".into(),
                perm: protocol::perm::READ_WRITE,
                read_queue_nums: queues,
                write_queue_nums: queues,
                topic_sys_flag: 0,
            }],
            broker_datas: vec![BrokerData {
                broker_name: "group".into(),
                cluster: "c".into(),
                broker_addrs: world.addrs.clone(),
                ..BrokerData::default()
            }],
            ..TopicRouteData::default()
        };
        responder.send(Command::response_to(&request, ResponseCode::SUCCESS).with_body(route.to_bytes()));
    }
}

/// Takes everything in and says nothing.
#[derive(Default)]
struct Swallow(Mutex<Vec<Responder>>);

impl Handler for Swallow {
    fn on_request(&self, _connection: &Arc<Connection>, _request: Command, responder: Responder) {
        self.0.lock().unwrap().push(responder);
    }
}

/// A server that answers nothing.
pub async fn silent_server() -> Server {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let handler = Arc::new(Swallow::default());
    Server::start(&*Platform::os().net, any, handler, ServerConfig::default()).await.unwrap()
}

struct Node {
    world: Shared,
    addr: Mutex<String>,
}

impl Handler for Node {
    fn on_open(&self, _connection: &Arc<Connection>) {
        lock(&self.world).connections += 1;
    }

    fn on_close(&self, _connection: &Arc<Connection>) {
        lock(&self.world).connections -= 1;
    }

    fn on_request(&self, connection: &Arc<Connection>, request: Command, responder: Responder) {
        let addr = self.addr.lock().unwrap().clone();
        let mut world = lock(&self.world);
        world.seen.push((addr.clone(), request.code));
        if world.frozen.contains(&addr) {
            world.held.push((addr, request, responder));
            return;
        }
        let answer = match request.code {
            RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => {
                match world.on_send.get(&addr).copied().unwrap_or(OnSend::Store) {
                    OnSend::Silent => {
                        world.held.push((addr, request, responder));
                        return;
                    }
                    OnSend::Refuse(code) => {
                        Command::response_to(&request, code).with_remark("as the test wants")
                    }
                    OnSend::Store => store(&mut world, &request),
                }
            }
            RequestCode::HEART_BEAT => {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                if text.contains("groupName") && text.contains("subscriptionDataSet") {
                    let id =
                        text.split("\"clientID\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                    if world.consumers.insert(id, connection.clone()).is_none() {
                        let notice = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
                        for consumer in world.consumers.values() {
                            drop(consumer.oneway(notice.clone().with("consumerGroup", "cg").oneway()));
                        }
                    }
                }
                Command::response_to(&request, 0)
            }
            RequestCode::UNREGISTER_CLIENT => {
                world.consumers.remove(request.ext.get("clientID").unwrap());
                Command::response_to(&request, 0)
            }
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
                let ids: Vec<String> = world.consumers.keys().map(|id| format!("\"{id}\"")).collect();
                let body = format!("{{\"consumerIdList\":[{}]}}", ids.join(","));
                Command::response_to(&request, 0).with_body(body)
            }
            RequestCode::QUERY_CONSUMER_OFFSET => match world.offsets.get(&offset_key(&request)) {
                Some(offset) => Command::response_to(&request, 0).with("offset", offset),
                None => Command::response_to(&request, ResponseCode::QUERY_NOT_FOUND),
            },
            RequestCode::UPDATE_CONSUMER_OFFSET => {
                let offset = request.ext.required_i64("commitOffset").unwrap();
                world.offsets.insert(offset_key(&request), offset);
                Command::response_to(&request, 0)
            }
            RequestCode::PULL_MESSAGE => {
                let Some(answer) = pull(&world, &request) else {
                    world.held.push((addr, request, responder));
                    return;
                };
                answer
            }
            RequestCode::GET_MIN_OFFSET => Command::response_to(&request, 0).with("offset", 0),
            RequestCode::LOCK_BATCH_MQ => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let queues = body.split("\"mqSet\":").nth(1).unwrap().split(']').next().unwrap().to_owned();
                Command::response_to(&request, 0).with_body(format!("{{\"lockOKMQSet\":{queues}]}}"))
            }
            RequestCode::UNLOCK_BATCH_MQ | RequestCode::CONSUMER_SEND_MSG_BACK => {
                Command::response_to(&request, 0)
            }
            _ => Command::response_to(&request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        };
        responder.send(answer);
    }
}

fn offset_key(request: &Command) -> (String, String, i32) {
    let text = |name: &str| request.ext.get(name).unwrap().to_owned();
    (text("consumerGroup"), text("topic"), request.ext.required_i32("queueId").unwrap())
}

fn store(world: &mut World, request: &Command) -> Command {
    let header = SendRequest::read(request).unwrap();
    let host: SocketAddr = "10.0.0.1:10911".parse().unwrap();
    let fields = UnitFields {
        topic: &header.topic,
        queue_id: header.queue_id,
        flag: header.flag,
        sys_flag: header.sys_flag,
        born_timestamp_ms: header.born_timestamp_ms,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &request.body,
        properties: &header.properties,
    };
    let mut unit = bytes::BytesMut::new();
    encode_unit(&fields, &mut unit).unwrap();
    let place = world.stored.values().flatten().map(|unit| unit.len() as i64).sum();
    if !world.topics.contains(&header.topic) {
        world.topics.push(header.topic.clone());
    }
    let queue = world.stored.entry((header.topic.clone(), header.queue_id)).or_default();
    let queue_offset = queue.len() as i64;
    seal_unit(&mut unit, queue_offset, place, 1);
    queue.push(unit);
    let held = std::mem::take(&mut world.held);
    for (addr, request, responder) in held {
        match pull(world, &request).filter(|_| !world.frozen.contains(&addr)) {
            Some(answer) => responder.send(answer),
            None => world.held.push((addr, request, responder)),
        }
    }
    Command::response_to(request, 0)
        .with("msgId", id::offset_message_id(host, place))
        .with("queueId", header.queue_id)
        .with("queueOffset", queue_offset)
}

/// The answer to a pull; `None` if it should be held.
fn pull(world: &World, request: &Command) -> Option<Command> {
    if request.code != RequestCode::PULL_MESSAGE {
        return None;
    }
    let queue = (request.ext.get("topic")?.to_owned(), request.ext.required_i32("queueId").unwrap());
    let from = request.ext.required_i64("queueOffset").unwrap();
    let units = world.stored.get(&queue).map(Vec::as_slice).unwrap_or_default();
    let end = units.len() as i64;
    let answer = |code, next: i64| {
        Command::response_to(request, code)
            .with("suggestWhichBrokerId", 0)
            .with("nextBeginOffset", next)
            .with("minOffset", 0)
            .with("maxOffset", end)
    };
    if from > end {
        return Some(answer(ResponseCode::PULL_OFFSET_MOVED, end));
    }
    if from == end {
        return None;
    }
    let body: Vec<u8> = units[from as usize..].iter().flat_map(|unit| unit.to_vec()).collect();
    Some(answer(ResponseCode::SUCCESS, end).with_body(body))
}

/// A name server and `nodes` nodes of the group `group`. The first node leads.
pub struct Cluster {
    pub world: Shared,
    pub namesrv: String,
    pub nodes: Vec<String>,
    servers: Vec<Option<Server>>,
    namesrv_server: Server,
}

impl Cluster {
    pub async fn start(nodes: usize, queues: i32) -> Self {
        let platform = Platform::os();
        let world = Shared::default();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let handler = Arc::new(Namesrv(world.clone()));
        let namesrv_server =
            Server::start(&*platform.net, any, handler, ServerConfig::default()).await.unwrap();
        let mut cluster = Self {
            world: world.clone(),
            namesrv: namesrv_server.local_addr().to_string(),
            nodes: Vec::new(),
            servers: Vec::new(),
            namesrv_server,
        };
        for number in 0..nodes {
            let node = Arc::new(Node { world: world.clone(), addr: Mutex::default() });
            let server =
                Server::start(&*platform.net, any, node.clone(), ServerConfig::default()).await.unwrap();
            let addr = server.local_addr().to_string();
            node.addr.lock().unwrap().clone_from(&addr);
            lock(&world).addrs.insert(number as i64, addr.clone());
            cluster.nodes.push(addr);
            cluster.servers.push(Some(server));
        }
        lock(&world).queues = queues;
        lock(&world).topics.push("T".into());
        cluster
    }

    pub fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.namesrv)
    }

    /// The process of a node dies: its connections close, its port refuses, the name server forgets it.
    pub async fn kill(&mut self, node: usize) {
        self.servers[node].take().unwrap().shutdown().await;
        let addr = self.nodes[node].clone();
        lock(&self.world).addrs.retain(|_, known| *known != addr);
    }

    /// A node registers as the leader.
    pub fn elect(&self, node: usize) {
        let addr = self.nodes[node].clone();
        let mut world = lock(&self.world);
        world.addrs.retain(|id, known| *known != addr && *id != 0);
        world.addrs.insert(0, addr);
    }

    /// From now on a node takes everything in and says nothing, its connections stay.
    pub fn freeze(&self, node: usize) {
        lock(&self.world).frozen.insert(self.nodes[node].clone());
    }

    pub fn on_send(&self, node: usize, what: OnSend) {
        lock(&self.world).on_send.insert(self.nodes[node].clone(), what);
    }

    pub fn connections(&self) -> usize {
        lock(&self.world).connections
    }

    pub fn stored(&self) -> usize {
        lock(&self.world).stored.values().map(Vec::len).sum()
    }

    pub async fn stop(self) {
        for server in self.servers.into_iter().flatten() {
            server.shutdown().await;
        }
        self.namesrv_server.shutdown().await;
    }
}

/// Looks again until `look` finds something; after 10 s the test fails with what it waited for.
pub async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::task::yield_now().await;
            let _ = tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), patience)
        .await
        .unwrap_or_else(|_| panic!("waited 10 s for {what}"))
}

//! What the stories share: a name server on free ports, brokers and clients that talk to it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use namesrv::{Config, Namesrv};
use platform::{Net, Platform, TokioNet};
use protocol::Command;
use protocol::code::request;
use protocol::command::route::{RegisterBroker, RegisterBrokerBody, TopicConfigWrapper};
pub use protocol::perm::{ALL, READ_WRITE};
use protocol::route::{DataVersion, TopicConfig, TopicRouteData};
use remoting::{Client, ClientConfig, Connection};
use settings::Properties;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Long enough for a loaded machine; a story that works never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The properties of a name server on free ports of the loopback interface, and `more`.
pub fn config(dir: &Path, more: &str) -> Config {
    let kv = dir.join("kv.json");
    let text =
        format!("bindAddress=127.0.0.1\nlistenPort=0\nhttpPort=0\nkvConfigPath={}\n{more}", kv.display());
    Config::read(Properties::parse(text.as_bytes(), "story.conf").unwrap(), "/nowhere").unwrap().0
}

/// A name server that runs, and where it keeps its file.
pub struct Story {
    pub namesrv: Namesrv,
    pub dir: tempfile::TempDir,
}

impl Story {
    pub async fn start(more: &str) -> Self {
        Self::start_with_kv(more, None).await
    }

    pub async fn start_with_kv(more: &str, kv: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(kv) = kv {
            let file =
                Platform::os().disk.open(&dir.path().join("kv.json"), platform::OpenMode::Create).unwrap();
            file.write_all_at(&[std::io::IoSlice::new(kv.as_bytes())], 0).unwrap();
        }
        let namesrv = Namesrv::start(&config(dir.path(), more), &Platform::os()).await.unwrap();
        Self { namesrv, dir }
    }

    pub async fn connect(&self) -> Peer {
        let client = Client::new(Platform::os(), ClientConfig::default(), None);
        let connection = client.connection(&self.namesrv.local_addr().to_string()).await.unwrap();
        Peer { connection, _client: client }
    }

    /// Status and body of `GET path`.
    pub async fn http(&self, path: &str) -> (u16, String) {
        let addr = self.namesrv.http_addr().unwrap();
        let mut socket = TokioNet.connect(&addr.to_string()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
        socket.writer.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("the HTTP answer", socket.reader.read_to_string(&mut answer)).await.unwrap();
        let status = answer[9..12].parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

/// One connection to the name server.
pub struct Peer {
    pub connection: Arc<Connection>,
    _client: Client,
}

impl Peer {
    pub async fn call(&self, command: Command) -> Command {
        self.connection.call(command, DEADLINE).await.unwrap()
    }

    pub async fn route(&self, topic: &str) -> Option<TopicRouteData> {
        let answer = self.call(Command::request(request::GET_ROUTEINFO_BY_TOPIC).with("topic", topic)).await;
        match answer.code {
            0 => Some(TopicRouteData::read(&answer.body).unwrap()),
            17 => None,
            code => panic!("code {code}: {:?}", answer.remark),
        }
    }

    /// Asks for the route until `wanted` of it gives something.
    pub async fn wait_for_route<T>(
        &self,
        topic: &str,
        what: &str,
        wanted: impl Fn(Option<TopicRouteData>) -> Option<T>,
    ) -> T {
        within(what, async {
            loop {
                if let Some(found) = wanted(self.route(topic).await) {
                    return found;
                }
            }
        })
        .await
    }
}

/// A node of a broker group, as it registers.
#[derive(Clone)]
pub struct Broker {
    pub header: RegisterBroker,
    pub body: RegisterBrokerBody,
}

impl Broker {
    /// A node of `group` in `cluster`; `topics` have read and write queues and a permission.
    pub fn new(cluster: &str, group: &str, id: i64, addr: &str, topics: &[(&str, i32, i32, i32)]) -> Self {
        let header = RegisterBroker {
            broker_name: group.into(),
            broker_addr: addr.into(),
            cluster_name: cluster.into(),
            ha_server_addr: addr.into(),
            broker_id: id,
            enable_acting_master: Some(false),
            ..RegisterBroker::default()
        };
        let topic = |(name, read, write, perm): &(&str, i32, i32, i32)| {
            let config = TopicConfig {
                topic_name: (*name).into(),
                read_queue_nums: *read,
                write_queue_nums: *write,
                perm: *perm,
                ..TopicConfig::default()
            };
            ((*name).to_owned(), config)
        };
        let wrapper = TopicConfigWrapper {
            topic_config_table: topics.iter().map(topic).collect(),
            ..TopicConfigWrapper::default()
        };
        let body =
            RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, ..RegisterBrokerBody::default() };
        Self { header, body }
    }

    pub fn version(mut self, term: i64, counter: i64, timestamp: i64) -> Self {
        let version = DataVersion { counter, state_version: term, timestamp };
        self.body.topic_config_serialize_wrapper.data_version = version;
        self
    }

    /// The request, with its checksum.
    pub fn request(&self) -> Command {
        let mut header = self.header.clone();
        let (body, crc) = self.body.encode(header.compressed);
        header.body_crc32 = Some(crc);
        Command::request(request::REGISTER_BROKER).with_header(&header).with_body(body)
    }

    pub async fn register(&self, peer: &Peer) -> Command {
        let answer = peer.call(self.request()).await;
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        answer
    }
}

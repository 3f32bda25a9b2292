//! Recorded requests of real programs, and the answers of the name server of RocketMQ 5.3.3 to them: ours answers the
//! same, but for the [`DIFFERENCES`].

use std::collections::BTreeMap;

use bytes::BytesMut;
use protocol::command::route::BrokerMemberGroupBody;
use protocol::route::{BrokerData, ClusterInfo, DataVersion, TopicList, TopicRouteData};
use protocol::{Command, RequestCode, frame};
use serde_json::Value;

use crate::support::*;

/// Scenarios whose answers differ on purpose: what of the answer, and why.
const DIFFERENCES: &[(&str, Part, &str)] = &[
    ("ns-319", Part::Body, "our properties are fewer: no thread pools, no Netty, and two for HTTP"),
    ("ns-901", Part::Remark, "a success needs no remark"),
    ("ns-901-unknown", Part::Remark, "a success needs no remark"),
    ("ns-901-master-slave", Part::Remark, "a success needs no remark"),
    (
        "ns-103-compressed-flag-false",
        Part::All,
        "the 5.3.3 broker says so of a deflated body; we look at the body",
    ),
];
// And everywhere, see `same`:
// - JSON keys are always quoted, not only for those who ask for standard JSON.
// - Lists come in the order of names, not in the order of a hash.
// - A remark may say more than RocketMQ's, and never repeats its link to a web page.
// - A brand-new broker that is refused leaves no group without members behind (106 shows one in RocketMQ).

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Body,
    Remark,
    All,
}

struct Recorded {
    id: u64,
    scenario: String,
    command: Command,
}

/// Requests in the order of recording, each with its answer if there was one.
struct Recording(Vec<(Recorded, Option<Command>)>);

impl Recording {
    fn load(file: &str, bytes: &[u8]) -> Self {
        let mut requests = Vec::new();
        let mut answers = BTreeMap::new();
        for line in include_str!("../vectors/index.jsonl").lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["file"] != file {
                continue;
            }
            let number = |name: &str| line[name].as_u64().unwrap();
            let (from, length) = (number("offset") as usize, number("length") as usize);
            let command = frame::decode(&mut BytesMut::from(&bytes[from..from + length])).unwrap().unwrap();
            if let Some(request) = line["responds_to"].as_u64() {
                answers.insert(request, command);
            } else {
                let scenario = line["scenario"].as_str().unwrap().to_owned();
                requests.push(Recorded { id: number("id"), scenario, command });
            }
        }
        assert!(!requests.is_empty(), "nothing of {file} in the index");
        let with_answer = |request: Recorded| {
            let answer = answers.remove(&request.id);
            (request, answer)
        };
        Self(requests.into_iter().map(with_answer).collect())
    }

    fn answer(&self, id: u64) -> &Command {
        let (_, answer) = self.0.iter().find(|(request, _)| request.id == id).unwrap();
        answer.as_ref().unwrap()
    }

    fn between(&self, first: u64, last: u64) -> impl Iterator<Item = &(Recorded, Option<Command>)> {
        self.0.iter().filter(move |(request, _)| (first..=last).contains(&request.id))
    }
}

macro_rules! recording {
    ($name:literal) => {
        Recording::load($name, include_bytes!(concat!("../vectors/", $name, ".bin")))
    };
}

/// Sends the request and compares; a request that wants no answer is only sent.
async fn replay(peer: &Peer, request: &Recorded, expected: Option<&Command>) {
    if request.command.is_oneway() {
        peer.connection.oneway(request.command.clone()).unwrap();
        return;
    }
    let Some(expected) = expected else { panic!("{}: no answer was recorded", request.scenario) };
    let answer = peer.call(request.command.clone()).await;
    let differs = |part| {
        DIFFERENCES.iter().any(|(scenario, which, _)| {
            *scenario == request.scenario && (*which == part || *which == Part::All)
        })
    };
    let context = format!("request {} ({}), answer {:?}", request.id, request.scenario, answer);
    assert_eq!(answer.encoding, request.command.encoding, "{context}");
    assert!(answer.is_response() && answer.version == 479, "{context}");
    if !differs(Part::All) {
        assert_eq!(answer.code, expected.code, "{context}");
        assert_eq!(answer.ext, expected.ext, "{context}");
    }
    if !differs(Part::Remark) {
        let start = |remark: &Option<String>| {
            remark.as_deref().unwrap_or_default().lines().next().unwrap_or("").to_owned()
        };
        assert!(start(&answer.remark).starts_with(&start(&expected.remark)), "{context}");
        assert_eq!(answer.remark.is_some(), expected.remark.is_some(), "{context}");
    }
    if !differs(Part::Body) {
        same(&answer.body, &expected.body, &context);
    }
}

/// Ours must be strict and compact JSON; the order of list members and of names does not count.
fn same(ours: &[u8], theirs: &[u8], context: &str) {
    if theirs.is_empty() || ours.is_empty() {
        assert_eq!(ours, theirs, "{context}");
        return;
    }
    let ours_read: Value = serde_json::from_slice(ours).unwrap();
    assert_eq!(ours, serde_json::to_vec(&ours_read).unwrap(), "compact: {context}");
    let theirs = protocol::json::parse(theirs).unwrap();
    assert_eq!(sorted(ours_read), sorted(theirs), "{context}");
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        plain => plain,
    }
}

/// A name server with the properties and the KV config that the recorded one had.
async fn like_the_recorded() -> Story {
    Story::start_with_kv("orderMessageEnable=true", Some(r#"{"configTable":{"ORDER_TOPIC_CONFIG":{}}}"#))
        .await
}

/// Registers the brokers that `answer` names, for requests whose registrations came over other connections.
async fn rebuild(peer: &Peer, request: &Command, answer: &Command) {
    let body = &answer.body;
    let (groups, topics): (Vec<BrokerData>, _) = match request.code {
        RequestCode::GET_ROUTEINFO_BY_TOPIC => {
            let route = TopicRouteData::read(body).unwrap();
            (route.broker_datas, route.queue_datas)
        }
        RequestCode::GET_BROKER_CLUSTER_INFO => {
            (ClusterInfo::read(body).unwrap().broker_addr_table.into_values().collect(), Vec::new())
        }
        RequestCode::GET_BROKER_MEMBER_GROUP => {
            let group = BrokerMemberGroupBody::read(body).unwrap().broker_member_group;
            let (broker_addrs, broker_name, cluster) = (group.broker_addrs, group.broker_name, group.cluster);
            (vec![BrokerData { broker_addrs, broker_name, cluster, ..BrokerData::default() }], Vec::new())
        }
        code => panic!("nothing to rebuild for code {code}"),
    };
    for group in groups {
        let topic = request.ext.get("topic").unwrap_or("T");
        let queues = topics.iter().find(|queues| queues.broker_name == group.broker_name);
        let (read, write, perm) = queues.map_or((1, 1, READ_WRITE), |queues| {
            (queues.read_queue_nums, queues.write_queue_nums, queues.perm)
        });
        for (id, addr) in &group.broker_addrs {
            let topics = [(topic, read, write, perm), ("another", 1, 1, READ_WRITE)];
            let mut broker = Broker::new(&group.cluster, &group.broker_name, *id, addr, &topics);
            broker.header.enable_acting_master = Some(group.enable_acting_master);
            broker.register(peer).await;
        }
    }
}

#[tokio::test]
async fn the_long_handmade_session() {
    let recording = recording!("handmade-namesrv-5.3.3");
    let story = like_the_recorded().await;
    let (broker, peer) = (story.connect().await, story.connect().await);

    // What broker-a had registered over its own connection.
    let topics = TopicList::read(&recording.answer(1885).body).unwrap().topic_list;
    let topics: Vec<_> = topics
        .iter()
        .map(|topic| if topic == "TBW102" { (topic.as_str(), 4, 4, 7) } else { (topic.as_str(), 2, 2, 6) })
        .collect();
    let DataVersion { counter, state_version, timestamp } =
        DataVersion::read(&recording.answer(1919).body).unwrap();
    let broker_a = Broker::new("VecCluster", "broker-a", 0, "127.0.0.1:19911", &topics);
    broker_a.version(state_version, counter, timestamp).register(&broker).await;

    for (request, answer) in recording.between(1867, 2016) {
        replay(&peer, request, answer.as_ref()).await;
    }
    for (request, answer) in recording.between(2894, 2897) {
        replay(&peer, request, answer.as_ref()).await;
    }
}

#[tokio::test]
async fn compressed_registrations_and_acting_slaves() {
    let recording = recording!("handmade-namesrv-5.3.3");
    let story = like_the_recorded().await;
    let peer = story.connect().await;
    let mut master = Broker::new(
        "RawFakeCluster",
        "Raw-hb",
        0,
        "127.0.0.1:19761",
        &[("RawG3", 4, 4, READ_WRITE), ("RawG4", 4, 4, READ_WRITE)],
    );
    master.header.enable_acting_master = Some(true);
    master.header.ha_server_addr = "127.0.0.1:19762".into();
    master.register(&peer).await;
    for (request, answer) in recording.between(2763, 2772) {
        replay(&peer, request, answer.as_ref()).await;
    }
    let deflated_without_saying_so = peer.route("RawG12").await.or(peer.route("RawG11").await);
    assert!(deflated_without_saying_so.is_some());
}

#[tokio::test]
async fn routes_that_real_clients_asked_for() {
    let recordings = [
        recording!("client-go-4.5.2-namesrv-5.3.3"),
        recording!("client-cpp-3.1.8-namesrv-5.3.3"),
        recording!("client-cpp-4.6.0-namesrv-5.3.3"),
        recording!("client-java-3.4.9-namesrv-5.3.3"),
        recording!("client-java-5.3.3-namesrv-5.3.3"),
        recording!("client-java-5.3.3-namesrv-5.3.3-binary"),
        recording!("handmade-namesrv-5.3.3"),
    ];
    let mut replayed = 0;
    for (request, answer) in recordings.iter().flat_map(|recording| &recording.0) {
        let about_routes = [
            RequestCode::GET_ROUTEINFO_BY_TOPIC,
            RequestCode::GET_BROKER_CLUSTER_INFO,
            RequestCode::GET_BROKER_MEMBER_GROUP,
        ];
        let Some(answer) = answer else { continue }; // the recorded server was stopped
        // Groups without members: see the differences.
        let has_empty_group = String::from_utf8_lossy(&answer.body).contains(r#""brokerAddrs":{}"#)
            && request.command.code == RequestCode::GET_BROKER_CLUSTER_INFO;
        if has_empty_group || !about_routes.contains(&request.command.code) {
            continue;
        }
        let story = like_the_recorded().await;
        let peer = story.connect().await;
        if answer.code == 0 {
            rebuild(&peer, &request.command, answer).await;
        }
        replay(&peer, request, Some(answer)).await;
        story.namesrv.shutdown().await;
        replayed += 1;
    }
    assert!(replayed > 50, "only {replayed} were replayed");
}

#[tokio::test]
async fn registrations_of_java_brokers() {
    let recording = recording!("client-java-5.3.3-namesrv-5.3.3");
    let story = Story::start("").await;
    let peer = story.connect().await;
    for (request, answer) in recording.between(0, 16) {
        replay(&peer, request, answer.as_ref()).await;
    }
    story.namesrv.shutdown().await;

    let story = like_the_recorded().await;
    let peer = story.connect().await;
    let registrations =
        [RequestCode::REGISTER_BROKER, RequestCode::UNREGISTER_BROKER, RequestCode::QUERY_DATA_VERSION];
    for (request, answer) in recording.between(881, 1200) {
        assert!(registrations.contains(&request.command.code));
        replay(&peer, request, answer.as_ref()).await;
    }
    let route = peer.route("TBW102").await.unwrap();
    let raft = route.broker_datas.iter().find(|group| group.broker_name == "RaftNode00").unwrap();
    assert_eq!(
        raft.broker_addrs,
        BTreeMap::from([(2, "127.0.0.1:19721".to_owned())]),
        "demoted by a one-way request"
    );
}

#[tokio::test]
async fn tools_with_either_header_encoding() {
    for recording in
        [recording!("client-java-5.3.3-namesrv-5.3.3"), recording!("client-java-5.3.3-namesrv-5.3.3-binary")]
    {
        let kv = r#"{"configTable":{"ORDER_TOPIC_CONFIG":{},"vecns":{"k1":"v1 中"}}}"#;
        let story = Story::start_with_kv("", Some(kv)).await;
        let peer = story.connect().await;
        for (request, answer) in &recording.0 {
            let command = &request.command;
            let replays = match command.code {
                RequestCode::PUT_KV_CONFIG
                | RequestCode::DELETE_KV_CONFIG
                | RequestCode::GET_KVLIST_BY_NAMESPACE
                | RequestCode::UPDATE_NAMESRV_CONFIG
                | RequestCode::WIPE_WRITE_PERM_OF_BROKER
                | RequestCode::ADD_WRITE_PERM_OF_BROKER
                | RequestCode::DELETE_TOPIC_IN_NAMESRV => true,
                // The value had been put over another connection, by the same tool.
                RequestCode::GET_KV_CONFIG => {
                    let value = answer.as_ref().and_then(|answer| answer.ext.get("value"));
                    if let Some(value) = value {
                        let mut put = command.clone().with("value", value);
                        put.code = RequestCode::PUT_KV_CONFIG;
                        assert_eq!(peer.call(put).await.code, 0);
                    }
                    true
                }
                _ => false,
            };
            if replays {
                replay(&peer, request, answer.as_ref()).await;
            }
        }
    }
}

//! Starting, stopping, keeping the KV config, and peers that send what no peer should.

use namesrv::{Namesrv, StartError};
use platform::{Net, Platform, TokioNet};
use protocol::Command;
use protocol::code::{request, response};
use rand::Rng;
use tokio::io::AsyncWriteExt;

use crate::support::*;

fn put(key: &str, value: &str) -> Command {
    Command::request(request::PUT_KV_CONFIG).with("namespace", "n").with("key", key).with("value", value)
}

fn get(key: &str) -> Command {
    Command::request(request::GET_KV_CONFIG).with("namespace", "n").with("key", key)
}

#[tokio::test]
async fn the_kv_config_survives_a_restart() {
    let story = Story::start("").await;
    let peer = story.connect().await;
    assert_eq!(peer.call(put("k", "v")).await.code, 0);
    story.namesrv.shutdown().await;

    let namesrv = Namesrv::start(&config(story.dir.path(), ""), &Platform::os()).await.unwrap();
    let story = Story { namesrv, dir: story.dir };
    let peer = story.connect().await;
    assert_eq!(peer.call(get("k")).await.ext.get("value"), Some("v"));
    assert_eq!(peer.call(get("l")).await.code, response::QUERY_NOT_FOUND);
}

#[tokio::test]
async fn a_kv_config_that_cannot_be_written_is_an_error_to_the_caller() {
    let story = Story::start("kvConfigPath=/proc/nowhere/kv.json").await;
    let answer = story.connect().await.call(put("k", "v")).await;
    assert_eq!(answer.code, response::SYSTEM_ERROR);
    assert!(answer.remark.unwrap().starts_with("cannot write the KV config /proc/nowhere/kv.json: "));
}

#[tokio::test]
async fn switches_turn_while_it_runs() {
    let story = Story::start("enableAllTopicList=false").await;
    let peer = story.connect().await;
    let list = || Command::request(request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER);
    let answer = peer.call(list()).await;
    assert_eq!((answer.code, answer.remark.as_deref()), (response::SYSTEM_ERROR, Some("disable")));
    let update = |text: &'static str| Command::request(request::UPDATE_NAMESRV_CONFIG).with_body(text);
    let answer = peer.call(update("enableAllTopicList=true\norderMessageEnable=true")).await;
    assert_eq!(answer.code, 0);

    let topics = [("T", 4, 4, READ_WRITE), ("U", 4, 4, READ_WRITE)];
    Broker::new("c", "g", 0, "127.0.0.1:1", &topics).register(&peer).await;
    assert_eq!(&peer.call(list()).await.body[..], br#"{"topicList":["T","U"]}"#);
    assert_eq!(peer.route("T").await.unwrap().order_topic_conf, None);
    let mut order = put("T", "g:4;");
    order.ext.insert("namespace", "ORDER_TOPIC_CONFIG");
    assert_eq!(peer.call(order).await.code, 0);
    assert_eq!(peer.route("T").await.unwrap().order_topic_conf.as_deref(), Some("g:4"));

    let answer = peer.call(update("listenPort=1")).await;
    assert_eq!(answer.code, response::SYSTEM_ERROR);
    let text = peer.call(Command::request(request::GET_NAMESRV_CONFIG)).await.body;
    assert!(text.starts_with(b"bindAddress=127.0.0.1\n"), "{text:?}");
}

#[tokio::test]
async fn it_runs_until_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or(()) };
    let running = tokio::spawn(namesrv::run(config(dir.path(), ""), Platform::os(), stopped));
    assert!(!running.is_finished());
    stop.send(()).unwrap();
    within("the end", running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_runs_on() {
    let story = Story::start("").await;
    let (addr, http) = (story.namesrv.local_addr(), story.namesrv.http_addr().unwrap());
    for (more, taken) in
        [(format!("listenPort={}", addr.port()), addr), (format!("httpPort={}", http.port()), http)]
    {
        let dir = tempfile::tempdir().unwrap();
        let Err(error) = Namesrv::start(&config(dir.path(), &more), &Platform::os()).await else {
            panic!("two name servers on {taken}")
        };
        assert!(matches!(error, StartError::Listen(_)));
        assert!(error.to_string().starts_with(&format!("cannot listen on {taken}")), "{error}");
    }
}

#[tokio::test]
async fn without_an_http_port_of_its_own_it_starts_without_http() {
    let story = Story::start("").await;
    let taken = story.namesrv.http_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "");
    (config.http, config.http_is_wanted) = (taken, false);
    let namesrv = Namesrv::start(&config, &Platform::os()).await.unwrap();
    assert_eq!(namesrv.http_addr(), None);
    namesrv.shutdown().await;
}

#[tokio::test]
async fn shutdown_frees_the_addresses_though_peers_are_connected() {
    let story = Story::start("").await;
    let (addr, http) = (story.namesrv.local_addr(), story.namesrv.http_addr().unwrap());
    let _broker = story.connect().await;
    let _silent = TokioNet.connect(&http.to_string()).await.unwrap();
    within("the end", story.namesrv.shutdown()).await;
    for addr in [addr, http] {
        TokioNet.listen(addr).await.unwrap();
    }
}

#[tokio::test]
async fn requests_with_missing_or_odd_fields_are_answered() {
    let story = Story::start("").await;
    let peer = story.connect().await;
    let codes = (0..1_000).chain([9_999, -1, i32::MAX]);
    for code in codes {
        for command in [
            Command::request(code),
            Command::request(code).with("brokerId", "no number").with("bodyCrc32", "x").with_body("]{"),
            Command::request(code).with("topic", "").with("namespace", "").with("key", "").with_body("{}"),
        ] {
            let answer = peer.call(command).await;
            let known = [
                response::SUCCESS,
                response::SYSTEM_ERROR,
                response::REQUEST_CODE_NOT_SUPPORTED,
                response::TOPIC_NOT_EXIST,
                response::QUERY_NOT_FOUND,
            ];
            assert!(known.contains(&answer.code), "code {code}: {answer:?}");
        }
    }
    assert_eq!(story.http("/groups").await.1.trim_end(), r#"{"groups":[]}"#);
}

#[tokio::test]
async fn random_bytes_at_both_ports_neither_stop_it_nor_stay() {
    let fresh = || platform::RngSource::rng(&platform::OsRng, "seed").random();
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh);
    println!("SEED={seed}");
    let mut rng = platform::RngSource::rng(&platform::SeededRng(seed), "random bytes");
    let story = Story::start("").await;
    let broker = Broker::new("c", "g", 0, "127.0.0.1:1", &[("T", 1, 1, READ_WRITE), ("U", 1, 1, READ_WRITE)]);
    let valid = broker.request().encode().unwrap();
    for round in 0..300 {
        let mut bytes = valid.to_vec();
        if rng.random_bool(0.3) {
            bytes = (0..rng.random_range(1..500)).map(|_| rng.random()).collect();
        } else {
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
        }
        let addr =
            if round % 5 == 0 { story.namesrv.http_addr().unwrap() } else { story.namesrv.local_addr() };
        let mut socket = TokioNet.connect(&addr.to_string()).await.unwrap();
        let _ = socket.writer.write_all(&bytes).await; // it may close meanwhile
    }
    let peer = story.connect().await;
    let all = "what the random bytes registered to go with their connections";
    within(all, async { while story.http("/groups").await.1.trim_end() != r#"{"groups":[]}"# {} }).await;
    broker.register(&peer).await;
    assert!(peer.route("T").await.is_some());
}

#[tokio::test]
async fn metrics_tell_who_is_registered() {
    let story = Story::start("").await;
    let peer = story.connect().await;
    Broker::new("c", "g", 0, "127.0.0.1:1", &[("T", 1, 1, READ_WRITE), ("U", 1, 1, READ_WRITE)])
        .register(&peer)
        .await;
    let metrics = story.http("/metrics").await.1;
    for line in [
        "rocketmq_namesrv_groups{node_type=\"nameserver\"} 1",
        "rocketmq_namesrv_topics{node_type=\"nameserver\"} 2",
        "rocketmq_namesrv_leader{node_type=\"nameserver\",cluster=\"c\",node_id=\"g\"} 1",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} is not in\n{metrics}");
    }
}
